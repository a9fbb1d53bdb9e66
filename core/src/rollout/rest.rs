//! No rollout is under way: sessions of the last one drain, and a release that `onChange`
//! has not seen begins its own.

use super::by_hand;
use super::decision::{Event, Verdict};
use super::plan::{OnRollback, Plan, Start};
use super::position::{Course, Identity, Phase, Position, Stage, Started};
use super::reason::{Idle, Objection};
use super::turn::Turn;
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
    let idle = match turn.plan() {
        None => Objection::Idle(Idle::NoPlan),
        Some(plan) => match why_not_start(turn, plan) {
            Some(objection) => objection,
            None => {
                let started = Started {
                    at: turn.now.wall,
                    by: BY_ITSELF.into(),
                    reason: "a new release was configured".into(),
                    committed_at: None,
                };
                begin(turn, plan, started);
                Objection::JustStarted
            }
        },
    };
    turn.object(idle);
    turn.hold()
}

fn why_not_start(turn: &Turn<'_>, plan: &Plan) -> Option<Objection> {
    let wanted = turn.terms.wanted()?;
    let idle = |idle| Some(Objection::Idle(idle));
    if wanted.version == turn.next.stable.version {
        return idle(Idle::UpToDate);
    }
    if let Some(held) = turn.next.quarantine.iter().find(|q| q.identity == wanted) {
        return Some(Objection::Quarantined { identity: wanted, why: held.why.clone() });
    }
    if turn.next.manual.is_some() {
        return idle(Idle::ByHand);
    }
    match plan.start {
        Start::Manual => idle(Idle::Manual),
        Start::OnChange if turn.next.seen.contains(&wanted) => idle(Idle::Seen),
        Start::OnChange => None,
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
    turn.next.course = Some(new_course(plan, id, epoch, candidate, started, turn.now.wall));
}

fn new_course(
    plan: &Plan,
    id: RolloutId,
    epoch: Epoch,
    candidate: Identity,
    started: Started,
    now: Wall,
) -> Course {
    Course {
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
    let Some(course) = &mut turn.next.course else { return };
    if course.phase != Phase::RolledBack || course.drained >= super::DRAIN_AT_MOST {
        return;
    }
    course.drained += elapsed;
    if drains && course.drained >= super::DRAIN_AT_MOST {
        turn.events.push(Event::Drained);
    }
}
