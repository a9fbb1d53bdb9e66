//! What was decided, why, and what came of it.

use super::{Comparison, FailuresView, HarmView, RolloutState, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The evidence behind the last verdict of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    pub service: String,
    pub rollout: String,
    pub at: Timestamp,
    /// `advance`, `hold`, `rollback`, `complete` or `inconclusive`.
    pub verdict: String,
    pub reason: String,
    /// The rule that decided, with what it saw and what it allows.
    pub rule: String,
    pub observed: Option<f64>,
    pub threshold: Option<f64>,
    pub stable_observed: Option<f64>,
    /// Of those three; `null` where there are none.
    #[serde(default)]
    pub unit: Option<Unit>,
    pub samples: u64,
    pub stable_samples: u64,
    /// `x-request-id`s of a few bad requests.
    pub bad_requests: Vec<BadRequest>,
    /// Where the candidate's latest failures came from; `null` without any.
    #[serde(default)]
    pub failures: Option<FailuresView>,
    /// Everything that the decision was computed from.
    #[schema(value_type = Object)]
    pub evidence: serde_json::Value,
    /// The decision itself.
    #[schema(value_type = Object)]
    pub decision: serde_json::Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BadRequest {
    pub request_id: String,
    pub what: String,
    pub at: Timestamp,
}

/// One rollout as the journal remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRecord {
    pub id: String,
    pub service: String,
    pub from: String,
    pub to: String,
    pub release: String,
    pub state: RolloutState,
    pub reason: String,
    pub start_reason: String,
    pub started_by: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// When it completed, of one that was taken back later.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    pub committed_at: Option<Timestamp>,
    /// `P1` to `P3` when it was rolled back.
    pub severity: Option<String>,
    /// The release itself was found to be bad, and is quarantined.
    pub blamed: bool,
    /// When the harm began that ended in a rollback.
    pub harmed_at: Option<Timestamp>,
    /// The highest weight that the candidate had, in basis points.
    pub reached: u16,
    pub harm: HarmView,
    /// Where its latest failures came from, at the last decision.
    #[serde(default)]
    pub failures: Option<FailuresView>,
    /// Candidate beside stable over its last step, as it was when it ended.
    #[serde(default)]
    pub comparison: Option<Comparison>,
    pub timeline: Vec<TimelineEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntry {
    pub at: Timestamp,
    pub what: String,
    /// The candidate's weight in basis points from here on.
    pub weight: u16,
    /// Who asked for it, when somebody did.
    pub actor: Option<String>,
    /// What they gave as their reason.
    #[serde(default)]
    pub reason: Option<String>,
}

/// One decision with what it was made from; enough to make it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceView {
    pub at: Timestamp,
    /// `advance`, `hold`, `rollback`, `complete` or `inconclusive`.
    pub verdict: String,
    pub reason: String,
    /// The rule that decided, with what it saw and what it allows.
    pub rule: String,
    pub observed: Option<f64>,
    pub threshold: Option<f64>,
    pub stable_observed: Option<f64>,
    /// Of those three; `null` where there are none.
    #[serde(default)]
    pub unit: Option<Unit>,
    pub samples: u64,
    pub stable_samples: u64,
    /// What happened with it; empty when nothing did.
    pub events: Vec<String>,
    /// Basis points by version after it.
    pub weights: BTreeMap<String, u16>,
    pub bad_requests: Vec<BadRequest>,
    /// Where the candidate's latest failures came from; `null` without any.
    #[serde(default)]
    pub failures: Option<FailuresView>,
    #[schema(value_type = Object)]
    pub evidence: serde_json::Value,
    #[schema(value_type = Object)]
    pub decision: serde_json::Value,
}

/// The four numbers over one period.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dora {
    pub days: f64,
    /// Completed rollouts, with those that were taken back later.
    pub deployments: u64,
    pub deployments_per_day: f64,
    /// From `committedAt` to complete, median; `null` when no rollout said when it was committed.
    pub lead_time_seconds: Option<f64>,
    /// Rolled back or taken back, of all that ended.
    pub change_failure_ratio: Option<f64>,
    /// From the first harm to weight 0, median.
    pub time_to_restore_seconds: Option<f64>,
}
