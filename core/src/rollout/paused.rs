//! Stopped by a person or by a guard: the weight stays, the hold stands still, and guards
//! are looked at as always.

use super::decision::{Event, Verdict};
use super::position::{Course, Pause, Phase};
use super::reason::Objection;
use super::turn::Turn;

pub(super) fn decide(turn: &mut Turn<'_>, course: &Course) -> Verdict {
    let pause = course.pause.as_ref();
    let by = pause.map_or_else(String::new, |pause| pause.by.clone());
    let why = pause.map_or_else(String::new, |pause| pause.why.clone());
    turn.objections.insert(0, Objection::Paused { by, why });
    turn.hold()
}

pub(super) fn by_guard(
    turn: &mut Turn<'_>,
    course: &mut Course,
    rule: String,
    why: String,
) -> Verdict {
    if course.phase == Phase::Paused {
        // A person paused it before; the guard's word is added, not put in its place.
        turn.events.push(Event::Paused { by: rule, why });
        return decide(turn, course);
    }
    let pause = Pause { by: rule.clone(), why, at: turn.now.wall, guard: Some(rule) };
    enter(turn, course, pause);
    decide(turn, course)
}

pub(super) fn enter(turn: &mut Turn<'_>, course: &mut Course, pause: Pause) {
    turn.events.push(Event::Paused { by: pause.by.clone(), why: pause.why.clone() });
    course.phase = Phase::Paused;
    course.pause = Some(pause);
    course.promoted = false;
}
