//! A decision in the terms of the question "why?": which rule, what it saw, what it allows.

use crate::journal::schema::{Explained, Unit};
use serin_core::rollout::{Decision, Evidence, HoldReason, RollbackReason, Value, Verdict};

/// Everything is taken from the decision and its evidence; nothing is measured again.
pub(crate) fn explain(decision: &Decision, evidence: &Evidence) -> Explained {
    let mut explained = Explained {
        verdict: decision.verdict.as_str().to_owned(),
        reason: decision.verdict.to_string(),
        samples: evidence.step.candidate.of,
        stable_samples: evidence.step.stable.of,
        ..Explained::default()
    };
    match &decision.verdict {
        Verdict::Rollback(reason) => rollback(reason, &mut explained),
        Verdict::Hold(hold_reason) | Verdict::Inconclusive(hold_reason) => {
            hold(hold_reason, &mut explained);
        }
        Verdict::Supersede(_) => explained.rule = "onBusy".to_owned(),
        Verdict::Advance(grounds) | Verdict::Complete(grounds) => {
            explained.rule = "promotion".to_owned();
            if let Some(shown) = grounds.shown {
                let (value, needed) = shown.evidence();
                explained.rule = shown.as_str().to_owned();
                (explained.observed, explained.threshold) = (Some(value), Some(needed));
                explained.unit = Some(Unit::Evidence);
            }
            explained.samples = grounds.samples.seen;
        }
    }
    explained
}

fn rollback(reason: &RollbackReason, to: &mut Explained) {
    to.rule = reason.label().to_owned();
    match reason {
        RollbackReason::Guard { observed, threshold, stable, samples, .. } => {
            to.observed = observed.map(number);
            to.threshold = Some(number(*threshold));
            to.stable_observed = stable.map(number);
            to.unit = Some(unit(*threshold));
            to.samples = *samples;
        }
        RollbackReason::Burn { long, threshold, samples, .. } => {
            to.observed = *long;
            to.threshold = Some(*threshold);
            to.unit = Some(Unit::BurnRate);
            to.samples = *samples;
        }
        RollbackReason::Errors { candidate, stable, .. }
        | RollbackReason::Slower { candidate, stable, .. } => {
            to.observed = candidate.share();
            to.stable_observed = stable.share();
            to.unit = Some(Unit::Share);
            to.samples = candidate.of;
            to.stable_samples = stable.of;
        }
        RollbackReason::WorseThanBefore { candidate, stable, limit, .. } => {
            to.observed = candidate.share();
            to.threshold = Some(*limit);
            to.stable_observed = stable.share();
            to.unit = Some(Unit::Share);
            to.samples = candidate.of;
            to.stable_samples = stable.of;
        }
        RollbackReason::HarmRequests { failed, cap, forgiven } => {
            to.observed = Some(*failed as f64);
            to.unit = Some(Unit::Requests);
            to.threshold = Some(cap.saturating_add(*forgiven) as f64);
        }
        RollbackReason::HarmUsers { users, cap, forgiven, told_apart } => {
            to.observed = Some(*users as f64);
            to.unit = Some(if *told_apart { Unit::Users } else { Unit::Requests });
            to.threshold = Some(cap.saturating_add(*forgiven) as f64);
        }
        RollbackReason::TooFew(samples) => {
            to.observed = Some(samples.seen as f64);
            to.unit = Some(Unit::Requests);
            to.threshold = Some(samples.needed as f64);
        }
        RollbackReason::Aborted { .. }
        | RollbackReason::Undone { .. }
        | RollbackReason::Unlisted { .. } => {}
    }
}

