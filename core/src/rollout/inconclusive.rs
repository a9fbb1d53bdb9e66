//! All patience is over and there is no answer. The weight stays where it is; a person
//! promotes, resumes or aborts. Guards go on.

use super::decision::{Event, Verdict};
use super::plan::Plan;
use super::position::{Course, Phase};
use super::reason::Objection;
use super::turn::Turn;
use super::waits;

pub(super) fn enter(turn: &mut Turn<'_>, course: &mut Course, seen: u64, needed: u64) -> Verdict {
    let why = Objection::GaveUp { after: course.held, seen, needed };
    course.phase = Phase::Inconclusive;
    turn.objections.insert(0, why.clone());
    turn.events.push(Event::Inconclusive { why: why.clone() });
    Verdict::Inconclusive(why)
}

pub(super) fn decide(turn: &mut Turn<'_>, course: &Course, plan: &Plan) -> Verdict {
    let samples = waits::samples(turn, plan);
    let why = Objection::GaveUp { after: course.held, seen: samples.seen, needed: samples.needed };
    turn.objections.insert(0, why.clone());
    Verdict::Inconclusive(why)
}
