//! When a rule is breached and proven, and going back would still be wrong.
//!
//! A few clients send no release back: what they ask for fails on any version, and cookies are free. What they
//! met is no evidence; it holds, and is told, where it would have been proof. Nobody is sent back to a stable
//! that is provably worse: that pauses until a person has looked. And a guard that stable breaches as well
//! holds, unless it is `of: absolute`. Signals are judged as ever.

use super::evidence::Concentration;
use super::guards::{Breach, act_once, warn};
use super::plan::Rule;
use super::position::RolloutState;
use super::reason::{HoldReason, RollbackReason};
use super::turn::Turn;
use crate::slo::{Promise, Severity};

pub(super) fn spare(turn: &mut Turn<'_>, rollout: &mut RolloutState, breaches: &mut Vec<Breach>) {
    for breach in std::mem::take(breaches) {
        match breach {
            Breach::Rollback(why) if let Some(whose) = hurt_few(turn, &why) => {
                hold_for(turn, rollout, why.label(), whose);
            }
            Breach::Rollback(why) if is_onto_worse(turn, &why) => {
                breaches.extend(pause_before_worse(turn, rollout, &why));
            }
            Breach::Rollback(why) if is_shared(turn, &why) => hold_with_stable(turn, rollout, &why),
            breach @ (Breach::Rollback(_) | Breach::Pause { .. }) => breaches.push(breach),
        }
    }
}

/// What would be proof if the failures or the slow requests of a few clients counted.
pub(super) fn hold_for_few_clients(turn: &mut Turn<'_>, rollout: &mut RolloutState) {
    let evidence = turn.evidence;
    let mut rules = Vec::new();
    let times = |rule: &str| {
        let slow = evidence.slow_clients.iter().find(|slow| slow.rule == rule)?;
        Some(slow.requests.clone())
    };
    let failures = || evidence.concentration.clone();
    if evidence.errors.is_some_and(|test| test.of_few_clients) {
        rules.push(("regression.errors".to_owned(), failures()));
    }
    if evidence.latency.is_some_and(|test| test.of_few_clients) {
        rules.push(("regression.latency".to_owned(), times("regression.latency")));
    }
    if evidence.before.is_some_and(|test| test.of_few_clients) {
        rules.push(("regression.before".to_owned(), failures()));
    }
    for reading in evidence.guards.iter().filter(|reading| reading.of_few_clients) {
        let of_errors = counts_errors(turn, &reading.name);
        let whose = if of_errors { failures() } else { times(&reading.name) };
        rules.push((reading.name.clone(), whose));
    }
    for reading in evidence.burns.iter().filter(|r| r.above && r.of_few_clients) {
        let rule = format!("burn.{}", reading.name);
        let whose = match reading.promise {
            Promise::Availability => failures(),
            Promise::Latency => times(&rule),
        };
        rules.push((rule, whose));
    }
    for (rule, whose) in rules {
        // At the border everybody's are proof a moment before those that count are.
        let Some(failures) = whose.filter(Concentration::is_concentrated) else { continue };
        hold_for(turn, rollout, rule, failures);
    }
}

fn hold_for(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    rule: String,
    failures: Concentration,
) {
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

/// Users cost nothing where a few clients make them.
fn hurt_few(turn: &Turn<'_>, why: &RollbackReason) -> Option<Concentration> {
    let RollbackReason::HarmUsers { .. } = why else { return None };
    turn.evidence.concentration.clone().filter(Concentration::is_concentrated)
}

/// A cap on harm is kept whoever is worse: it is the operator's last word.
fn is_onto_worse(turn: &Turn<'_>, why: &RollbackReason) -> bool {
    if turn.evidence.stable_worse.is_none() {
        return false;
    }
    match why {
        RollbackReason::Guard { guard, .. } => counts_errors(turn, guard),
        RollbackReason::Burn { promise: Promise::Availability, .. }
        | RollbackReason::WorseThanBefore { .. } => true,
        RollbackReason::Burn { promise: Promise::Latency, .. }
        | RollbackReason::Errors { .. }
        | RollbackReason::Slower { .. }
        | RollbackReason::HarmRequests { .. }
        | RollbackReason::HarmUsers { .. }
        | RollbackReason::TooFew(_)
        | RollbackReason::Aborted { .. }
        | RollbackReason::Undone { .. }
        | RollbackReason::Unlisted { .. } => false,
    }
}

fn counts_errors(turn: &Turn<'_>, guard: &str) -> bool {
    let found = turn.plan().and_then(|plan| plan.guards.iter().find(|g| g.name == guard));
    found.is_some_and(|guard| matches!(guard.rule, Rule::ErrorRate { .. }))
}
