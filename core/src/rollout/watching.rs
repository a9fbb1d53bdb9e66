//! On a step: `running` while its hold runs, `holding` when something else is waited for.

use super::decision::{Event, Verdict};
use super::plan::{OnTooFew, Plan, Step, Strategy};
use super::position::{Course, Phase, Stage};
use super::reason::{Grounds, Objection, RollbackReason};
use super::turn::Turn;
use super::{complete, inconclusive, rollback, waits};
use crate::weights::BasisPoints;
use std::time::Duration;

pub(super) fn decide(turn: &mut Turn<'_>, course: &mut Course, plan: &Plan) -> Verdict {
    if turn.has_data() {
        course.held += turn.elapsed;
    }
    if let Some(verdict) = step_back(turn, course, plan) {
        return verdict;
    }
    let next = next_step(course, plan);
    waits::object_for_all(turn, plan, course.promoted);
    if !course.promoted {
        waits::object_to_budget(turn);
        waits::object_to_hold(turn, course);
        waits::object_to_evidence(turn, plan, course.weight);
        if let Some(verdict) = give_up(turn, course, plan) {
            return verdict;
        }
    }
    match next {
        Some((index, step)) => enter(turn, course, plan, index, step),
        None if turn.objections.is_empty() => complete::perform(turn, course, plan),
        None => wait(turn, course),
    }
}

/// From before the steps onto the first one, if nothing stands against it.
pub(super) fn enter_first(turn: &mut Turn<'_>, course: &mut Course, plan: &Plan) -> Verdict {
    match plan.steps.first() {
        Some(first) => enter(turn, course, plan, 0, first),
        None => turn.hold(),
    }
}

fn enter(
    turn: &mut Turn<'_>,
    course: &mut Course,
    plan: &Plan,
    index: u16,
    step: &Step,
) -> Verdict {
    waits::object_to_endpoints(turn, plan, step.weight);
    waits::object_to_gates(turn, course, plan, step.weight, course.promoted);
    if !turn.objections.is_empty() {
        return wait(turn, course);
    }
    let grounds = grounds(turn, course, plan, step.weight);
    turn.events.push(Event::Advanced { from: course.weight, to: step.weight });
    stand_on(turn, course, Stage::Step(index), step.weight);
    course.of = step.of;
    course.phase = Phase::Running;
    Verdict::Advance(grounds)
}

pub(super) fn grounds(turn: &Turn<'_>, course: &Course, plan: &Plan, to: BasisPoints) -> Grounds {
    let on_a_step = course.step().is_some();
    Grounds {
        from: course.weight,
        to,
        held: course.held,
        samples: if on_a_step { waits::samples(turn, plan) } else { super::Samples::default() },
        bet: turn.evidence.promotion.filter(|_| on_a_step).map(|bet| (bet.value, bet.needed)),
        promoted: course.promoted,
    }
}

/// Nothing moves. Before the steps the phase stays what it was.
fn wait(turn: &mut Turn<'_>, course: &mut Course) -> Verdict {
    if matches!(course.phase, Phase::Running | Phase::Holding) {
        let running = course.hold_left().is_some_and(|left| !left.is_zero());
        let counted = turn.has_data() && !course.promoted;
        course.phase = if running && counted { Phase::Running } else { Phase::Holding };
    }
    turn.hold()
}

/// The end of the hold without enough requests, or of all patience without an answer.
fn give_up(turn: &mut Turn<'_>, course: &mut Course, plan: &Plan) -> Option<Verdict> {
    let hold = course.hold()?;
    if course.held < hold || !turn.has_data() {
        return None;
    }
    let too_few = turn.objections.iter().any(|o| matches!(o, Objection::TooFewSamples(_)));
    let unproven = turn
        .objections
        .iter()
        .any(|o| matches!(o, Objection::NotProven { .. } | Objection::NoReading { .. }));
    let samples = waits::samples(turn, plan);
    let patience_is_over = course.held >= plan.evidence.give_up_after.max(hold);
    match plan.evidence.on_too_few {
        OnTooFew::Rollback if too_few => {
            Some(rollback::perform(turn, course, RollbackReason::TooFew(samples)))
        }
        OnTooFew::Pause if too_few => {
            Some(inconclusive::enter(turn, course, samples.seen, samples.needed))
        }
        OnTooFew::Hold | OnTooFew::Pause | OnTooFew::Rollback => ((too_few || unproven)
            && patience_is_over)
            .then(|| inconclusive::enter(turn, course, samples.seen, samples.needed)),
    }
}

/// `rolling`: a step is open only while enough endpoints are ready for it.
fn step_back(turn: &mut Turn<'_>, course: &mut Course, plan: &Plan) -> Option<Verdict> {
    let open = waits::open_share(turn.evidence)?;
    if plan.strategy != Strategy::Rolling || open >= course.weight {
        return None;
    }
    let (stage, weight) = last_step_within(&plan.steps, open);
    let from = course.weight;
    turn.events.push(Event::SteppedBack { from, to: weight });
    stand_on(turn, course, stage, weight);
    course.phase = if stage == Stage::Before { Phase::Pending } else { Phase::Running };
    waits::object_to_endpoints(turn, plan, from);
    Some(turn.hold())
}

fn next_step<'a>(course: &Course, plan: &'a Plan) -> Option<(u16, &'a Step)> {
    let index = match course.stage {
        Stage::Before | Stage::Dark => {
            // A weight set by hand can be past the first steps.
            plan.steps.iter().position(|step| step.weight > course.weight)?
        }
        Stage::Step(index) => usize::from(index) + 1,
    };
    let step = plan.steps.get(index)?;
    Some((u16::try_from(index).ok()?, step))
}

/// The furthest step that is not above a weight.
pub(super) fn last_step_within(steps: &[Step], weight: BasisPoints) -> (Stage, BasisPoints) {
    let within = steps.iter().rposition(|step| step.weight <= weight);
    match within.and_then(|index| u16::try_from(index).ok()) {
        Some(index) => (Stage::Step(index), steps[usize::from(index)].weight),
        None => (Stage::Before, BasisPoints::ZERO),
    }
}

fn stand_on(turn: &Turn<'_>, course: &mut Course, stage: Stage, weight: BasisPoints) {
    course.stage = stage;
    course.weight = weight;
    course.held = Duration::ZERO;
    course.promoted = false;
    course.acted.clear();
    course.stage_at = turn.now.wall;
}

/// A reload changed the steps: the weight stays, the place in the plan is found again, and its
/// hold begins anew.
pub(super) fn follow_plan(turn: &mut Turn<'_>, course: &mut Course, plan: &Plan) {
    if course.steps == plan.steps {
        return;
    }
    course.steps = plan.steps.clone();
    turn.events.push(Event::PlanChanged { weight: course.weight });
    if course.weight > BasisPoints::ZERO {
        course.stage = last_step_within(&plan.steps, course.weight).0;
        course.held = Duration::ZERO;
        course.promoted = false;
        course.stage_at = turn.now.wall;
    }
}
