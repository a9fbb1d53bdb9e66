//! The candidate only gets copies, until enough of them were answered like stable answers.

use super::decision::{Event, Verdict};
use super::plan::{Dark, Plan};
use super::position::{Course, Phase, Stage};
use super::reason::{Grounds, Objection};
use super::turn::Turn;
use super::{inconclusive, waits, watching};
use crate::weights::BasisPoints;
use std::time::Duration;

pub(super) fn enter(turn: &mut Turn<'_>, course: &mut Course, dark: &Dark) -> Verdict {
    course.phase = Phase::Dark;
    course.stage = Stage::Dark;
    course.held = Duration::ZERO;
    course.promoted = false;
    course.stage_at = turn.now.wall;
    turn.events.push(Event::Dark { hold: dark.hold });
    Verdict::Advance(Grounds {
        from: BasisPoints::ZERO,
        to: BasisPoints::ZERO,
        held: Duration::ZERO,
        samples: super::Samples::default(),
        bet: None,
        promoted: false,
    })
}

pub(super) fn decide(turn: &mut Turn<'_>, course: &mut Course, plan: &Plan) -> Verdict {
    let Some(dark) = &plan.dark else {
        return watching::enter_first(turn, course, plan);
    };
    if turn.has_data() {
        course.held += turn.elapsed;
    }
    waits::object_for_all(turn, plan, course.promoted);
    if !course.promoted {
        waits::object_to_budget(turn);
        let left = dark.hold.saturating_sub(course.held);
        if !left.is_zero() {
            turn.object(Objection::HoldRunning { left });
        }
        waits::object_to_shadow(turn, dark.comparisons, dark.mismatch_below);
        let unproven = turn.objections.iter().any(|o| matches!(o, Objection::Shadow { .. }));
        if unproven && course.held >= plan.evidence.give_up_after.max(dark.hold) {
            let seen = turn.evidence.shadow.compared;
            return inconclusive::enter(turn, course, seen, dark.comparisons);
        }
    }
    watching::enter_first(turn, course, plan)
}
