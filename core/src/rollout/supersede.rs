//! Another candidate takes the place of one under way. The share goes to stable at once, as with a
//! rollback; but nothing is held against the release, and the next one starts from its first step.

use super::decision::{Event, Verdict};
use super::position::{Course, Ended, Identity, Phase, Queued, Started};
use super::rest;
use super::turn::Turn;
use crate::weights::BasisPoints;

/// The file names another candidate, with `onBusy: supersede` and `start: onChange`.
pub(super) fn by_file(turn: &mut Turn<'_>, course: &mut Course, next: Identity) -> Verdict {
    let waiting = turn.next.queued.take().filter(|queued| queued.identity == next);
    let started = waiting.map_or_else(|| rest::by_itself(turn.now.wall), |queued| queued.started);
    perform(turn, course, next, started)
}

/// The next decision starts `next`, once this one is durable or at least in force.
pub(super) fn perform(
    turn: &mut Turn<'_>,
    course: &mut Course,
    next: Identity,
    started: Started,
) -> Verdict {
    let from = course.weight;
    course.phase = Phase::Superseded;
    course.weight = BasisPoints::ZERO;
    course.promoted = false;
    course.pause = None;
    course.ended = Some(Ended {
        at: turn.now.wall,
        by: started.by.clone(),
        label: "superseded".to_owned(),
        why: format!("superseded by {next}"),
        blamed: false,
        reached: from,
    });
    let event = Event::Superseded { next: next.clone(), from, by: started.by.clone() };
    turn.events.push(event);
    turn.next.queued = Some(Queued { identity: next.clone(), started });
    turn.objections.clear();
    turn.asks.clear();
    Verdict::Supersede(next)
}
