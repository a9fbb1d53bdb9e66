//! The plan as the outside sees it: steps, gates, guards with what they see now.

use super::ServiceRun;
use crate::view::{GateView, GuardView, ItemView, PlanView, ProofView, StepView};
use serin_core::rollout::{
    Accept, Action, Evidence, Gate, GateKind, GateRefKind, GoodEnough, Guard, GuardReading, Plan,
    RolloutState, Rule, Samples, Step, Strategy, Value,
};
use serin_core::split::Scope;
use serin_core::weights::BasisPoints;

pub(super) fn plan_view(plan: &Plan) -> PlanView {
    PlanView {
        to: plan.to.to_string(),
        release: plan.release.clone(),
        strategy: strategy(plan).to_owned(),
        steps: plan.steps.iter().map(|step| step_view(step, Some(plan), None)).collect(),
    }
}

pub(super) fn strategy(plan: &Plan) -> &'static str {
    match plan.strategy {
        Strategy::Canary => "canary",
        Strategy::BlueGreen => "blueGreen",
        Strategy::Rolling => "rolling",
        Strategy::BigBang => "bigBang",
    }
}

pub(super) fn steps(plan: Option<&Plan>, rollout: &RolloutState) -> Vec<StepView> {
    rollout.steps.iter().map(|step| step_view(step, plan, Some(rollout))).collect()
}

/// What stable keeps now, where that is why it has a share.
pub(super) fn kept(plan: &Plan, rollout: &RolloutState) -> u16 {
    let rest = rollout.weight.rest();
    let keeps = !rollout.phase.is_over() && rest <= plan.baseline;
    if keeps { rest.get() } else { 0 }
}

fn step_view(step: &Step, plan: Option<&Plan>, rollout: Option<&RolloutState>) -> StepView {
    let gates = plan.map(|plan| plan.gates.as_slice()).unwrap_or_default();
    let gates = gates.iter().filter(|gate| gate.before == step.weight);
    let weight = plan.map_or(step.weight, |plan| plan.weight_of(step));
    StepView {
        weight: step.weight.get(),
        hold_seconds: step.hold.as_secs(),
        of: match step.of {
            Scope::All => "all",
            Scope::NewSessions => "newSessions",
        }
        .to_owned(),
        gates: gates.map(|gate| gate_view(gate, weight, rollout)).collect(),
    }
}

/// `weight` is what the step gives the candidate.
fn gate_view(gate: &Gate, weight: BasisPoints, rollout: Option<&RolloutState>) -> GateView {
    let (needed, by, items): (u32, &[String], &[String]) = match &gate.kind {
        GateKind::Approval => (1, &[], &[]),
        GateKind::Approvals { count, by } => (*count, by, &[]),
        GateKind::Checklist { items } => (0, &[], items),
        GateKind::Webhook { .. } | GateKind::Shadow { .. } => (0, &[], &[]),
    };
    let given = rollout.map(|rollout| gate.granted_by(rollout)).unwrap_or_default();
    let ticked = |item: &String| {
        let kind = GateRefKind::Item { item: item.clone() };
        given.iter().find(|answer| answer.gate.kind == kind).map(|answer| answer.by.clone())
    };
    let item = |item: &String| ItemView { item: item.clone(), by: ticked(item) };
    GateView {
        kind: gate.kind.as_str().to_owned(),
        granted: rollout.is_some_and(|c| c.weight >= weight || gate.is_granted(c)),
        needed,
        given: given.iter().filter(|_| needed > 0).map(|answer| answer.by.clone()).collect(),
        by: by.to_vec(),
        items: items.iter().map(item).collect(),
    }
}

pub(super) fn guards(plan: &Plan, evidence: &Evidence) -> Vec<GuardView> {
    let reading = |guard: &Guard| evidence.guards.iter().find(|r| r.name == guard.name);
    plan.guards.iter().map(|guard| guard_view(guard, reading(guard))).collect()
}

fn guard_view(guard: &Guard, reading: Option<&GuardReading>) -> GuardView {
    let (kind, quantile, signal, threshold) = match &guard.rule {
        Rule::ErrorRate { above } => ("errorRate", None, None, *above),
        Rule::Latency { quantile, above } => {
            ("latency", Some(*quantile), None, above.as_secs_f64() * 1000.0)
        }
        Rule::Signal { name, below, .. } => ("signal", None, Some(name.clone()), *below),
        Rule::ShadowMismatch { above } => ("shadowMismatch", None, None, *above),
        Rule::ShadowErrors { above } => ("shadowErrors", None, None, *above),
    };
    let samples = reading.map_or_else(Samples::default, |reading| reading.samples);
    GuardView {
        name: guard.name.clone(),
        kind: kind.to_owned(),
        quantile,
        signal,
        action: match guard.action {
            Action::Rollback => "rollback",
            Action::Pause => "pause",
            Action::Notify => "notify",
        }
        .to_owned(),
        over_seconds: guard.over.as_secs(),
        for_seconds: guard.lasting.as_secs(),
        threshold,
        observed: reading.and_then(|r| r.observed).map(number),
        stable: reading.and_then(|r| r.stable).map(number),
        seen: samples.seen,
        needed: samples.needed,
        breached: reading.is_some_and(|r| r.breached),
        proven: reading.is_some_and(|r| r.proven),
        shared: reading.is_some_and(|r| r.shared),
    }
}

/// Shares and ratios as they are, times in milliseconds.
fn number(value: Value) -> f64 {
    match value {
        Value::Share(share) | Value::Ratio(share) => share,
        Value::Time(time) => time.as_secs_f64() * 1000.0,
    }
}

pub(super) fn proof(run: &ServiceRun) -> ProofView {
    let evidence = run.pilot.evidence();
    let plan = run.pilot.terms().plan.as_ref();
    let accept = plan.map(|plan| plan.evidence.accept).unwrap_or_default();
    let bounded = evidence.bounded.filter(|_| accept == Accept::BoundedHarm);
    ProofView {
        requests: evidence.step.candidate.of,
        requests_needed: plan.map_or(0, |plan| plan.evidence.min_requests),
        value: evidence.promotion.map(|bet| bet.value),
        value_needed: evidence.promotion.map(|bet| bet.needed),
        harm_value: bounded.map(|bounded| bounded.value),
        harm_limit: bounded.map(|bounded| bounded.limit),
        shown: GoodEnough::shown(evidence, accept).map(|shown| shown.as_str().to_owned()),
        outlook: evidence.outlook.map(|outlook| outlook.to_string()),
    }
}
