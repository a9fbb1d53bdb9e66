//! A decision in the terms of the question "why?": which rule, what it saw, what it allows.

use crate::journal::Explained;
use serin_core::rollout::{Decision, Evidence, Objection, RollbackReason, Value, Verdict};

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
        Verdict::Hold(objection) | Verdict::Inconclusive(objection) => {
            hold(objection, &mut explained);
        }
        Verdict::Supersede(_) => explained.rule = "onBusy".to_owned(),
        Verdict::Advance(grounds) | Verdict::Complete(grounds) => {
            explained.rule = "promotion".to_owned();
            explained.observed = grounds.bet.map(|(value, _)| value);
            explained.threshold = grounds.bet.map(|(_, needed)| needed);
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
            to.samples = *samples;
        }
        RollbackReason::Burn { long, threshold, samples, .. } => {
            to.observed = *long;
            to.threshold = Some(*threshold);
            to.samples = *samples;
        }
        RollbackReason::Errors { candidate, stable, .. }
        | RollbackReason::Slower { candidate, stable, .. } => {
            to.observed = candidate.share();
            to.stable_observed = stable.share();
            to.samples = candidate.of;
            to.stable_samples = stable.of;
        }
        RollbackReason::HarmRequests { failed, cap, forgiven } => {
            to.observed = Some(*failed as f64);
            to.threshold = Some(cap.saturating_add(*forgiven) as f64);
        }
        RollbackReason::HarmUsers { users, cap, forgiven } => {
            to.observed = Some(*users as f64);
            to.threshold = Some(cap.saturating_add(*forgiven) as f64);
        }
        RollbackReason::TooFew(samples) => {
            to.observed = Some(samples.seen as f64);
            to.threshold = Some(samples.needed as f64);
        }
        RollbackReason::Aborted { .. } | RollbackReason::Unlisted { .. } => {}
    }
}

fn hold(objection: &Objection, to: &mut Explained) {
    let (rule, observed, threshold) = match objection {
        Objection::Idle(_) => ("idle", None, None),
        Objection::Paused { .. } => ("pause", None, None),
        Objection::GaveUp { seen, needed, .. } => {
            ("giveUpAfter", Some(*seen as f64), Some(*needed as f64))
        }
        Objection::NoData(_) => ("data", None, None),
        Objection::JustStarted => ("start", None, None),
        Objection::ClockJumped { .. } => ("clock", None, None),
        // Times are no readings of requests; the sentence has them.
        Objection::GuardStanding { guard, .. } => (guard.as_str(), None, None),
        Objection::HoldRunning { .. } => ("hold", None, None),
        Objection::GuardDoubtful { guard, observed, threshold, samples } => {
            to.samples = *samples;
            (guard.as_str(), observed.map(number), Some(number(*threshold)))
        }
        Objection::Burning { rule, rate, threshold } => {
            (rule.as_str(), Some(*rate), Some(*threshold))
        }
        Objection::FewClients { rule, failures } => {
            to.samples = failures.of;
            (rule.as_str(), None, None)
        }
        Objection::StableWorse { rule, shares } => {
            to.stable_observed = Some(shares.stable);
            (rule.as_str(), Some(shares.candidate), None)
        }
        Objection::ClientErrors { candidate, stable } => {
            to.samples = candidate.of;
            (to.stable_samples, to.stable_observed) = (stable.of, stable.share());
            ("regression.clientErrors", candidate.share(), None)
        }
        Objection::NoReading { guard, .. } => (guard.as_str(), None, None),
        Objection::SharedCause(shared) => {
            to.stable_observed = Some(shared.stable);
            ("sharedCause", Some(shared.candidate), None)
        }
        Objection::Tripped => ("tripwire", None, None),
        Objection::NotReady(ready) => {
            ("readiness", Some(f64::from(ready.ready)), Some(f64::from(ready.total)))
        }
        Objection::TooFewReady { ready, share } => (
            "readiness",
            Some(f64::from(ready.ready) / f64::from(ready.total.max(1))),
            Some(share.ratio()),
        ),
        Objection::Frozen { .. } => ("freeze", None, None),
        Objection::BudgetFrozen { left, below } => ("budget", Some(*left), Some(*below)),
        Objection::Window { .. } => ("window", None, None),
        Objection::TooFewSamples(samples) => {
            ("minRequests", Some(samples.seen as f64), Some(samples.needed as f64))
        }
        Objection::NotProven { value, needed } => ("promotion", Some(*value), Some(*needed)),
        Objection::Gate { .. } => ("gate", None, None),
        Objection::Shadow { mismatched, below, .. } => ("shadow", Some(*mismatched), Some(*below)),
        Objection::Quarantined { .. } => ("quarantine", None, None),
        Objection::Accepted => ("command", None, None),
        Objection::Breached(reason) => return rollback(reason, to),
    };
    to.rule = rule.to_owned();
    to.observed = observed;
    to.threshold = threshold;
}

/// Shares and ratios as they are, times in seconds.
fn number(value: Value) -> f64 {
    match value {
        Value::Share(share) | Value::Ratio(share) => share,
        Value::Time(time) => time.as_secs_f64(),
    }
}
