//! The answer to the only question at 3 a.m.

use crate::journal::DecisionRecord;
use crate::view::{EvidenceView, Why};
use serde_json::{Value, json};

pub(crate) fn why(decision: &DecisionRecord) -> Why {
    let explained = &decision.explained;
    Why {
        service: decision.service.clone(),
        rollout: decision.rollout.clone(),
        at: decision.at,
        verdict: explained.verdict.clone(),
        reason: explained.reason.clone(),
        rule: explained.rule.clone(),
        observed: explained.observed,
        threshold: explained.threshold,
        stable_observed: explained.stable_observed,
        samples: explained.samples,
        stable_samples: explained.stable_samples,
        bad_requests: decision.bad_requests.clone(),
        evidence: arguments(decision),
        decision: decided(decision),
    }
}

pub(crate) fn evidence_of(decision: &DecisionRecord) -> EvidenceView {
    EvidenceView {
        at: decision.at,
        reason: decision.explained.reason.clone(),
        evidence: arguments(decision),
        decision: decided(decision),
    }
}

fn arguments(decision: &DecisionRecord) -> Value {
    json!({
        "terms": decision.terms,
        "position": decision.position,
        "numbers": decision.evidence,
        "outside": decision.outside,
        "now": decision.now,
        "asked": decision.asked,
    })
}

fn decided(decision: &DecisionRecord) -> Value {
    serde_json::to_value(&decision.decision).unwrap_or_default()
}
