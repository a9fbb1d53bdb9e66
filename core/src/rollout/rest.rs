//! No rollout is under way: sessions of the last one drain, and a release that `onChange`
//! has not seen begins its own.

use super::consequence::{Intent, Next};
use super::decision::{Event, Verdict};
use super::plan::{OnRollback, Plan, Start};
use super::position::{Identity, Phase, Position, RolloutState, Stage, Started};
use super::reason::{HoldReason, Idle};
use super::terms::Conditions;
use super::turn::Turn;
use super::{by_hand, queue};
use crate::assign::salt_of;
use crate::ids::{Epoch, RolloutId};
use crate::split::Scope;
use crate::time::Wall;
use crate::weights::BasisPoints;
use std::time::Duration;

/// So many releases are remembered.
const SEEN_AT_MOST: usize = 64;
const BY_ITSELF: &str = "serin";

pub(super) fn decide(turn: &mut Turn<'_>) -> Verdict {
    drain(turn);
    by_hand::forget_unlisted(turn);
    queue::drop_unwanted(turn);
    let intent = Intent::of(turn.terms);
    let idle = match (turn.plan(), why_not_start(intent, &turn.next, turn.conditions)) {
        (None, _) => HoldReason::Idle(Idle::NoPlan),
        (Some(_), Some(hold_reason)) => hold_reason,
        (Some(plan), None) => {
            let queued = turn.next.queued.take().map(|queued| queued.started);
            let started = queued.unwrap_or_else(|| by_itself(turn.now.wall));
            begin(turn, plan, started);
            HoldReason::JustStarted
        }
    };
    turn.hold_for(idle);
    turn.hold()
}

/// Why nothing begins at rest; `None` when what the plan brings in, queued or new, does.
pub(super) fn why_not_start(
    intent: Intent<'_>,
    position: &Position,
    conditions: &Conditions,
) -> Option<HoldReason> {
    let idle = |idle| Some(HoldReason::Idle(idle));
    let Some(next) = intent.next else { return idle(Idle::NoPlan) };
    if *next.version == position.stable.version {
        return idle(Idle::UpToDate);
    }
    if let Some(held) = position.quarantine.iter().find(|held| next.is(&held.identity)) {
        return Some(HoldReason::Quarantined { identity: next.identity(), why: held.why.clone() });
    }
    if position.manual.is_some() {
        return idle(Idle::ByHand);
    }
    if is_queued(next, position) {
        let freeze = conditions.freeze.as_ref()?;
        return Some(HoldReason::Frozen { by: freeze.by.clone(), reason: freeze.reason.clone() });
    }
    match next.start {
        Start::Manual => idle(Idle::Manual),
        Start::OnChange if position.seen.iter().any(|seen| next.is(seen)) => idle(Idle::Seen),
        Start::OnChange => None,
    }
}

/// Whether it would start if nothing were under way.
pub(super) fn would_start(next: Next<'_>, position: &Position) -> bool {
    let new = next.start == Start::OnChange && !position.seen.iter().any(|seen| next.is(seen));
    *next.version != position.stable.version
        && !position.quarantine.iter().any(|held| next.is(&held.identity))
        && (new || is_queued(next, position))
}

fn is_queued(next: Next<'_>, position: &Position) -> bool {
    position.queued.as_ref().is_some_and(|queued| next.is(&queued.identity))
}

pub(super) fn by_itself(at: Wall) -> Started {
    Started {
        at,
        by: BY_ITSELF.into(),
        reason: "a new release was configured".into(),
        committed_at: None,
    }
}

/// A new course, pending: it is the next decision that raises its weight.
pub(super) fn begin(turn: &mut Turn<'_>, plan: &Plan, started: Started) {
    let candidate = Identity { version: plan.to.clone(), release: plan.release.clone() };
    let epoch = turn.next.epoch.next();
    let id = RolloutId::new(&turn.terms.service, epoch);
    turn.events.push(Event::Started { candidate: candidate.clone(), by: started.by.clone() });
    remember(&mut turn.next, &candidate);
    turn.next.epoch = epoch;
    turn.next.rollout = Some(new_course(plan, id, epoch, candidate, started, turn.now.wall));
}

fn new_course(
    plan: &Plan,
    id: RolloutId,
    epoch: Epoch,
    candidate: Identity,
    started: Started,
    now: Wall,
) -> RolloutState {
    RolloutState {
        salt: salt_of(&id),
        id,
        epoch,
        candidate,
        steps: plan.steps.clone(),
        phase: Phase::Pending,
        stage: Stage::Before,
        weight: BasisPoints::ZERO,
        of: plan.steps.first().map_or(Scope::All, |step| step.of),
        held: Duration::ZERO,
        standing: Vec::new(),
        acted: Vec::new(),
        answers: Vec::new(),
        promoted: false,
        pause: None,
        ended: None,
        aside: None,
        returns: 0,
        drained: Duration::ZERO,
        started,
        stage_at: now,
    }
}

/// Adds a release to those that had their turn.
pub(super) fn remember(position: &mut Position, identity: &Identity) {
    position.seen.retain(|seen| seen != identity);
    position.seen.push(identity.clone());
    let surplus = position.seen.len().saturating_sub(SEEN_AT_MOST);
    position.seen.drain(..surplus);
}

/// Lets the time of draining sessions run.
fn drain(turn: &mut Turn<'_>) {
    let drains = turn.plan().is_some_and(|plan| plan.on_rollback == OnRollback::Drain);
    let elapsed = turn.elapsed;
    let Some(rollout) = &mut turn.next.rollout else { return };
    let leaves = matches!(rollout.phase, Phase::RolledBack | Phase::Superseded);
    if !leaves || rollout.drained >= super::DRAIN_AT_MOST {
        return;
    }
    rollout.drained += elapsed;
    if drains && rollout.drained >= super::DRAIN_AT_MOST {
        turn.events.push(Event::Drained);
    }
}
