//! The snapshot: what the outside sees of all this.

use super::records::{failures_of, harm_of};
use super::shared::Shared;
use super::telling::{waiting_for, weights_of};
use super::{Controller, ServiceRun, lag, planned};
use crate::journal::read;
use crate::view::{
    BurnView, Comparison, ConfigView, Health, MissedView, RolloutView, ServiceView, SloView,
    Snapshot, Timestamp, VersionRole, VersionView, WaitingFor,
};
use serin_config::model::Config;
use serin_core::plane::Readiness;
use serin_core::rollout::{HoldReason, RolloutState};
use serin_core::time::Now;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Rollouts under way that are drawn anew in one go.
const DRAWN_AT_ONCE: usize = 100;

impl Controller {
    /// Draws the snapshot if something has changed, and then answers those who wait to see it there.
    pub(crate) fn publish_snapshot(&mut self, now: Now) {
        if std::mem::take(&mut self.shared.snapshot_due) {
            let snapshot = self.snapshot(now);
            let inner = &self.shared.inner;
            inner.show(snapshot);
            let latest = self
                .services
                .iter()
                .filter_map(|run| Some((run.name.clone(), Arc::clone(run.latest.as_ref()?))));
            inner.latest.store(Arc::new(latest.collect()));
        }
        self.shared.send_answers();
    }

    fn snapshot(&mut self, now: Now) -> Snapshot {
        let not_durable = self.not_durable();
        let shared = &self.shared;
        let views = self.services.iter_mut().map(|run| run.drawn(shared, now));
        let services = views.collect();
        Snapshot {
            generation: shared.generation,
            at: Timestamp(now.wall),
            services,
            freeze: shared.freeze.clone(),
            config: ConfigView {
                canary: shared.inner.canary.load().as_deref().cloned(),
                ..shared.config_view.clone()
            },
            health: Health {
                journal: shared.fault.clone(),
                not_observing: shared.own_lag.map(lag::sentence),
                notifications_lost: shared.inner.tallies.notifications_lost(),
                records_lost: read(shared.journal.memory()).lost,
                not_durable,
                freeze_not_durable: shared.freeze_not_durable.is_some(),
            },
        }
    }

    /// Rollouts under way are drawn anew, because their holds run. Of very many each has its turn.
    pub(super) fn see_time_pass(&mut self) {
        let mut under_way: Vec<&mut ServiceRun> = self.services.awake_mut().collect();
        under_way.sort_by_key(|run| run.drawn_at);
        under_way.into_iter().take(DRAWN_AT_ONCE).for_each(|run| run.view = None);
        self.shared.snapshot_due = true;
    }

    /// After the services have changed.
    pub(super) fn show_recorders(&self) {
        let recorders = self.services.iter().map(|f| (f.name.to_string(), f.recorder.clone()));
        self.shared.inner.recorders.store(Arc::new(recorders.collect()));
    }

    /// Services whose latest lowering is in force and not written.
    pub(super) fn not_durable(&self) -> Vec<String> {
        let behind = self.services.iter().filter(|run| run.not_durable.is_some());
        behind.map(|run| run.name.to_string()).collect()
    }
}

impl ServiceRun {
    fn drawn(&mut self, shared: &Shared, now: Now) -> Arc<ServiceView> {
        if let Some(view) = &self.view {
            return Arc::clone(view);
        }
        let failing = shared.fault.is_some();
        let view = Arc::new(service_view(&shared.config, self, failing, now));
        self.view = Some(Arc::clone(&view));
        self.drawn_at = now.mono;
        view
    }
}

fn service_view(config: &Config, run: &ServiceRun, failing: bool, now: Now) -> ServiceView {
    let position = run.pilot.position();
    let service = config.services.get(&run.name);
    let versions = service.map(|s| s.versions.as_slice()).unwrap_or_default();
    let version = |v| version_view(run, v, &run.readiness, now);
    let mut weights: BTreeMap<String, u16> =
        versions.iter().map(|version| (version.name.to_string(), 0)).collect();
    weights.extend(weights_of(&run.published));
    let objectives = run.pilot.slo().objectives();
    ServiceView {
        name: run.name.to_string(),
        revision: run.revision,
        stable: position.stable.version.to_string(),
        weights,
        versions: versions.iter().map(version).collect(),
        checks_overruled: run.ledger.counts().checks_overruled,
        slo: SloView {
            objective: objectives.availability.objective,
            latency_objective: objectives.latency.as_ref().map(|l| l.objective),
            latency_under_ms: objectives.latency.as_ref().map(|l| l.under.as_secs_f64() * 1000.0),
            window_seconds: objectives.window.as_secs(),
            budget_remaining: run.pilot.slo().budget_left(),
            burn_rates: burns(run, now),
            missed: missed(run, now),
        },
        plan: run.pilot.terms().plan.as_ref().map(planned::plan_view),
        queued: position.queued.as_ref().map(|queued| queued.identity.to_string()),
        former: position.former.last().map(|former| former.identity.version.to_string()),
        rollout: position.rollout.as_ref().map(|c| rollout_view(run, c, failing, now)),
    }
}

