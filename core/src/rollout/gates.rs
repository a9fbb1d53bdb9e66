//! What people and webhooks say to the gates of a plan. Saying something moves nothing: the next
//! decision looks at it.

use super::decision::{Event, Verdict};
use super::plan::{Gate, GateKind, Plan};
use super::position::{Answer, GateAnswer, GateRef, GateRefKind, RolloutState};
use super::reason::HoldReason;
use super::refusal::Refusal;
use super::turn::Turn;
use super::{waits, watching};
use crate::weights::BasisPoints;

/// Lets a step pass as far as one person can; hold and evidence are still waited for.
pub(super) fn approve(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    before: Option<BasisPoints>,
    actor: &str,
) -> Result<Verdict, Refusal> {
    let plan = turn.plan().ok_or(Refusal::NoPlan)?;
    let next = || watching::next_step(rollout, plan).map(|(_, step)| step.weight);
    let Some(before) = before.or_else(next) else { return Err(Refusal::NoNextStep) };
    let gate = approval(plan, before);
    let step = plan.steps.iter().any(|step| step.weight == before);
    let confirmable = step && waits::asks_for_confirmation(turn);
    if gate.is_none() && !confirmable {
        return Err(Refusal::NoApproval { before, others: others(plan, rollout) });
    }
    if let Some(gate) = gate {
        may_approve(gate, actor)?;
        if !gate.is_granted(rollout) {
            let approval = GateRef { before, kind: GateRefKind::Approval };
            grant(turn, rollout, approval, Answer::Granted, actor);
        }
    }
    if confirmable {
        let budget = GateRef { before, kind: GateRefKind::Budget };
        grant(turn, rollout, budget, Answer::Granted, actor);
    }
    turn.hold_for(HoldReason::Accepted);
    Ok(turn.hold())
}

/// A promotion is its author's approval of the next step, where that takes several.
pub(super) fn approve_by_promotion(turn: &mut Turn<'_>, rollout: &mut RolloutState, actor: &str) {
    let Some(plan) = turn.plan() else { return };
    let Some((_, step)) = watching::next_step(rollout, plan) else { return };
    let several = |gate: &&Gate| matches!(gate.kind, GateKind::Approvals { .. });
    let gate = approval(plan, step.weight).filter(several);
    if gate.is_some_and(|gate| may_approve(gate, actor).is_ok() && !gate.is_granted(rollout)) {
        let approval = GateRef { before: step.weight, kind: GateRefKind::Approval };
        grant(turn, rollout, approval, Answer::Granted, actor);
    }
}

fn approval(plan: &Plan, before: BasisPoints) -> Option<&Gate> {
    plan.gates.iter().find(|gate| gate.before == before && is_approval(gate))
}

fn is_approval(gate: &Gate) -> bool {
    matches!(gate.kind, GateKind::Approval | GateKind::Approvals { .. })
}

/// Steps further on that an approval could be given for.
fn others(plan: &Plan, rollout: &RolloutState) -> Vec<BasisPoints> {
    let ahead = |gate: &&Gate| gate.before > rollout.weight && is_approval(gate);
    plan.gates.iter().filter(ahead).map(|gate| gate.before).collect()
}

fn may_approve(gate: &Gate, actor: &str) -> Result<(), Refusal> {
    match &gate.kind {
        GateKind::Approvals { by, .. } if !by.is_empty() && !by.iter().any(|one| one == actor) => {
            Err(Refusal::NotAnApprover { actor: actor.to_owned(), by: by.clone() })
        }
        GateKind::Approvals { .. }
        | GateKind::Approval
        | GateKind::Checklist { .. }
        | GateKind::Webhook { .. }
        | GateKind::Shadow { .. } => Ok(()),
    }
}

pub(super) fn tick(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    item: &str,
    done: bool,
    actor: &str,
) -> Result<Verdict, Refusal> {
    let plan = turn.plan().ok_or(Refusal::NoPlan)?;
    let items = |gate: &Gate| match &gate.kind {
        GateKind::Checklist { items } if gate.before > rollout.weight => items.clone(),
        GateKind::Checklist { .. }
        | GateKind::Approval
        | GateKind::Approvals { .. }
        | GateKind::Webhook { .. }
        | GateKind::Shadow { .. } => Vec::new(),
    };
    let listed = |gate: &&Gate| items(gate).iter().any(|listed| listed == item);
    let Some(before) = plan.gates.iter().find(listed).map(|gate| gate.before) else {
        let known = plan.gates.iter().flat_map(items).collect();
        return Err(Refusal::NoSuchItem { item: item.to_owned(), known });
    };
    let gate = GateRef { before, kind: GateRefKind::Item { item: item.to_owned() } };
    let was = rollout.answers.iter().any(|answer| answer.gate == gate);
    if was != done {
        rollout.answers.retain(|answer| answer.gate != gate);
        let (item, by) = (item.to_owned(), actor.to_owned());
        turn.events.push(Event::Ticked { item, before, done, by: by.clone() });
        if done {
            let at = turn.now.wall;
            rollout.answers.push(GateAnswer { gate, answer: Answer::Granted, by, at });
        }
    }
    turn.hold_for(HoldReason::Accepted);
    Ok(turn.hold())
}

/// What came of an [`Ask`](super::Ask).
pub(super) fn answered(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    gate: &GateRef,
    answer: Answer,
    actor: &str,
) -> Result<Verdict, Refusal> {
    let asked = match gate.kind {
        GateRefKind::Webhook { .. } => turn
            .plan()
            .is_some_and(|plan| plan.gates.iter().any(|g| g.answered_as().contains(gate))),
        // People have commands of their own, and the evidence answers for copies.
        GateRefKind::Approval
        | GateRefKind::Item { .. }
        | GateRefKind::Shadow
        | GateRefKind::Budget => false,
    };
    if !asked {
        return Err(Refusal::NoSuchGate(gate.clone()));
    }
    grant(turn, rollout, gate.clone(), answer, actor);
    turn.hold_for(HoldReason::Accepted);
    Ok(turn.hold())
}

/// Of an approval everybody's answer is kept, of anything else the latest.
fn grant(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    gate: GateRef,
    answer: Answer,
    actor: &str,
) {
    let refused = match &answer {
        Answer::Granted => None,
        Answer::Refused { detail } => Some(detail.clone()),
    };
    let approval = gate.kind == GateRefKind::Approval;
    let same = |a: &GateAnswer| a.gate == gate && (!approval || a.by == actor);
    let before = rollout.answers.iter().find(|a| same(a));
    if before.is_none_or(|a| a.answer != answer) {
        let (gate, by) = (gate.clone(), actor.to_owned());
        turn.events.push(Event::GateAnswered { gate, by, refused });
    }
    rollout.answers.retain(|a| !same(a));
    rollout.answers.push(GateAnswer { gate, answer, by: actor.to_owned(), at: turn.now.wall });
}
