//! The candidate only gets copies, until enough of them were answered like stable answers.

use super::decision::{Event, Verdict};
use super::plan::{Dark, Plan};
use super::position::{Phase, RolloutState, Stage};
use super::reason::{Grounds, HoldReason};
use super::turn::Turn;
use super::{inconclusive, waits, watching};
use crate::weights::BasisPoints;
use std::time::Duration;

pub(super) fn enter(turn: &mut Turn<'_>, rollout: &mut RolloutState, dark: &Dark) -> Verdict {
    rollout.phase = Phase::Dark;
    rollout.stage = Stage::Dark;
    rollout.held = Duration::ZERO;
    rollout.promoted = false;
    rollout.stage_at = turn.now.wall;
    turn.events.push(Event::Dark { hold: dark.hold });
    Verdict::Advance(Grounds {
        from: BasisPoints::ZERO,
        to: BasisPoints::ZERO,
        held: Duration::ZERO,
        samples: super::Samples::default(),
        shown: None,
        promoted: false,
    })
}

pub(super) fn decide(turn: &mut Turn<'_>, rollout: &mut RolloutState, plan: &Plan) -> Verdict {
    let Some(dark) = &plan.dark else {
        return watching::enter_first(turn, rollout, plan);
    };
    if turn.has_data() {
        rollout.held += turn.elapsed;
    }
    waits::object_for_all(turn, plan, rollout.promoted);
    if !rollout.promoted {
        waits::object_to_budget(turn);
        let left = dark.hold.saturating_sub(rollout.held);
        if !left.is_zero() {
            turn.hold_for(HoldReason::HoldRunning { left });
        }
        waits::object_to_shadow(turn, dark.comparisons, dark.mismatch_below);
        let unproven = turn.hold_reasons.iter().any(|o| matches!(o, HoldReason::Shadow { .. }));
        if unproven && rollout.held >= plan.evidence.give_up_after.max(dark.hold) {
            let seen = turn.evidence.shadow.compared;
            return inconclusive::enter(turn, rollout, seen, dark.comparisons);
        }
    }
    watching::enter_first(turn, rollout, plan)
}
