//! Asked for, and at weight 0 until nothing stands against the first step.

use super::decision::Verdict;
use super::plan::Plan;
use super::position::Course;
use super::turn::Turn;
use super::{dark, waits, watching};

pub(super) fn decide(turn: &mut Turn<'_>, course: &mut Course, plan: &Plan) -> Verdict {
    waits::object_for_all(turn, plan, course.promoted);
    if !course.promoted {
        waits::object_to_budget(turn);
    }
    if let Some(dark) = &plan.dark {
        // Copies hurt nobody, so the gates of the first step are asked after them.
        if turn.objections.is_empty() {
            return dark::enter(turn, course, dark);
        }
        return turn.hold();
    }
    watching::enter_first(turn, course, plan)
}
