//! Two strikes for the comparison with stable.
//!
//! What both versions go through one after the other (a storm of errors, a slow minute) looks like a worse
//! candidate until the other one's turn has come. So the first proof sends nobody back: the candidate steps
//! aside, gets no traffic for a minute, and comes back on probation, where fresh traffic decides and less proof
//! is enough. If stable goes through the same meanwhile, or did just before, the candidate comes back as if nothing had been.
//!
//! Guards, burn rules, the cap on harm and commands ask for no second strike. Neither does the comparison where most of
//! the candidate's requests fail, or more than a guard allows, or while somebody has stopped the rollout.

use super::decision::{Event, Verdict};
use super::plan::{Action, Guard, Plan, Rule};
use super::position::{Aside, Phase, RolloutState};
use super::reason::{Grounds, HoldReason, RollbackReason};
use super::turn::Turn;
use super::{Samples, guards, waits};
use crate::weights::BasisPoints;
use std::time::Duration;

/// Of its requests: no storm, or one that nobody should sit through.
const MOST: f64 = 0.5;
const AWAY: Duration = Duration::from_secs(60);
/// So long, and so many requests.
const PROBATION: Duration = Duration::from_secs(300);
const REQUESTS: u64 = 1_000;

/// Whether this is a first strike.
pub(super) fn is_due(turn: &Turn<'_>, rollout: &RolloutState, why: &RollbackReason) -> bool {
    let compared = match why {
        RollbackReason::Errors { .. }
        | RollbackReason::Slower { .. }
        | RollbackReason::WorseThanBefore { .. } => true,
        RollbackReason::Guard { .. }
        | RollbackReason::Burn { .. }
        | RollbackReason::HarmRequests { .. }
        | RollbackReason::HarmUsers { .. }
        | RollbackReason::TooFew(_)
        | RollbackReason::Aborted { .. }
        | RollbackReason::Undone { .. }
        | RollbackReason::Unlisted { .. } => false,
    };
    let goes_on = matches!(rollout.phase, Phase::Running | Phase::Holding);
    // Where stable is in a storm as well a second one is as little the candidate's.
    let first = rollout.aside.is_none() || turn.evidence.stable_stormy;
    compared && goes_on && first && rollout.weight < BasisPoints::WHOLE && !is_plain(turn, why)
}

/// Whether nobody waits for a second strike. Where stable was looked at before and not beside, only what it meets
/// in the minute aside tells whose doing it is.
fn is_plain(turn: &Turn<'_>, why: &RollbackReason) -> bool {
    match why {
        RollbackReason::Errors { .. } => fails_more_than_allowed(turn),
        RollbackReason::Slower { .. } => is_slower_than_allowed(turn),
        RollbackReason::WorseThanBefore { .. }
        | RollbackReason::Guard { .. }
        | RollbackReason::Burn { .. }
        | RollbackReason::HarmRequests { .. }
        | RollbackReason::HarmUsers { .. }
        | RollbackReason::TooFew(_)
        | RollbackReason::Aborted { .. }
        | RollbackReason::Undone { .. }
        | RollbackReason::Unlisted { .. } => false,
    }
}

/// Most of the candidate's requests fail, or more of them than a guard of the operator's allows, since the
/// comparison began to speak against it.
fn fails_more_than_allowed(turn: &Turn<'_>) -> bool {
    let accused = turn.evidence.accused;
    let Some(share) = accused.share() else { return false };
    let at_once = |guard: &Guard| guard.action == Action::Rollback && guard.lasting.is_zero();
    let allows = |guard: &Guard| match guard.rule {
        Rule::ErrorRate { above } if at_once(guard) => share <= above,
        Rule::ErrorRate { .. }
        | Rule::Latency { .. }
        | Rule::Signal { .. }
        | Rule::ShadowMismatch { .. }
        | Rule::ShadowErrors { .. } => true,
    };
    share > MOST || !turn.plan().is_some_and(|plan| plan.guards.iter().all(allows))
}

/// A guard on times reads beyond its limit, and stable does not.
fn is_slower_than_allowed(turn: &Turn<'_>) -> bool {
    let guards = turn.plan().map_or(&[][..], |plan| &plan.guards);
    let beyond = |guard: &Guard| {
        let reading = turn.evidence.guards.iter().find(|reading| reading.name == guard.name);
        reading.is_some_and(|reading| reading.breached && !reading.shared)
    };
    let at_once = |guard: &Guard| guard.action == Action::Rollback && guard.lasting.is_zero();
    let of_times = |guard: &Guard| matches!(guard.rule, Rule::Latency { .. });
    guards.iter().any(|guard| at_once(guard) && of_times(guard) && beyond(guard))
}

pub(super) fn step(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    why: RollbackReason,
) -> Verdict {
    let (from, severity) = (rollout.weight, guards::severity(turn, &why));
    rollout.aside = Some(Aside {
        rule: why.label(),
        why: why.to_string(),
        weight: from,
        away: AWAY,
        probation: PROBATION,
    });
    rollout.weight = BasisPoints::ZERO;
    rollout.phase = Phase::Holding;
    turn.events.push(Event::SteppedAside { why, from, away: AWAY, severity });
    turn.hold_reasons.clear();
    turn.asks.clear();
    hold(turn, rollout);
    turn.hold()
}

/// What an aside means for this turn. `None`: the rollout goes on as ever.
pub(super) fn decide(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    plan: &Plan,
) -> Option<Verdict> {
    let promoted = rollout.promoted;
    let fresh = turn.evidence.errors.map_or(0, |test| test.candidate.of);
    let elapsed = if turn.has_data() { turn.elapsed } else { Duration::ZERO };
    let aside = rollout.aside.as_mut()?;
    if rollout.weight > BasisPoints::ZERO {
        aside.probation = aside.probation.saturating_sub(elapsed);
        if promoted || (aside.probation.is_zero() && fresh >= REQUESTS) {
            rollout.aside = None;
        } else {
            hold(turn, rollout);
        }
        return None;
    }
    aside.away = aside.away.saturating_sub(elapsed);
    if promoted || aside.away.is_zero() {
        waits::object_for_all(turn, plan, promoted);
        if turn.hold_reasons.is_empty() {
            return Some(come_back(turn, rollout));
        }
    } else {
        hold(turn, rollout);
    }
    Some(turn.hold())
}

fn come_back(turn: &mut Turn<'_>, rollout: &mut RolloutState) -> Verdict {
    let to = rollout.aside.as_ref().map_or(BasisPoints::ZERO, |aside| aside.weight);
    rollout.weight = to;
    rollout.returns += 1;
    let cleared = turn.evidence.stable_stormy;
    // A promotion is for one move: it brings the candidate back, and not to the step after as well.
    let promoted = std::mem::take(&mut rollout.promoted);
    if promoted || cleared {
        rollout.aside = None;
    }
    turn.events.push(Event::CameBack { to, cleared });
    let held = if promoted { Duration::ZERO } else { AWAY };
    let (from, samples) = (BasisPoints::ZERO, Samples::default());
    Verdict::Advance(Grounds { from, to, held, samples, shown: None, promoted })
}

fn hold(turn: &mut Turn<'_>, rollout: &RolloutState) {
    let Some(Aside { rule, away, probation, .. }) = &rollout.aside else { return };
    let (rule, away, probation) = (rule.clone(), *away, *probation);
    let requests = Samples {
        seen: turn.evidence.errors.map_or(0, |test| test.candidate.of),
        needed: REQUESTS,
    };
    turn.hold_for(HoldReason::Aside { rule, away, probation, requests });
}
