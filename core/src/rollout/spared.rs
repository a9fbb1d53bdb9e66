//! When a rule is breached and proven, and going back would still be wrong.
//!
//! A few clients send no release back: what they ask for fails on any version, and cookies are free.
//! And nobody is sent back to a stable that is provably worse. Both are told and neither is hidden:
//! the first holds, the second pauses until a person has looked. Slow requests of a few clients are theirs
//! as well. And a guard that stable breaches as well holds, unless it is `of: absolute`. What is a count
//! (`harm.failedRequests`) or a signal is judged as ever.

use super::evidence::{Concentration, Value};
use super::guards::{Breach, act_once, warn};
use super::plan::Rule;
use super::position::RolloutState;
use super::reason::{HoldReason, RollbackReason};
use super::turn::Turn;
use crate::slo::{Promise, Severity};

pub(super) fn spare(turn: &mut Turn<'_>, rollout: &mut RolloutState, breaches: &mut Vec<Breach>) {
    for breach in std::mem::take(breaches) {
        match breach {
            Breach::Rollback(why) if let Some(whose) = few_clients(turn, &why) => {
                hold_for_few_clients(turn, rollout, &why, whose);
            }
            Breach::Rollback(why) if is_onto_worse(turn, &why) => {
                breaches.extend(pause_before_worse(turn, rollout, &why));
            }
            Breach::Rollback(why) if is_shared(turn, &why) => hold_with_stable(turn, rollout, &why),
            breach @ (Breach::Rollback(_) | Breach::Pause { .. }) => breaches.push(breach),
        }
    }
}

fn hold_for_few_clients(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    why: &RollbackReason,
    failures: Concentration,
) {
    let rule = why.label();
    let hold_reason = HoldReason::FewClients { rule: rule.clone(), failures };
    if act_once(rollout, &format!("few clients: {rule}")) {
        warn(turn, &rule, hold_reason.to_string(), Severity::P2);
    }
    turn.hold_reasons.insert(0, hold_reason);
}

fn pause_before_worse(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    why: &RollbackReason,
) -> Option<Breach> {
    let shares = turn.evidence.stable_worse?;
    let rule = why.label();
    turn.hold_for(HoldReason::StableWorse { rule: rule.clone(), shares });
    if !act_once(rollout, &format!("stable is worse: {rule}")) {
        return None;
    }
    let said = format!("{why}; stable is provably worse ({shares}), so nobody is sent back to it");
    warn(turn, &rule, said.clone(), Severity::P1);
    Some(Breach::Pause { rule, why: said })
}

fn is_shared(turn: &Turn<'_>, why: &RollbackReason) -> bool {
    let RollbackReason::Guard { guard, .. } = why else { return false };
    turn.evidence.guards.iter().any(|reading| reading.name == *guard && reading.shared)
}

fn hold_with_stable(turn: &mut Turn<'_>, rollout: &mut RolloutState, why: &RollbackReason) {
    let RollbackReason::Guard { guard, observed, threshold, stable, .. } = why else { return };
    let (observed, threshold, stable) = (*observed, *threshold, *stable);
    let hold_reason =
        HoldReason::StableAsWell { guard: guard.clone(), observed, threshold, stable };
    if act_once(rollout, &format!("shared: {guard}")) {
        warn(turn, guard, hold_reason.to_string(), Severity::P3);
    }
    turn.hold_for(hold_reason);
}

/// A few clients, without whom the rule would not act.
fn few_clients(turn: &Turn<'_>, why: &RollbackReason) -> Option<Concentration> {
    if is_of_few_clients(turn, why) {
        return turn.evidence.concentration.clone();
    }
    let slow = turn.evidence.slow_clients.iter().find(|slow| slow.rule == why.label())?;
    let few = slow.requests.is_concentrated()
        && !slow.requests.still_beyond(slow.observed, slow.limit)
        && is_about_times(turn, why);
    few.then(|| slow.requests.clone())
}

