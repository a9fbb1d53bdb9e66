//! The answer to the only question at 3 a.m.

use crate::controller::text_of;
use crate::journal::schema::{
    ConditionsShape, Decision, EvidenceShape, NowShape, PositionShape, Shape, Shaped,
};
use crate::view::{BadRequest, EvidenceView, Timestamp, Why};
use serde_json::{Value, json};
use serin_core::rollout::{Terms, decide};

pub(crate) fn why(decision: &Decision) -> Why {
    let explained = &decision.explained;
    Why {
        service: decision.service.clone(),
        rollout: decision.rollout.clone(),
        at: Timestamp(decision.at),
        verdict: explained.verdict.clone(),
        reason: explained.reason.clone(),
        rule: explained.rule.clone(),
        observed: explained.observed,
        threshold: explained.threshold,
        stable_observed: explained.stable_observed,
        unit: explained.unit.map(Into::into),
        samples: explained.samples,
        stable_samples: explained.stable_samples,
        bad_requests: decision.bad_requests.iter().map(BadRequest::from).collect(),
        failures: decision.failures.as_ref().map(Into::into),
        evidence: arguments(decision),
        decision: decided(decision),
    }
}

pub(crate) fn evidence_of(decision: &Decision) -> EvidenceView {
    let explained = &decision.explained;
    EvidenceView {
        at: Timestamp(decision.at),
        verdict: explained.verdict.clone(),
        reason: explained.reason.clone(),
        rule: explained.rule.clone(),
        observed: explained.observed,
        threshold: explained.threshold,
        stable_observed: explained.stable_observed,
        unit: explained.unit.map(Into::into),
        samples: explained.samples,
        stable_samples: explained.stable_samples,
        events: decision.decision.events.clone(),
        weights: decision.decision.weights.clone(),
        bad_requests: decision.bad_requests.iter().map(BadRequest::from).collect(),
        failures: decision.failures.as_ref().map(Into::into),
        evidence: arguments(decision),
        decision: decided(decision),
    }
}

/// The same decision from the same arguments: what a record must always give.
pub(crate) fn decide_again(decision: &Decision, terms: &Terms) -> Option<Value> {
    fn read<S: Shape>(value: &Value) -> Option<S::Of> {
        serde_json::from_value::<Shaped<S>>(value.clone()).ok().map(|shaped| shaped.0)
    }
    let position = read::<PositionShape>(&decision.position)?;
    let evidence = read::<EvidenceShape>(&decision.evidence)?;
    let outside = read::<ConditionsShape>(&decision.outside)?;
    let now = read::<NowShape>(&decision.now)?;
    let again = decide(terms, &position, &evidence, &outside, now);
    serde_json::to_value(text_of(&again)).ok()
}

fn arguments(decision: &Decision) -> Value {
    json!({
        "terms": decision.terms,
        "position": decision.position,
        "numbers": decision.evidence,
        "outside": decision.outside,
        "now": decision.now,
        "asked": decision.asked,
    })
}

fn decided(decision: &Decision) -> Value {
    serde_json::to_value(&decision.decision).unwrap_or_default()
}
