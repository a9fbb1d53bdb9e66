//! The last hold is over: the candidate is stable now, and the former stable may go.

use super::decision::{Event, Verdict};
use super::plan::Plan;
use super::position::{Ended, Phase, RolloutState};
use super::rest;
use super::turn::Turn;
use super::{undo, watching};
use crate::weights::BasisPoints;

pub(super) fn perform(turn: &mut Turn<'_>, rollout: &mut RolloutState, plan: &Plan) -> Verdict {
    let grounds = watching::grounds(turn, rollout, plan, BasisPoints::WHOLE);
    rollout.phase = Phase::Complete;
    // With what stable kept until now.
    rollout.weight = BasisPoints::WHOLE;
    rollout.promoted = false;
    rollout.ended = Some(Ended {
        at: turn.now.wall,
        by: rollout.started.by.clone(),
        label: "complete".to_owned(),
        why: grounds.to_string(),
        blamed: false,
        reached: rollout.weight,
    });
    let former = std::mem::replace(&mut turn.next.stable, rollout.candidate.clone());
    undo::remember(turn, former, rollout);
    rest::remember(&mut turn.next, &rollout.candidate);
    turn.events.push(Event::Completed { stable: rollout.candidate.clone() });
    Verdict::Complete(grounds)
}
