//! The last hold is over: the candidate is stable now, and the former stable may go.

use super::decision::{Event, Verdict};
use super::plan::Plan;
use super::position::{Course, Ended, Phase};
use super::rest;
use super::turn::Turn;
use super::watching;

pub(super) fn perform(turn: &mut Turn<'_>, course: &mut Course, plan: &Plan) -> Verdict {
    let grounds = watching::grounds(turn, course, plan, course.weight);
    course.phase = Phase::Complete;
    course.promoted = false;
    course.ended = Some(Ended {
        at: turn.now.wall,
        by: course.started.by.clone(),
        label: "complete".to_owned(),
        why: grounds.to_string(),
        blamed: false,
        reached: course.weight,
    });
    turn.next.stable = course.candidate.clone();
    rest::remember(&mut turn.next, &course.candidate);
    turn.events.push(Event::Completed { stable: course.candidate.clone() });
    Verdict::Complete(grounds)
}