fn version_view(
    run: &ServiceRun,
    version: &serin_config::model::Version,
    readiness: &[Readiness],
    now: Now,
) -> VersionView {
    let position = run.pilot.position();
    let ready = readiness.iter().find(|r| r.version == version.name);
    let counts = run.ledger.counts().of(&version.name);
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
            || u32::try_from(version.endpoints.count().unwrap_or_default()).unwrap_or(u32::MAX),
            |r| r.total,
        ),
        requests: tally.exposures(),
        bad: tally.bad,
        excluded: tally.excluded,
        in_flight: counts.map_or(0, |c| c.in_flight),
        last_minute: run.ledger.last_minute(&version.name, now.mono),
        tripped: counts.is_some_and(|c| c.tripped),
        troubles: ready.map(|r| r.troubles.clone()).unwrap_or_default(),
        quarantined: quarantined.map(|q| q.why.clone()),
    }
}

fn missed(run: &ServiceRun, now: Now) -> Option<MissedView> {
    let stable = &run.pilot.position().stable.version;
    let found = run.pilot.slo().missed(stable, now.mono)?;
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

fn burns(run: &ServiceRun, now: Now) -> Vec<BurnView> {
    let slo = run.pilot.slo();
    let position = run.pilot.position();
    let candidate = position.active().map(|rollout| &rollout.candidate.version);
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

fn rollout_view(run: &ServiceRun, rollout: &RolloutState, failing: bool, now: Now) -> RolloutView {
    let plan = run.pilot.terms().plan.as_ref();
    let latest = run.latest.as_deref();
    let over = rollout.phase.is_over();
    let objections = latest.map(|l| l.decision.hold_reasons.as_slice()).unwrap_or_default();
    let record = run.record.as_ref();
    let outlook = run.pilot.evidence().outlook.filter(|_| !over);
    let step_left = rollout.hold_left().unwrap_or_default();
    let later: Duration =
        rollout.steps.iter().skip(step_number(rollout) as usize).map(|s| s.hold).sum();
    let reason = match (&rollout.ended, latest) {
        (Some(ended), _) => ended.why.clone(),
        (None, Some(latest)) => latest.decision.verdict.to_string(),
        (None, None) => String::new(),
    };
    RolloutView {
        id: rollout.id.to_string(),
        from: record.map_or_else(String::new, |r| r.from.clone()),
        to: rollout.candidate.version.to_string(),
        release: rollout.candidate.release.clone(),
        strategy: plan.map_or("canary", planned::strategy).to_owned(),
        state: rollout.phase.into(),
        step: step_number(rollout),
        steps: u32::try_from(rollout.steps.len()).unwrap_or(u32::MAX),
        weight: rollout.weight.get(),
        kept: plan.map_or(0, |plan| planned::kept(plan, rollout)),
        reason,
        waiting_for: if over {
            None
        } else if failing {
            Some(WaitingFor::Journal)
        } else {
            objections.first().and_then(waiting_for)
        },
        started_at: Timestamp(rollout.started.at),
        started_by: rollout.started.by.clone(),
        ended_at: rollout.ended.as_ref().map(|ended| Timestamp(ended.at)),
        hold_seconds: rollout.hold().map_or(0, |hold| hold.as_secs()),
        held_seconds: rollout.held.as_secs(),
        step_remaining_seconds: if over { 0 } else { seconds_to(step_left) },
        remaining_seconds: if over { 0 } else { seconds_to(step_left + later) },
        requests_needed: objections
            .iter()
            .find_map(missing_aside)
            .or(outlook.and_then(|outlook| outlook.requests)),
        seconds_needed: outlook.and_then(|outlook| outlook.seconds),
        plan: planned::steps(plan, rollout),
        guards: plan.map(|plan| planned::guards(plan, run.pilot.evidence())).unwrap_or_default(),
        objections: if over {
            Vec::new()
        } else {
            objections.iter().map(ToString::to_string).collect()
        },
        proof: planned::proof(run),
        comparison: match record.and_then(|record| record.comparison) {
            Some(comparison) if over => comparison.into(),
            Some(_) | None => comparison(run, rollout, now),
        },
        harm: match record {
            Some(record) if over => record.harm.into(),
            Some(_) | None => harm_of(run, run.pilot.evidence()).into(),
        },
        failures: match record {
            Some(record) if over => record.failures.as_ref().map(Into::into),
            Some(_) | None => failures_of(run.pilot.evidence()).as_ref().map(Into::into),
        },
    }
}

/// Rounded up: what has a moment left is not over.
fn seconds_to(left: Duration) -> u64 {
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

/// The step that was begun last, from 1; 0 before the first.
pub(crate) fn step_number(rollout: &RolloutState) -> u32 {
    match rollout.stage {
        serin_core::rollout::Stage::Before | serin_core::rollout::Stage::Dark => 0,
        serin_core::rollout::Stage::Step(index) => u32::from(index) + 1,
    }
}

/// Requests that a candidate which stepped aside still needs to be decided on.
fn missing_aside(hold_reason: &HoldReason) -> Option<u64> {
    let HoldReason::Aside { requests, .. } = hold_reason else { return None };
    Some(requests.needed.saturating_sub(requests.seen))
}

fn comparison(run: &ServiceRun, rollout: &RolloutState, now: Now) -> Comparison {
    let stable = &run.pilot.position().stable.version;
    Comparison {
        candidate: run.ledger.this_stage(&rollout.candidate.version, now.mono),
        stable: run.ledger.this_stage(stable, now.mono),
    }
}
