//! Asked for, and at weight 0 until nothing stands against the first step.

use super::decision::Verdict;
use super::plan::Plan;
use super::position::RolloutState;
use super::turn::Turn;
use super::{dark, waits, watching};

pub(super) fn decide(turn: &mut Turn<'_>, rollout: &mut RolloutState, plan: &Plan) -> Verdict {
    waits::object_for_all(turn, plan, rollout.promoted);
    if !rollout.promoted {
        waits::object_to_budget(turn);
    }
    if let Some(dark) = &plan.dark {
        // Copies hurt nobody, so the gates of the first step are asked after them.
        if turn.hold_reasons.is_empty() {
            return dark::enter(turn, rollout, dark);
        }
        return turn.hold();
    }
    watching::enter_first(turn, rollout, plan)
}
