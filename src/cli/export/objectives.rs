//! The rules of one service's objectives: error ratios over the windows of its burn rates, and an
//! alert for each rule and promise.
//!
//! A service is what clients see, so its versions are added up here; Serin itself holds each
//! version to its own requests and rolls back long before these fire.

use super::rules::{Alert, Group, Rule, Scrape, quoted, spoken};
use serin_config::model::Service;
use serin_core::slo::{BurnRule, Severity};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) fn group(service: &Service, scrape: &Scrape) -> Group {
    let promises = promises(service, scrape);
    let burns = &service.objectives.burn_rates;
    let windows: BTreeSet<Duration> = burns.iter().flat_map(|b| [b.long, b.short]).collect();
    let mut rules: Vec<Rule> = promises
        .iter()
        .flat_map(|promise| windows.iter().map(|window| promise.record(*window)))
        .collect();
    for promise in &promises {
        let reachable = burns.iter().filter(|burn| burn.above * promise.allowed() < 1.0);
        rules.extend(reachable.map(|burn| promise.alert(burn)));
    }
    rules.push(budget(service, scrape));
    Group { name: format!("serin-objectives-{}", service.name), rules }
}

/// What was promised, and how PromQL says which share of the requests broke it.
struct Promise<'a> {
    service: &'a Service,
    scrape: &'a Scrape,
    recorded: &'static str,
    alert: &'static str,
    objective: f64,
    kept: &'static str,
    share: Box<dyn Fn(&str) -> String + 'a>,
}

fn promises<'a>(service: &'a Service, scrape: &'a Scrape) -> Vec<Promise<'a>> {
    let name = quoted(service.name.as_str());
    let requests = move |outcomes: &str, window: &str| {
        let matchers = format!("service={name},{outcomes}");
        let series = scrape.select("serin_requests_total", &matchers);
        format!("sum by (job, service) (rate({series}[{window}]))")
    };
    let mut promises = vec![Promise {
        service,
        scrape,
        recorded: "service:serin_requests_bad:ratio_rate",
        alert: "SerinAvailabilityBurn",
        objective: service.objectives.availability.objective,
        kept: "failed",
        share: Box::new(move |window| {
            format!(
                "{}\n/\n{}",
                requests("outcome=\"bad\"", window),
                requests("outcome=~\"good|bad\"", window)
            )
        }),
    }];
    if let Some(latency) = &service.objectives.latency {
        let name = quoted(service.name.as_str());
        let under = latency.under;
        promises.push(Promise {
            service,
            scrape,
            recorded: "service:serin_requests_slow:ratio_rate",
            alert: "SerinLatencyBurn",
            objective: latency.objective,
            kept: "were too slow",
            share: Box::new(move |window| {
                let fast = scrape.select(
                    "serin_request_duration_seconds_bucket",
                    &format!("service={name},{}", edge(under)),
                );
                let all = scrape
                    .select("serin_request_duration_seconds_count", &format!("service={name}"));
                format!(
                    "1 - sum by (job, service) (rate({fast}[{window}]))\n/\nsum by (job, service) (rate({all}[{window}]))"
                )
            }),
        });
    }
    promises
}

/// Prometheus 3 writes the edge `1` as `1.0`; both are meant.
fn edge(latency: Duration) -> String {
    let seconds = latency.as_secs_f64().to_string();
    match seconds.contains('.') {
        true => format!("le={}", quoted(&seconds)),
        false => format!("le=~{}", quoted(&format!("{seconds}(\\.0)?"))),
    }
}

impl Promise<'_> {
    fn allowed(&self) -> f64 {
        1.0 - self.objective
    }

    fn series(&self, window: Duration) -> String {
        let name = format!("{}{}", self.recorded, spoken(window));
        let service = format!("service={}", quoted(self.service.name.as_str()));
        self.scrape.select(&name, &service)
    }

    fn record(&self, window: Duration) -> Rule {
        let window = spoken(window);
        Rule::Record { name: format!("{}{window}", self.recorded), expr: (self.share)(&window) }
    }

    /// No `for`: the short window is what lets an alert end soon, the long one what keeps it from
    /// firing at once.
    fn alert(&self, burn: &BurnRule) -> Rule {
        let limit = format!("({} * (1 - {}))", burn.above, self.objective);
        let (long, short) = (self.series(burn.long), self.series(burn.short));
        let (window, objectives) = (spoken(burn.long), &self.service.objectives);
        Rule::Alert(Alert {
            name: self.alert,
            expr: format!("{long} > {limit}\nand\n{short} > {limit}"),
            lasting: Duration::ZERO,
            severity: burn.severity,
            labels: vec![
                ("service", self.service.name.to_string()),
                ("burn_rate", burn.name.clone()),
            ],
            summary: format!(
                "{} burns its error budget more than {} times too fast",
                self.service.name, burn.above
            ),
            description: format!(
                "{{{{ $value | humanizePercentage }}}} of the requests of the last {window} {}; the objective of {} over {} allows {}.",
                self.kept,
                percent(self.objective),
                spoken(objectives.window),
                percent(self.allowed()),
            ),
        })
    }
}

fn budget(service: &Service, scrape: &Scrape) -> Rule {
    let below = service.objectives.budget.freeze_below;
    let matchers = format!("service={}", quoted(service.name.as_str()));
    let left = scrape.select("serin_slo_budget_remaining_ratio", &matchers);
    Rule::Alert(Alert {
        name: "SerinBudgetLow",
        expr: format!("min by (job, service) ({left}) < {below}"),
        lasting: Duration::from_secs(300),
        severity: Severity::P3,
        labels: vec![("service", service.name.to_string())],
        summary: format!("{} has little error budget left", service.name),
        description: format!(
            "{{{{ $value | humanizePercentage }}}} of the budget of {} is left; below {} no rollout starts or advances.",
            spoken(service.objectives.window),
            percent(below),
        ),
    })
}

/// `0.1%`, without the noise that binary fractions leave behind.
fn percent(share: f64) -> String {
    let text = format!("{:.6}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}
