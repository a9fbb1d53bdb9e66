//! What the outside may know, as plain values in the words of the API.
//!
//! These types are written to JSON as they stand (camelCase, basis points, seconds, RFC 3339), so
//! the API, the page, the command line and the tests read one and the same thing. They are made
//! anew at each tick and never changed after that. A field that joins has a default, so that the
//! command line can read an older instance.

use serde::{Deserialize, Serialize};
use serin_core::time::Wall;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Everything, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Rises whenever something other than a count has changed.
    pub generation: u64,
    pub at: Timestamp,
    /// In the order of their names.
    pub services: Vec<ServiceView>,
    pub freeze: Option<FreezeView>,
    pub config: ConfigView,
    pub health: Health,
}

impl Snapshot {
    pub fn service(&self, name: &str) -> Option<&ServiceView> {
        self.services.iter().find(|s| s.name == name)
    }
}

/// Whether control itself is well. The first sentence of trouble is for operators.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Why the journal cannot be written; weights can then only go down.
    pub journal: Option<String>,
    /// Notifications given up or thrown away since the start.
    pub notifications_lost: u64,
    /// Records that a failing journal made Serin throw away.
    #[serde(default)]
    pub records_lost: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreezeView {
    pub since: Timestamp,
    pub reason: String,
    pub by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigView {
    /// Rises by one with each configuration put in force since the start.
    pub generation: u64,
    pub hash: String,
    pub loaded_at: Timestamp,
    /// The last attempt that failed, until one succeeds.
    pub failed: Option<ReloadView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReloadView {
    pub at: Timestamp,
    pub fault: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceView {
    pub name: String,
    /// Rises with every durable change of this service: what ETag and If-Match are made of.
    pub revision: u64,
    pub stable: String,
    /// Basis points now in force, by version.
    pub weights: BTreeMap<String, u16>,
    /// In the order of the configuration.
    pub versions: Vec<VersionView>,
    pub slo: SloView,
    /// The rollout that runs, or the last one until another starts.
    pub rollout: Option<RolloutView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionView {
    pub name: String,
    pub release: String,
    pub role: VersionRole,
    /// Endpoints that are ready, of all.
    pub ready: u32,
    pub endpoints: u32,
    /// Since Serin started.
    pub requests: u64,
    pub bad: u64,
    /// Client aborts and forced cohorts: counted, never judged.
    #[serde(default)]
    pub excluded: u64,
    pub in_flight: u64,
    /// Over the last minute.
    pub last_minute: Figures,
    /// Some thread holds new requests back because this version failed several in a row.
    pub tripped: bool,
    /// Why this release may not be rolled out again without `retry`.
    pub quarantined: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum VersionRole {
    Stable,
    Candidate,
    Idle,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    pub requests: u64,
    pub bad: u64,
    pub requests_per_second: f64,
    /// `null` without requests.
    pub error_ratio: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SloView {
    pub objective: f64,
    pub window_seconds: u64,
    /// Of the whole budget; below 0 when overspent. `null` until something was counted.
    pub budget_remaining: Option<f64>,
    pub burn_rates: Vec<BurnView>,
}

/// One burn rule of one version. `null` rates: too little was seen of that window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BurnView {
    pub name: String,
    pub version: String,
    pub above: f64,
    pub long_seconds: u64,
    pub short_seconds: u64,
    pub long_rate: Option<f64>,
    pub short_rate: Option<f64>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum RolloutState {
    Pending,
    Dark,
    Running,
    Holding,
    Paused,
    Inconclusive,
    RolledBack,
    Complete,
}

impl RolloutState {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Dark,
        Self::Running,
        Self::Holding,
        Self::Paused,
        Self::Inconclusive,
        Self::RolledBack,
        Self::Complete,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dark => "dark",
            Self::Running => "running",
            Self::Holding => "holding",
            Self::Paused => "paused",
            Self::Inconclusive => "inconclusive",
            Self::RolledBack => "rolledBack",
            Self::Complete => "complete",
        }
    }

    /// Nothing more happens to such a rollout by itself or by command, except `retry`.
    pub fn is_over(self) -> bool {
        match self {
            Self::RolledBack | Self::Complete => true,
            Self::Pending
            | Self::Dark
            | Self::Running
            | Self::Holding
            | Self::Paused
            | Self::Inconclusive => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutView {
    pub id: String,
    pub from: String,
    pub to: String,
    pub release: String,
    pub strategy: String,
    pub state: RolloutState,
    /// The step that is in force, from 1; 0 before the first.
    pub step: u32,
    pub steps: u32,
    /// The candidate's weight in basis points.
    pub weight: u16,
    /// What the last verdict said, as a sentence.
    pub reason: String,
    /// What the next step waits for; `null` when it waits for nothing.
    pub waiting_for: Option<WaitingFor>,
    pub started_at: Timestamp,
    pub started_by: String,
    pub ended_at: Option<Timestamp>,
    /// Of this step's hold. Time in which Serin did not run, or the rollout was paused, is not held.
    pub hold_seconds: u64,
    pub held_seconds: u64,
    /// Until the earliest moment of the next step.
    pub step_remaining_seconds: u64,
    /// Until the earliest moment of completion.
    pub remaining_seconds: u64,
    /// Candidate requests that the evidence still needs in this step; `null` when it has enough.
    pub requests_needed: Option<u64>,
    /// Candidate beside stable, over this step.
    pub comparison: Comparison,
    pub harm: HarmView,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum WaitingFor {
    Hold,
    Evidence,
    Approval,
    Webhook,
    Shadow,
    Window,
    Budget,
    Freeze,
    Readiness,
    Operator,
    Journal,
    SharedCause,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    pub candidate: Figures,
    pub stable: Figures,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HarmView {
    pub failed_requests: u64,
    pub failed_requests_limit: Option<u64>,
    pub users: u64,
    pub users_limit: Option<u64>,
}

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
    pub samples: u64,
    pub stable_samples: u64,
    /// `x-request-id`s of a few bad requests.
    pub bad_requests: Vec<BadRequest>,
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
    pub timeline: Vec<TimelineEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntry {
    pub at: Timestamp,
    pub what: String,
    /// The candidate's weight in basis points from here on.
    pub weight: u16,
    pub actor: Option<String>,
}

/// One decision with what it was made from; enough to make it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceView {
    pub at: Timestamp,
    pub reason: String,
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
    /// Completed rollouts.
    pub deployments: u64,
    pub deployments_per_day: f64,
    /// From `committedAt` to complete, median; `null` when no rollout said when it was committed.
    pub lead_time_seconds: Option<f64>,
    /// Rolled back, of all that ended.
    pub change_failure_ratio: Option<f64>,
    /// From the first harm to weight 0, median.
    pub time_to_restore_seconds: Option<f64>,
}

/// A moment, written as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub Wall);

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Timestamp {}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0.0).unwrap_or_default();
        write!(f, "{moment:.3}")
    }
}

impl std::fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let moment: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(Wall(moment.as_millisecond())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_utc_and_read_back() {
        let moment = Timestamp(Wall(1_795_226_400_123));
        let text = serde_json::to_string(&moment).unwrap();
        assert_eq!(text, "\"2026-11-21T02:00:00.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), moment);
    }
}
