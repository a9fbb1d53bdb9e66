//! All patience is over and there is no answer. The weight stays where it is; a person
//! promotes, resumes or aborts. Guards go on.

use super::decision::{Event, Verdict};
use super::plan::Plan;
use super::position::{Phase, RolloutState};
use super::reason::HoldReason;
use super::turn::Turn;
use super::waits;

pub(super) fn enter(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    seen: u64,
    needed: u64,
) -> Verdict {
    let why = HoldReason::GaveUp { after: rollout.held, seen, needed };
    rollout.phase = Phase::Inconclusive;
    turn.hold_reasons.insert(0, why.clone());
    turn.events.push(Event::Inconclusive { why: why.clone() });
    Verdict::Inconclusive(why)
}

pub(super) fn decide(turn: &mut Turn<'_>, rollout: &RolloutState, plan: &Plan) -> Verdict {
    let samples = waits::samples(turn, plan);
    let why =
        HoldReason::GaveUp { after: rollout.held, seen: samples.seen, needed: samples.needed };
    turn.hold_reasons.insert(0, why.clone());
    Verdict::Inconclusive(why)
}
