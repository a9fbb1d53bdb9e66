//! Everything a rollout waits for before it moves further, in two kinds: what nobody can skip,
//! and what a person's promotion skips.

use super::evidence::{Data, Evidence, MissingReading, Samples};
use super::plan::{Accept, Action, Gate, GateKind, Guard, Plan, Rule, Strategy};
use super::position::{Answer, GateRef, GateRefKind, RolloutState};
use super::reason::{GoodEnough, HoldReason};
use super::turn::Turn;
use super::windows::{self, Windowed};
use crate::weights::{BasisPoints, WHOLE};

/// What stands against any move, promoted or not. Guards that stand were listed already.
pub(super) fn object_for_all(turn: &mut Turn<'_>, plan: &Plan, promoted: bool) {
    object_to_shared_cause(turn);
    let data = turn.evidence.data;
    match data {
        Data::Fresh => {}
        // Somebody who promotes has eyes of their own.
        Data::Late { .. } if promoted => {}
        Data::Late { .. } | Data::Stale { .. } | Data::Missing => {
            turn.hold_for(HoldReason::NoData(data));
        }
    }
    if turn.first {
        turn.hold_for(HoldReason::JustStarted);
    }
    let settles_in = turn.next.clock.unsettled;
    if !settles_in.is_zero() {
        turn.hold_for(HoldReason::ClockJumped { settles_in });
    }
    if turn.evidence.tripped {
        turn.hold_for(HoldReason::Tripped);
    }
    if let Some(freeze) = &turn.conditions.freeze {
        turn.hold_for(HoldReason::Frozen { by: freeze.by.clone(), reason: freeze.reason.clone() });
    }
    if let Windowed::Closed { effect, reason, opens } = windows::look(&plan.windows, turn.now.wall)
    {
        turn.hold_for(HoldReason::Window { effect, reason, opens });
    }
}

/// Listed once, and first: it explains what else is wrong.
pub(super) fn object_to_shared_cause(turn: &mut Turn<'_>) {
    let Some(shared) = turn.evidence.shared_cause.map(HoldReason::SharedCause) else { return };
    if !turn.hold_reasons.contains(&shared) {
        turn.hold_for(shared);
    }
}

/// Whether enough of the candidate's endpoints are ready for a weight.
pub(super) fn object_to_endpoints(turn: &mut Turn<'_>, plan: &Plan, weight: BasisPoints) {
    let Some(ready) = turn.evidence.candidate_ready else {
        if turn.has_data() {
            turn.hold_for(HoldReason::NoData(Data::Missing));
        }
        return;
    };
    if ready.ready == 0 {
        turn.hold_for(HoldReason::NotReady(ready));
    } else if plan.strategy == Strategy::Rolling && open_share(turn.evidence) < Some(weight) {
        turn.hold_for(HoldReason::TooFewReady { ready, share: weight });
    }
}

/// The share of the candidate's endpoints that are ready, `None` while unknown.
pub(super) fn open_share(evidence: &Evidence) -> Option<BasisPoints> {
    let ready = evidence.candidate_ready.filter(|ready| ready.total > 0)?;
    let share = u64::from(ready.ready.min(ready.total)) * u64::from(WHOLE) / u64::from(ready.total);
    BasisPoints::new(u16::try_from(share).ok()?)
}

pub(super) fn object_to_budget(turn: &mut Turn<'_>) {
    let below = turn.terms.objectives.budget.freeze_below;
    if let Some(left) = turn.evidence.budget_left.filter(|left| left.is_nan() || *left < below) {
        turn.hold_for(HoldReason::BudgetFrozen { left, below });
    }
}

pub(super) fn object_to_hold(turn: &mut Turn<'_>, rollout: &RolloutState) {
    if let Some(left) = rollout.hold_left().filter(|left| !left.is_zero()) {
        turn.hold_for(HoldReason::HoldRunning { left });
    }
}

pub(super) fn samples(turn: &Turn<'_>, plan: &Plan) -> Samples {
    Samples { seen: turn.evidence.step.candidate.of, needed: plan.evidence.min_requests }
}

pub(super) fn object_to_evidence(turn: &mut Turn<'_>, plan: &Plan, weight: BasisPoints) {
    object_to_doubts(turn, plan);
    object_to_silence(turn, plan, weight);
    if let Some(test) = turn.evidence.client_errors.filter(|test| test.worse) {
        let (candidate, stable) = (test.candidate, test.stable);
        turn.hold_for(HoldReason::ClientErrors { candidate, stable });
    }
    let samples = samples(turn, plan);
    if samples.seen < samples.needed {
        turn.hold_for(HoldReason::TooFewSamples(samples));
    }
    if GoodEnough::shown(turn.evidence, plan.evidence.accept).is_none() {
        turn.hold_for(not_proven(turn.evidence, plan.evidence.accept));
    }
}

/// Of what a plan accepts, what is nearest.
fn not_proven(evidence: &Evidence, accept: Accept) -> HoldReason {
    let proof = evidence.promotion.map_or((0.0, 20.0), |bet| (bet.value, bet.needed));
    let bounded = evidence.bounded.filter(|_| accept == Accept::BoundedHarm);
    let bounded = bounded.map(|bounded| (bounded.value, bounded.needed));
    let (value, needed) = bounded.filter(|(value, _)| *value > proof.0).unwrap_or(proof);
    HoldReason::NotProven { value, needed, outlook: evidence.outlook }
}

