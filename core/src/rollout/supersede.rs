//! Another candidate takes the place of one under way. The share goes to stable at once, as with a
//! rollback; but nothing is held against the release, and the next one starts from its first step.

use super::decision::{Event, Verdict};
use super::position::{Ended, Identity, Phase, Queued, RolloutState, Started};
use super::rest;
use super::turn::Turn;
use crate::weights::BasisPoints;

/// The file names another candidate, with `onBusy: supersede` and `start: onChange`.
pub(super) fn by_file(turn: &mut Turn<'_>, rollout: &mut RolloutState, next: Identity) -> Verdict {
    let waiting = turn.next.queued.take().filter(|queued| queued.identity == next);
    let started = waiting.map_or_else(|| rest::by_itself(turn.now.wall), |queued| queued.started);
    perform(turn, rollout, next, started)
}

/// The next decision starts `next`, once this one is durable or at least in force.
pub(super) fn perform(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    next: Identity,
    started: Started,
) -> Verdict {
    let from = rollout.weight;
    rollout.phase = Phase::Superseded;
    rollout.weight = BasisPoints::ZERO;
    rollout.promoted = false;
    rollout.pause = None;
    rollout.aside = None;
    rollout.ended = Some(Ended {
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
    turn.hold_reasons.clear();
    turn.asks.clear();
    Verdict::Supersede(next)
}
