//! Weights set by a person. Divided between stable and what the plan brings in, they are a
//! rollout that stands still at that weight: watched, guarded, and resumed into its plan.
//! Anything else is kept as it is, and nothing judges it.

use super::command::unskippable;
use super::decision::{Event, Verdict};
use super::plan::Plan;
use super::position::{Identity, Manual, Pause, Phase, Position, RolloutState, Started};
use super::reason::{HoldReason, Idle, RollbackReason};
use super::refusal::Refusal;
use super::turn::Turn;
use super::words::Given;
use super::{paused, queue, rest, rollback, watching};
use crate::ids::VersionName;
use crate::weights::{BasisPoints, Weights};
use std::time::Duration;

pub(super) fn set(
    turn: &mut Turn<'_>,
    before: &Position,
    weights: &Weights,
    actor: &str,
    reason: &str,
) -> Result<Verdict, Refusal> {
    let used = || weights.iter().filter(|(_, weight)| *weight > BasisPoints::ZERO);
    if let Some((unknown, _)) = used().find(|(version, _)| turn.terms.listed(version).is_none()) {
        return Err(Refusal::UnknownVersion(unknown.clone()));
    }
    let stable = turn.next.stable.version.clone();
    let others: Vec<&VersionName> = used().map(|(v, _)| v).filter(|v| **v != stable).collect();
    let candidate = before.active().map(|rollout| rollout.candidate.version.clone());
    let by = By { actor, reason };
    match (candidate, &others[..]) {
        (Some(_), []) => abort(turn, by),
        (Some(candidate), [one]) if **one == candidate => {
            let plan = turn.plan().ok_or(Refusal::NoPlan)?;
            let rollout = turn.next.rollout.take().ok_or(Refusal::NoRollout)?;
            move_to(turn, plan, rollout, weights.of(&candidate), by)
        }
        (Some(candidate), _) => Err(Refusal::OtherVersions { candidate }),
        (None, []) => Ok(clear(turn, actor)),
        (None, [one]) => match turn.plan().filter(|plan| plan.to == **one) {
            Some(plan) => begin_at(turn, plan, weights.of(one), by),
            None => keep(turn, weights, by),
        },
        (None, _) => keep(turn, weights, by),
    }
}

#[derive(Debug, Clone, Copy)]
struct By<'a> {
    actor: &'a str,
    reason: &'a str,
}

fn abort(turn: &mut Turn<'_>, by: By<'_>) -> Result<Verdict, Refusal> {
    let mut rollout = turn.next.rollout.take().ok_or(Refusal::NoRollout)?;
    let why = RollbackReason::Aborted { by: by.actor.into(), reason: by.reason.into() };
    let verdict = rollback::perform(turn, &mut rollout, why);
    queue::drop_with_abort(turn);
    turn.next.rollout = Some(rollout);
    Ok(verdict)
}

fn clear(turn: &mut Turn<'_>, actor: &str) -> Verdict {
    let from = away(turn);
    turn.next.manual = None;
    if from > BasisPoints::ZERO {
        turn.events.push(Event::SetByHand { from, to: BasisPoints::ZERO, by: actor.to_owned() });
    }
    turn.hold_for(HoldReason::Accepted);
    turn.hold()
}

/// A version that the file no longer lists cannot keep a share: everything is stable's again.
pub(super) fn forget_unlisted(turn: &mut Turn<'_>) {
    let gone = turn.next.manual.as_ref().is_some_and(|manual| {
        manual.weights.iter().any(|(version, weight)| {
            weight > BasisPoints::ZERO && turn.terms.listed(version).is_none()
        })
    });
    if gone {
        let (from, to) = (away(turn), BasisPoints::ZERO);
        turn.next.manual = None;
        turn.events.push(Event::SetByHand { from, to, by: "the configuration".to_owned() });
    }
}

/// The share by hand that is not stable's.
fn away(turn: &Turn<'_>) -> BasisPoints {
    let stable = &turn.next.stable.version;
    let manual = turn.next.manual.as_ref();
    manual.map_or(BasisPoints::ZERO, |manual| manual.weights.of(stable).rest())
}

fn begin_at(
    turn: &mut Turn<'_>,
    plan: &Plan,
    weight: BasisPoints,
    by: By<'_>,
) -> Result<Verdict, Refusal> {
    let wanted = Identity { version: plan.to.clone(), release: plan.release.clone() };
    if let Some(held) = turn.next.quarantine.iter().find(|held| held.identity == wanted) {
        return Err(Refusal::Quarantined { identity: wanted, why: held.why.clone() });
    }
    let (actor, reason) = (by.actor.to_owned(), by.reason.to_owned());
    let started = Started { at: turn.now.wall, by: actor, reason, committed_at: None };
    turn.next.manual = None;
    turn.next.queued = None;
    rest::begin(turn, plan, started);
    let rollout = turn.next.rollout.take().ok_or(Refusal::NoRollout)?;
    move_to(turn, plan, rollout, weight, by)
}

fn move_to(
    turn: &mut Turn<'_>,
    plan: &Plan,
    mut rollout: RolloutState,
    weight: BasisPoints,
    by: By<'_>,
) -> Result<Verdict, Refusal> {
    if weight > rollout.weight {
        let hold_reasons = unskippable(turn, &rollout, plan);
        if !hold_reasons.is_empty() {
            return Err(Refusal::Held(hold_reasons));
        }
    }
    let (from, actor) = (rollout.weight, by.actor.to_owned());
    turn.events.push(Event::SetByHand { from, to: weight, by: actor.clone() });
    rollout.weight = weight;
    rollout.aside = None;
    rollout.stage = watching::last_step_within(plan, weight).0;
    rollout.of = rollout.step().map_or(rollout.of, |step| step.of);
    rollout.held = Duration::ZERO;
    rollout.promoted = false;
    rollout.stage_at = turn.now.wall;
    if rollout.phase != Phase::Paused {
        let why = format!("weight set by hand{}", Given(by.reason));
        let pause = Pause { by: actor, why, at: turn.now.wall, guard: None };
        paused::enter(turn, &mut rollout, pause);
    }
    let verdict = paused::decide(turn, &rollout);
    turn.next.rollout = Some(rollout);
    Ok(verdict)
}

/// Versions that no plan brings in: nothing is compared, and nothing rolls back.
fn keep(turn: &mut Turn<'_>, weights: &Weights, by: By<'_>) -> Result<Verdict, Refusal> {
    if let Some(freeze) = &turn.conditions.freeze {
        let (by, reason) = (freeze.by.clone(), freeze.reason.clone());
        return Err(Refusal::Held(vec![HoldReason::Frozen { by, reason }]));
    }
    let from = away(turn);
    turn.next.manual = Some(Manual {
        weights: weights.clone(),
        by: by.actor.to_owned(),
        reason: by.reason.to_owned(),
        at: turn.now.wall,
    });
    let to = away(turn);
    turn.events.push(Event::SetByHand { from, to, by: by.actor.to_owned() });
    turn.hold_for(HoldReason::Idle(Idle::ByHand));
    Ok(turn.hold())
}