fn hold(hold_reason: &HoldReason, to: &mut Explained) {
    let mut read = |unit, observed: Option<f64>, threshold: Option<f64>| {
        (to.unit, to.observed, to.threshold) = (Some(unit), observed, threshold);
    };
    let rule = match hold_reason {
        HoldReason::Idle(_) => "idle",
        HoldReason::Paused { .. } => "pause",
        HoldReason::GaveUp { seen, needed, .. } => {
            read(Unit::Requests, Some(*seen as f64), Some(*needed as f64));
            "giveUpAfter"
        }
        HoldReason::NoData(_) => "data",
        HoldReason::JustStarted => "start",
        HoldReason::ClockJumped { .. } => "clock",
        // Times are no readings of requests; the sentence has them.
        HoldReason::GuardStanding { guard, .. } => guard.as_str(),
        HoldReason::HoldRunning { .. } => "hold",
        HoldReason::GuardDoubtful { guard, observed, threshold, samples } => {
            read(unit(*threshold), observed.map(number), Some(number(*threshold)));
            to.samples = *samples;
            guard.as_str()
        }
        HoldReason::Burning { rule, rate, threshold, stable } => {
            read(Unit::BurnRate, Some(*rate), Some(*threshold));
            to.stable_observed = *stable;
            rule.as_str()
        }
        HoldReason::Aside { rule, requests, .. } => {
            read(Unit::Requests, Some(requests.seen as f64), Some(requests.needed as f64));
            rule.as_str()
        }
        HoldReason::StableAsWell { guard, observed, threshold, stable } => {
            read(unit(*threshold), observed.map(number), Some(number(*threshold)));
            to.stable_observed = stable.map(number);
            guard.as_str()
        }
        HoldReason::FewClients { rule, failures } => {
            to.samples = failures.of;
            rule.as_str()
        }
        HoldReason::StableWorse { rule, shares } => {
            read(Unit::Share, Some(shares.candidate), None);
            to.stable_observed = Some(shares.stable);
            rule.as_str()
        }
        HoldReason::ClientErrors { candidate, stable } => {
            read(Unit::Share, candidate.share(), None);
            to.samples = candidate.of;
            (to.stable_samples, to.stable_observed) = (stable.of, stable.share());
            "regression.clientErrors"
        }
        HoldReason::NoReading { guard, .. } => guard.as_str(),
        HoldReason::SharedCause(shared) => {
            read(Unit::Share, Some(shared.candidate), None);
            to.stable_observed = Some(shared.stable);
            "sharedCause"
        }
        HoldReason::Tripped => "tripwire",
        HoldReason::NotReady(ready) => {
            read(Unit::Endpoints, Some(f64::from(ready.ready)), Some(f64::from(ready.total)));
            "readiness"
        }
        HoldReason::TooFewReady { ready, share } => {
            let open = f64::from(ready.ready) / f64::from(ready.total.max(1));
            read(Unit::Share, Some(open), Some(share.ratio()));
            "readiness"
        }
        HoldReason::Frozen { .. } => "freeze",
        HoldReason::BudgetFrozen { left, below } => {
            read(Unit::Share, Some(*left), Some(*below));
            "budget"
        }
        HoldReason::Window { .. } => "window",
        HoldReason::TooFewSamples(samples) => {
            read(Unit::Requests, Some(samples.seen as f64), Some(samples.needed as f64));
            "minRequests"
        }
        HoldReason::NotProven { value, needed, outlook: _ } => {
            read(Unit::Evidence, Some(*value), Some(*needed));
            "promotion"
        }
        HoldReason::Gate { .. } | HoldReason::Approvals { .. } => "gate",
        HoldReason::Checklist { .. } => "checklist",
        HoldReason::Shadow { mismatched, below, .. } => {
            read(Unit::Share, Some(*mismatched), Some(*below));
            "shadow"
        }
        HoldReason::Quarantined { .. } => "quarantine",
        HoldReason::Accepted => "command",
        HoldReason::Breached(reason) => return rollback(reason, to),
    };
    rule.clone_into(&mut to.rule);
}

fn unit(value: Value) -> Unit {
    match value {
        Value::Share(_) => Unit::Share,
        Value::Time(_) => Unit::Seconds,
        Value::Ratio(_) => Unit::Ratio,
    }
}

/// Shares and ratios as they are, times in seconds.
fn number(value: Value) -> f64 {
    match value {
        Value::Share(share) | Value::Ratio(share) => share,
        Value::Time(time) => time.as_secs_f64(),
    }
}
