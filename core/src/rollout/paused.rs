//! Stopped by a person or by a guard: the weight stays, the hold stands still, and guards
//! are looked at as always.

use super::decision::{Event, Verdict};
use super::position::{Pause, Phase, RolloutState};
use super::reason::HoldReason;
use super::turn::Turn;

pub(super) fn decide(turn: &mut Turn<'_>, rollout: &RolloutState) -> Verdict {
    let pause = rollout.pause.as_ref();
    let by = pause.map_or_else(String::new, |pause| pause.by.clone());
    let why = pause.map_or_else(String::new, |pause| pause.why.clone());
    turn.hold_reasons.insert(0, HoldReason::Paused { by, why });
    turn.hold()
}

pub(super) fn by_guard(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    rule: String,
    why: String,
) -> Verdict {
    if rollout.phase == Phase::Paused {
        // A person paused it before; the guard's word is added, not put in its place.
        turn.events.push(Event::Paused { by: rule, why });
        return decide(turn, rollout);
    }
    let pause = Pause { by: rule.clone(), why, at: turn.now.wall, guard: Some(rule) };
    enter(turn, rollout, pause);
    decide(turn, rollout)
}

pub(super) fn enter(turn: &mut Turn<'_>, rollout: &mut RolloutState, pause: Pause) {
    turn.events.push(Event::Paused { by: pause.by.clone(), why: pause.why.clone() });
    rollout.phase = Phase::Paused;
    rollout.pause = Some(pause);
    rollout.promoted = false;
}
