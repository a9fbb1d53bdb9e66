//! On a step: `running` while its hold runs, `holding` when something else is waited for.

use super::decision::{Event, Verdict};
use super::plan::{OnTooFew, Plan, Step, Strategy};
use super::position::{Phase, RolloutState, Stage};
use super::reason::{GoodEnough, Grounds, HoldReason, RollbackReason};
use super::turn::Turn;
use super::{complete, inconclusive, rollback, waits};
use crate::weights::BasisPoints;
use std::time::Duration;

pub(super) fn decide(turn: &mut Turn<'_>, rollout: &mut RolloutState, plan: &Plan) -> Verdict {
    if turn.has_data() {
        rollout.held += turn.elapsed;
    }
    if let Some(verdict) = step_back(turn, rollout, plan) {
        return verdict;
    }
    let next = next_step(rollout, plan);
    waits::object_for_all(turn, plan, rollout.promoted);
    if !rollout.promoted {
        waits::object_to_budget(turn);
        waits::object_to_hold(turn, rollout);
        waits::object_to_evidence(turn, plan, rollout.weight);
        if let Some(verdict) = give_up(turn, rollout, plan) {
            return verdict;
        }
    }
    match next {
        Some((index, step)) => enter(turn, rollout, plan, index, step),
        None if turn.hold_reasons.is_empty() => complete::perform(turn, rollout, plan),
        None => wait(turn, rollout),
    }
}

/// From before the steps onto the first one, if nothing stands against it.
pub(super) fn enter_first(turn: &mut Turn<'_>, rollout: &mut RolloutState, plan: &Plan) -> Verdict {
    match plan.steps.first() {
        Some(first) => enter(turn, rollout, plan, 0, first),
        None => turn.hold(),
    }
}

fn enter(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    plan: &Plan,
    index: u16,
    step: &Step,
) -> Verdict {
    waits::object_to_endpoints(turn, plan, step.weight);
    waits::object_to_gates(turn, rollout, plan, step.weight, rollout.promoted);
    if !turn.hold_reasons.is_empty() {
        return wait(turn, rollout);
    }
    let to = plan.weight_of(step);
    let grounds = grounds(turn, rollout, plan, to);
    turn.events.push(Event::Advanced { from: rollout.weight, to });
    stand_on(turn, rollout, Stage::Step(index), to);
    rollout.of = step.of;
    rollout.phase = Phase::Running;
    Verdict::Advance(grounds)
}

pub(super) fn grounds(
    turn: &Turn<'_>,
    rollout: &RolloutState,
    plan: &Plan,
    to: BasisPoints,
) -> Grounds {
    let on_a_step = rollout.step().is_some();
    Grounds {
        from: rollout.weight,
        to,
        held: rollout.held,
        samples: if on_a_step { waits::samples(turn, plan) } else { super::Samples::default() },
        shown: GoodEnough::shown(turn.evidence, plan.evidence.accept).filter(|_| on_a_step),
        promoted: rollout.promoted,
    }
}

/// Nothing moves. Before the steps the phase stays what it was.
fn wait(turn: &mut Turn<'_>, rollout: &mut RolloutState) -> Verdict {
    if matches!(rollout.phase, Phase::Running | Phase::Holding) {
        let running = rollout.hold_left().is_some_and(|left| !left.is_zero());
        let counted = turn.has_data() && !rollout.promoted;
        rollout.phase = if running && counted { Phase::Running } else { Phase::Holding };
    }
    turn.hold()
}

