//! The snapshot: what the outside sees of all this.

use super::engine::Engine;
use super::flight::Flight;
use super::planned;
use super::records::{failures_of, harm_of};
use super::telling::{waiting_for, weights_of};
use crate::journal::read;
use crate::view::{
    BurnView, Comparison, ConfigView, Health, MissedView, RolloutView, ServiceView, SloView,
    Snapshot, Timestamp, VersionRole, VersionView, WaitingFor,
};
use serin_config::model::Config;
use serin_core::plane::Readiness;
use serin_core::rollout::{Course, Objection};
use serin_core::time::Now;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Rollouts under way that are drawn anew in one go.
const DRAWN_AT_ONCE: usize = 100;

impl Engine {
    /// Draws and shows the snapshot, and keeps the reasons of the latest decisions beside it.
    pub(crate) fn portray(&mut self, now: Now) {
        let lost = read(self.desk.shared()).lost;
        let failing = self.fault().is_some();
        let config = &self.config;
        let views = self.flights.values_mut().map(|flight| {
            if flight.view.is_none() {
                flight.view = Some(Arc::new(service_view(config, flight, failing, now)));
                flight.drawn_at = now.mono;
            }
            flight.view.clone()
        });
        let services = views.flatten().collect();
        let snapshot = Snapshot {
            generation: self.generation,
            at: Timestamp(now.wall),
            services,
            freeze: self.freeze.clone(),
            config: ConfigView {
                canary: self.inner.canary.load().as_deref().cloned(),
                ..self.config_view.clone()
            },
            health: Health {
                journal: self.fault().map(str::to_owned),
                not_observing: self.not_observing(),
                notifications_lost: self.inner.tallies.notifications_lost(),
                records_lost: lost,
                not_durable: self.not_durable(),
                freeze_not_durable: self.freeze_not_durable.is_some(),
            },
        };
        self.inner.show(snapshot);
        let latest = self.flights.values().filter_map(|flight| {
            Some((flight.name.to_string(), Arc::clone(flight.latest.as_ref()?)))
        });
        self.inner.latest.store(Arc::new(latest.collect()));
    }

    /// Rollouts under way are drawn anew, because their holds run. Of very many each has its turn.
    pub(crate) fn see_time_pass(&mut self) {
        let under_way = self.flights.values_mut().filter(|flight| !flight.is_at_rest());
        let mut under_way: Vec<&mut Flight> = under_way.collect();
        under_way.sort_by_key(|flight| flight.drawn_at);
        under_way.into_iter().take(DRAWN_AT_ONCE).for_each(|flight| flight.view = None);
    }

    /// After the services have changed.
    pub(crate) fn show_recorders(&self) {
        let recorders = self.flights.values().map(|f| (f.name.to_string(), f.recorder.clone()));
        self.inner.recorders.store(Arc::new(recorders.collect()));
    }
}

fn service_view(config: &Config, flight: &Flight, failing: bool, now: Now) -> ServiceView {
    {
        let position = flight.pilot.position();
        let service = config.services.get(&flight.name);
        let versions = service.map(|s| s.versions.as_slice()).unwrap_or_default();
        let version = |v| version_view(flight, v, &flight.readiness, now);
        let mut weights: BTreeMap<String, u16> =
            versions.iter().map(|version| (version.name.to_string(), 0)).collect();
        weights.extend(weights_of(&flight.published));
        let objectives = flight.pilot.slo().objectives();
        ServiceView {
            name: flight.name.to_string(),
            revision: flight.revision,
            stable: position.stable.version.to_string(),
            weights,
            versions: versions.iter().map(version).collect(),
            checks_overruled: flight.ledger.counts().checks_overruled,
            slo: SloView {
                objective: objectives.availability.objective,
                latency_objective: objectives.latency.as_ref().map(|l| l.objective),
                latency_under_ms: objectives
                    .latency
                    .as_ref()
                    .map(|l| l.under.as_secs_f64() * 1000.0),
                window_seconds: objectives.window.as_secs(),
                budget_remaining: flight.pilot.slo().budget_left(),
                burn_rates: burns(flight, now),
                missed: missed(flight, now),
            },
            plan: flight.pilot.terms().plan.as_ref().map(planned::plan_view),
            queued: position.queued.as_ref().map(|queued| queued.identity.to_string()),
            rollout: position.course.as_ref().map(|c| rollout_view(flight, c, failing, now)),
        }
    }
}