/// A guard on a signal that never comes would watch over nothing. Where stable has no more than what it
/// keeps at the end, it hardly has signals to compare with: what there was to compare was compared on the steps before.
fn object_to_silence(turn: &mut Turn<'_>, plan: &Plan, weight: BasisPoints) {
    let expected = |missing: &MissingReading| {
        *missing == MissingReading::NoBaseline && weight.rest() <= plan.baseline
    };
    let waits = |g: &&Guard| matches!(g.rule, Rule::Signal { .. }) && g.action != Action::Notify;
    for guard in plan.guards.iter().filter(waits) {
        let reading = turn.evidence.guards.iter().find(|reading| reading.name == guard.name);
        let missing = reading.and_then(|reading| reading.missing);
        if let Some(missing) = missing.filter(|missing| !expected(missing)) {
            turn.hold_for(HoldReason::NoReading { guard: guard.name.clone(), missing });
        }
    }
}

/// A guard without `for` whose numbers are beyond its limit, and may be by chance: no reason to
/// go back, and none to go on.
fn object_to_doubts(turn: &mut Turn<'_>, plan: &Plan) {
    let acting = |g: &&Guard| g.lasting.is_zero() && g.action != Action::Notify;
    for guard in plan.guards.iter().filter(acting) {
        let reading = turn.evidence.guards.iter().find(|reading| reading.name == guard.name);
        let Some(reading) = reading.filter(|r| r.breached && !r.proven) else { continue };
        turn.hold_for(HoldReason::GuardDoubtful {
            guard: guard.name.clone(),
            observed: reading.observed,
            threshold: reading.threshold,
            samples: reading.samples.seen,
        });
    }
}

/// The gates between two weights. Those that a person cannot grant come in with `webhooks`;
/// `promoted` grants the rest.
pub(super) fn object_to_gates(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    plan: &Plan,
    to: BasisPoints,
    promoted: bool,
) {
    let nothing_else = turn.hold_reasons.is_empty();
    if !promoted {
        object_to_confirmation(turn, rollout, to);
    }
    let ahead = |gate: &&Gate| gate.before > rollout.weight && gate.before <= to;
    for gate in plan.gates.iter().filter(ahead) {
        match &gate.kind {
            GateKind::Approval => {
                if !promoted {
                    let approval = GateRef { before: gate.before, kind: GateRefKind::Approval };
                    object_unless_granted(turn, rollout, approval);
                }
            }
            GateKind::Approvals { count, by } => {
                if !gate.is_granted(rollout) {
                    let given = gate.granted_by(rollout);
                    turn.hold_for(HoldReason::Approvals {
                        before: gate.before,
                        given: given.into_iter().map(|answer| answer.by.clone()).collect(),
                        needed: *count,
                        by: by.clone(),
                    });
                }
            }
            GateKind::Checklist { items } => object_to_checklist(turn, rollout, gate, items),
            GateKind::Webhook { url, timeout } => {
                let kind = GateRefKind::Webhook { url: url.clone() };
                let gate = GateRef { before: gate.before, kind };
                if object_unless_granted(turn, rollout, gate.clone()) && nothing_else {
                    let (rollout, url) = (rollout.id.clone(), url.clone());
                    turn.asks.push(super::Ask { rollout, gate, url, timeout: *timeout });
                }
            }
            GateKind::Shadow { comparisons, mismatch_below } => {
                if !promoted {
                    object_to_shadow(turn, *comparisons, *mismatch_below);
                }
            }
        }
    }
}

fn object_to_checklist(turn: &mut Turn<'_>, rollout: &RolloutState, gate: &Gate, items: &[String]) {
    let ticked = gate.granted_by(rollout);
    let ticked = |item: &String| {
        let kind = GateRefKind::Item { item: item.clone() };
        ticked.iter().any(|answer| answer.gate.kind == kind)
    };
    let missing: Vec<String> = items.iter().filter(|item| !ticked(item)).cloned().collect();
    if !missing.is_empty() {
        turn.hold_for(HoldReason::Checklist { before: gate.before, missing });
    }
}

/// Below `confirmBelow` every step waits for a person.
pub(super) fn asks_for_confirmation(turn: &Turn<'_>) -> bool {
    let below = turn.terms.objectives.budget.confirm_below;
    turn.evidence.budget_left.is_some_and(|left| left.is_nan() || left < below)
}

fn object_to_confirmation(turn: &mut Turn<'_>, rollout: &RolloutState, to: BasisPoints) {
    if asks_for_confirmation(turn) {
        object_unless_granted(turn, rollout, GateRef { before: to, kind: GateRefKind::Budget });
    }
}

fn object_unless_granted(turn: &mut Turn<'_>, rollout: &RolloutState, gate: GateRef) -> bool {
    let answer = rollout.answers.iter().find(|given| given.gate == gate).map(|a| &a.answer);
    match answer {
        Some(Answer::Granted) => false,
        Some(Answer::Refused { detail }) => {
            turn.hold_for(HoldReason::Gate { gate, refused: Some(detail.clone()) });
            true
        }
        None => {
            turn.hold_for(HoldReason::Gate { gate, refused: None });
            true
        }
    }
}

pub(super) fn object_to_shadow(turn: &mut Turn<'_>, comparisons: u64, below: f64) {
    let shadow = turn.evidence.shadow;
    // A copy that failed was answered otherwise too: a version that crashes is not proven by the
    // answers that it gave.
    let differ = shadow.mismatched + shadow.failed;
    let all = shadow.compared + shadow.failed;
    let compared = Samples { seen: shadow.compared, needed: comparisons };
    let mismatched = if all == 0 { 0.0 } else { differ as f64 / all as f64 };
    let too_many = differ > 0 && mismatched >= below;
    if compared.seen < compared.needed || too_many {
        turn.hold_for(HoldReason::Shadow { compared, mismatched, below });
    }
}
