//! Copies of a service's traffic: that they differ, that they fail, that they do not fit. The limits
//! are those of the rollout's guards where it has them.

use super::rules::{Alert, Group, Rule, Scrape, quoted};
use serin_config::model::Service;
use serin_core::rollout::Rule as Guarded;
use serin_core::slo::Severity;
use std::time::Duration;

const WINDOW: &str = "30m";
const LASTING: Duration = Duration::from_secs(15 * 60);
/// Where the configuration says nothing.
const DIFFER: f64 = 0.01;
const FAIL: f64 = 0.05;
const NO_ROOM: f64 = 0.1;

/// `None` for a service that has no shadow.
pub(super) fn group(service: &Service, scrape: &Scrape) -> Option<Group> {
    let shadow = service.shadow.as_ref()?;
    let copies = Copies { service, scrape };
    let mut rules = Vec::new();
    if shadow.compare.is_some() {
        rules.push(copies.differ());
    }
    rules.extend([copies.fail(), copies.do_not_fit()]);
    Some(Group { name: format!("serin-shadow-{}", service.name), rules })
}

struct Copies<'a> {
    service: &'a Service,
    scrape: &'a Scrape,
}

impl Copies<'_> {
    fn differ(&self) -> Rule {
        let guard = |rule: &Guarded| match rule {
            Guarded::ShadowMismatch { above } => Some(*above),
            Guarded::ErrorRate { .. }
            | Guarded::Latency { .. }
            | Guarded::Signal { .. }
            | Guarded::ShadowErrors { .. } => None,
        };
        let (different, compared) = (self.came_to("different"), self.came_to("same|different"));
        self.alert(
            "SerinShadowDiffers",
            format!("{different}\n/\n{compared} > {}", self.limit(guard, DIFFER)),
            "answers otherwise than stable",
            "of the compared copies were answered otherwise. `serin shadow {{ $labels.service }}` shows where.",
        )
    }

    fn fail(&self) -> Rule {
        let guard = |rule: &Guarded| match rule {
            Guarded::ShadowErrors { above } => Some(*above),
            Guarded::ErrorRate { .. }
            | Guarded::Latency { .. }
            | Guarded::Signal { .. }
            | Guarded::ShadowMismatch { .. } => None,
        };
        let (failed, all) = (self.came_to("failed"), self.came_to(".+"));
        self.alert(
            "SerinShadowFails",
            format!("{failed}\n/\n{all} > {}", self.limit(guard, FAIL)),
            "fails",
            "of the copies failed. Users notice nothing; the version would not serve them.",
        )
    }

    fn do_not_fit(&self) -> Rule {
        let (full, all) = (self.dropped(), self.came_to(".+"));
        self.alert(
            "SerinShadowNoRoom",
            format!("{full}\n/\n({full} + {all}) > {NO_ROOM}"),
            "gets fewer copies than it should",
            "of the copies were dropped for want of room: lower `percent`, or raise `maxInFlight`.",
        )
    }

    fn limit(&self, guard: impl Fn(&Guarded) -> Option<f64>, otherwise: f64) -> f64 {
        let guards = self.service.rollout.iter().flat_map(|plan| &plan.guards);
        guards.filter_map(|found| guard(&found.rule)).reduce(f64::min).unwrap_or(otherwise)
    }

    fn came_to(&self, result: &str) -> String {
        let matchers = format!("{},result=~{}", self.name(), quoted(result));
        self.rate(&self.scrape.select("serin_shadow_requests_total", &matchers))
    }

    fn dropped(&self) -> String {
        let matchers = format!("{},reason=\"full\"", self.name());
        self.rate(&self.scrape.select("serin_shadow_dropped_total", &matchers))
    }

    fn name(&self) -> String {
        format!("service={}", quoted(self.service.name.as_str()))
    }

    fn rate(&self, series: &str) -> String {
        format!("sum by (job, service) (rate({series}[{WINDOW}]))")
    }

    fn alert(&self, name: &'static str, expr: String, does: &str, what: &str) -> Rule {
        Rule::Alert(Alert {
            name,
            expr,
            lasting: LASTING,
            severity: Severity::P3,
            labels: vec![("service", self.service.name.to_string())],
            summary: format!("the shadow of {} {does}", self.service.name),
            description: format!("In half an hour {{{{ $value | humanizePercentage }}}} {what}"),
        })
    }
}