/// A guard may have a burn rule's name.
fn is_about_times(turn: &Turn<'_>, why: &RollbackReason) -> bool {
    match why {
        RollbackReason::Guard { guard, .. } => {
            let found = turn.plan().and_then(|plan| plan.guards.iter().find(|g| g.name == *guard));
            found.is_some_and(|guard| matches!(guard.rule, Rule::Latency { .. }))
        }
        RollbackReason::Burn { promise, .. } => *promise == Promise::Latency,
        RollbackReason::Slower { .. } => true,
        RollbackReason::Errors { .. }
        | RollbackReason::HarmRequests { .. }
        | RollbackReason::HarmUsers { .. }
        | RollbackReason::TooFew(_)
        | RollbackReason::Aborted { .. }
        | RollbackReason::Unlisted { .. } => false,
    }
}

/// Without the failures of a few clients, would the rule still act?
fn is_of_few_clients(turn: &Turn<'_>, why: &RollbackReason) -> bool {
    let concentrated = turn.evidence.concentration.as_ref().filter(|c| c.is_concentrated());
    let Some(failures) = concentrated else { return false };
    match why {
        RollbackReason::Guard { guard, observed, threshold, .. } => {
            let beyond = share(*observed).zip(share(Some(*threshold)));
            counts_errors(turn, guard)
                && !beyond.is_some_and(|(seen, limit)| failures.still_beyond(seen, limit))
        }
        RollbackReason::Burn { promise: Promise::Availability, long, short, threshold, .. } => {
            let rate = long.unwrap_or(0.0).min(short.unwrap_or(0.0));
            !failures.still_beyond(rate, *threshold)
        }
        RollbackReason::Errors { candidate, stable, .. } => {
            !failures.still_beyond(candidate.share().unwrap_or(0.0), acceptable(turn, *stable))
        }
        RollbackReason::HarmUsers { .. } => true,
        RollbackReason::Burn { promise: Promise::Latency, .. }
        | RollbackReason::Slower { .. }
        | RollbackReason::HarmRequests { .. }
        | RollbackReason::TooFew(_)
        | RollbackReason::Aborted { .. }
        | RollbackReason::Unlisted { .. } => false,
    }
}

/// A cap on harm is kept whoever is worse: it is the operator's last word.
fn is_onto_worse(turn: &Turn<'_>, why: &RollbackReason) -> bool {
    if turn.evidence.stable_worse.is_none() {
        return false;
    }
    match why {
        RollbackReason::Guard { guard, .. } => counts_errors(turn, guard),
        RollbackReason::Burn { promise: Promise::Availability, .. } => true,
        RollbackReason::Burn { promise: Promise::Latency, .. }
        | RollbackReason::Errors { .. }
        | RollbackReason::Slower { .. }
        | RollbackReason::HarmRequests { .. }
        | RollbackReason::HarmUsers { .. }
        | RollbackReason::TooFew(_)
        | RollbackReason::Aborted { .. }
        | RollbackReason::Unlisted { .. } => false,
    }
}

fn counts_errors(turn: &Turn<'_>, guard: &str) -> bool {
    let found = turn.plan().and_then(|plan| plan.guards.iter().find(|g| g.name == guard));
    found.is_some_and(|guard| matches!(guard.rule, Rule::ErrorRate { .. }))
}

/// The share of failures that the comparison with stable accepts.
fn acceptable(turn: &Turn<'_>, stable: crate::measure::Part) -> f64 {
    let margin = turn.plan().map_or(1.0, |plan| plan.regression.errors);
    let allowed = 1.0 - turn.terms.objectives.availability.objective;
    (margin * stable.share().unwrap_or(0.0)).max(allowed)
}

fn share(value: Option<Value>) -> Option<f64> {
    match value {
        Some(Value::Share(share)) => Some(share),
        Some(Value::Time(_) | Value::Ratio(_)) | None => None,
    }
}