fn version_view(
    flight: &Flight,
    version: &serin_config::model::Version,
    readiness: &[Readiness],
    now: Now,
) -> VersionView {
    let position = flight.pilot.position();
    let ready = readiness.iter().find(|r| r.version == version.name);
    let counts = flight.ledger.counts().of(&version.name);
    let tally = counts.map(|c| c.judged.plus(c.rest)).unwrap_or_default();
    let candidate = position.active().is_some_and(|c| c.candidate.version == version.name);
    let quarantined = position
        .quarantine
        .iter()
        .find(|q| q.identity.version == version.name && q.identity.release == version.release);
    VersionView {
        name: version.name.to_string(),
        release: version.release.clone(),
        role: if version.name == position.stable.version {
            VersionRole::Stable
        } else if candidate {
            VersionRole::Candidate
        } else {
            VersionRole::Idle
        },
        ready: ready.map_or(0, |r| r.ready),
        endpoints: ready.map_or_else(
            || u32::try_from(version.endpoints.len()).unwrap_or(u32::MAX),
            |r| r.total,
        ),
        requests: tally.exposures(),
        bad: tally.bad,
        excluded: tally.excluded,
        in_flight: counts.map_or(0, |c| c.in_flight),
        last_minute: flight.ledger.last_minute(&version.name, now.mono),
        tripped: counts.is_some_and(|c| c.tripped),
        troubles: ready.map(|r| r.troubles.clone()).unwrap_or_default(),
        quarantined: quarantined.map(|q| q.why.clone()),
    }
}

fn missed(flight: &Flight, now: Now) -> Option<MissedView> {
    let stable = &flight.pilot.position().stable.version;
    let found = flight.pilot.slo().missed(stable, now.mono)?;
    Some(MissedView {
        version: stable.to_string(),
        message: format!("stable {stable} fails its objective: {found}"),
        rule: found.rule,
        promise: found.promise.as_str().to_owned(),
        rate: found.rate,
        above: found.threshold,
        severity: found.severity.as_str().to_owned(),
    })
}

fn burns(flight: &Flight, now: Now) -> Vec<BurnView> {
    let slo = flight.pilot.slo();
    let position = flight.pilot.position();
    let candidate = position.active().map(|course| &course.candidate.version);
    let versions = std::iter::once(&position.stable.version).chain(candidate);
    let of_version = |version| {
        slo.objectives().burn_rates.iter().map(move |rule| BurnView {
            name: rule.name.clone(),
            version: ToString::to_string(version),
            above: rule.above,
            long_seconds: rule.long.as_secs(),
            short_seconds: rule.short.as_secs(),
            long_rate: slo.burn_rate(version, rule.long, now.mono),
            short_rate: slo.burn_rate(version, rule.short, now.mono),
        })
    };
    versions.flat_map(of_version).collect()
}