/// The end of the hold without enough requests, or of all patience without an answer.
fn give_up(turn: &mut Turn<'_>, rollout: &mut RolloutState, plan: &Plan) -> Option<Verdict> {
    let hold = rollout.hold()?;
    if rollout.held < hold || !turn.has_data() {
        return None;
    }
    let too_few = turn.hold_reasons.iter().any(|o| matches!(o, HoldReason::TooFewSamples(_)));
    let proof =
        |o: &HoldReason| matches!(o, HoldReason::NotProven { .. } | HoldReason::NoReading { .. });
    // Its time on probation is over, and hardly anybody came.
    let probation =
        |o: &HoldReason| matches!(o, HoldReason::Aside { probation, .. } if probation.is_zero());
    let unproven = turn.hold_reasons.iter().any(|o| proof(o) || probation(o));
    let samples = waits::samples(turn, plan);
    let patience_is_over = rollout.held >= plan.evidence.give_up_after.max(hold);
    match plan.evidence.on_too_few {
        OnTooFew::Rollback if too_few => {
            Some(rollback::perform(turn, rollout, RollbackReason::TooFew(samples)))
        }
        OnTooFew::Pause if too_few => {
            Some(inconclusive::enter(turn, rollout, samples.seen, samples.needed))
        }
        OnTooFew::Hold | OnTooFew::Pause | OnTooFew::Rollback => ((too_few || unproven)
            && patience_is_over)
            .then(|| inconclusive::enter(turn, rollout, samples.seen, samples.needed)),
    }
}

/// `rolling`: a step is open only while enough endpoints are ready for it.
fn step_back(turn: &mut Turn<'_>, rollout: &mut RolloutState, plan: &Plan) -> Option<Verdict> {
    let open = waits::open_share(turn.evidence)?;
    if plan.strategy != Strategy::Rolling || open >= rollout.weight {
        return None;
    }
    let (stage, weight) = last_step_within(plan, open);
    let from = rollout.weight;
    turn.events.push(Event::SteppedBack { from, to: weight });
    stand_on(turn, rollout, stage, weight);
    rollout.phase = if stage == Stage::Before { Phase::Pending } else { Phase::Running };
    waits::object_to_endpoints(turn, plan, from);
    Some(turn.hold())
}

pub(super) fn next_step<'a>(rollout: &RolloutState, plan: &'a Plan) -> Option<(u16, &'a Step)> {
    let index = match rollout.stage {
        Stage::Before | Stage::Dark => {
            // A weight set by hand can be past the first steps.
            plan.steps.iter().position(|step| step.weight > rollout.weight)?
        }
        Stage::Step(index) => usize::from(index) + 1,
    };
    let step = plan.steps.get(index)?;
    Some((u16::try_from(index).ok()?, step))
}

/// The furthest step that is not above a weight.
pub(super) fn last_step_within(plan: &Plan, weight: BasisPoints) -> (Stage, BasisPoints) {
    let steps = &plan.steps;
    let within = steps.iter().rposition(|step| plan.weight_of(step) <= weight);
    match within.and_then(|index| u16::try_from(index).ok()) {
        Some(index) => (Stage::Step(index), plan.weight_of(&steps[usize::from(index)])),
        None => (Stage::Before, BasisPoints::ZERO),
    }
}

fn stand_on(turn: &Turn<'_>, rollout: &mut RolloutState, stage: Stage, weight: BasisPoints) {
    rollout.stage = stage;
    rollout.weight = weight;
    rollout.held = Duration::ZERO;
    rollout.promoted = false;
    rollout.acted.clear();
    rollout.stage_at = turn.now.wall;
}

/// A reload changed the steps: the weight stays, the place in the plan is found again, and its
/// hold begins anew.
pub(super) fn follow_plan(turn: &mut Turn<'_>, rollout: &mut RolloutState, plan: &Plan) {
    if rollout.steps == plan.steps {
        return;
    }
    rollout.steps = plan.steps.clone();
    turn.events.push(Event::PlanChanged { weight: rollout.weight });
    let weight = rollout.aside.as_ref().map_or(rollout.weight, |aside| aside.weight);
    if weight > BasisPoints::ZERO {
        rollout.stage = last_step_within(plan, weight).0;
        rollout.held = Duration::ZERO;
        rollout.promoted = false;
        rollout.stage_at = turn.now.wall;
    }
}