fn rollout_view(flight: &Flight, course: &Course, failing: bool, now: Now) -> RolloutView {
    let plan = flight.pilot.terms().plan.as_ref();
    let latest = flight.latest.as_deref();
    let over = course.phase.is_over();
    let objections = latest.map(|l| l.decision.objections.as_slice()).unwrap_or_default();
    let record = flight.record.as_ref();
    let step_left = course.hold_left().unwrap_or_default();
    let later: Duration =
        course.steps.iter().skip(step_number(course) as usize).map(|s| s.hold).sum();
    let reason = match (&course.ended, latest) {
        (Some(ended), _) => ended.why.clone(),
        (None, Some(latest)) => latest.decision.verdict.to_string(),
        (None, None) => String::new(),
    };
    RolloutView {
        id: course.id.to_string(),
        from: record.map_or_else(String::new, |r| r.from.clone()),
        to: course.candidate.version.to_string(),
        release: course.candidate.release.clone(),
        strategy: plan.map_or("canary", planned::strategy).to_owned(),
        state: course.phase.into(),
        step: step_number(course),
        steps: u32::try_from(course.steps.len()).unwrap_or(u32::MAX),
        weight: course.weight.get(),
        reason,
        waiting_for: if over {
            None
        } else if failing {
            Some(WaitingFor::Journal)
        } else {
            objections.first().and_then(waiting_for)
        },
        started_at: Timestamp(course.started.at),
        started_by: course.started.by.clone(),
        ended_at: course.ended.as_ref().map(|ended| Timestamp(ended.at)),
        hold_seconds: course.hold().map_or(0, |hold| hold.as_secs()),
        held_seconds: course.held.as_secs(),
        step_remaining_seconds: if over { 0 } else { seconds_to(step_left) },
        remaining_seconds: if over { 0 } else { seconds_to(step_left + later) },
        requests_needed: objections.iter().find_map(needed),
        plan: planned::steps(plan, course),
        guards: plan.map(|plan| planned::guards(plan, flight.pilot.evidence())).unwrap_or_default(),
        objections: if over {
            Vec::new()
        } else {
            objections.iter().map(ToString::to_string).collect()
        },
        proof: planned::proof(flight),
        comparison: match record.and_then(|record| record.comparison) {
            Some(comparison) if over => comparison.into(),
            Some(_) | None => comparison(flight, course, now),
        },
        harm: match record {
            Some(record) if over => record.harm.into(),
            Some(_) | None => harm_of(flight, flight.pilot.evidence()).into(),
        },
        failures: match record {
            Some(record) if over => record.failures.as_ref().map(Into::into),
            Some(_) | None => failures_of(flight.pilot.evidence()).as_ref().map(Into::into),
        },
    }
}

/// Rounded up: what has a moment left is not over.
fn seconds_to(left: Duration) -> u64 {
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

/// The step that was begun last, from 1; 0 before the first.
pub(crate) fn step_number(course: &Course) -> u32 {
    match course.stage {
        serin_core::rollout::Stage::Before | serin_core::rollout::Stage::Dark => 0,
        serin_core::rollout::Stage::Step(index) => u32::from(index) + 1,
    }
}

fn needed(objection: &Objection) -> Option<u64> {
    match objection {
        Objection::TooFewSamples(samples) => Some(samples.needed.saturating_sub(samples.seen)),
        Objection::GaveUp { seen, needed, .. } => Some(needed.saturating_sub(*seen)),
        Objection::Idle(_)
        | Objection::Paused { .. }
        | Objection::NoData(_)
        | Objection::JustStarted
        | Objection::ClockJumped { .. }
        | Objection::GuardStanding { .. }
        | Objection::GuardDoubtful { .. }
        | Objection::Burning { .. }
        | Objection::ClientErrors { .. }
        | Objection::FewClients { .. }
        | Objection::StableWorse { .. }
        | Objection::NoReading { .. }
        | Objection::SharedCause(_)
        | Objection::Tripped
        | Objection::NotReady(_)
        | Objection::TooFewReady { .. }
        | Objection::Frozen { .. }
        | Objection::BudgetFrozen { .. }
        | Objection::Window { .. }
        | Objection::HoldRunning { .. }
        | Objection::NotProven { .. }
        | Objection::Gate { .. }
        | Objection::Shadow { .. }
        | Objection::Quarantined { .. }
        | Objection::Breached(_)
        | Objection::Accepted => None,
    }
}

fn comparison(flight: &Flight, course: &Course, now: Now) -> Comparison {
    let stable = &flight.pilot.position().stable.version;
    Comparison {
        candidate: flight.ledger.this_stage(&course.candidate.version, now.mono),
        stable: flight.ledger.this_stage(stable, now.mono),
    }
}
