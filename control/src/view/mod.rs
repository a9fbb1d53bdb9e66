//! What the outside may know, as plain values in the words of the API.
//!
//! These types are written to JSON as they stand (camelCase, basis points, seconds, RFC 3339), so
//! the API, the page, the command line and the tests read one and the same thing. They are made
//! anew at each tick and never changed after that. A field that joins has a default, so that the
//! command line can read an older instance.

mod failures;
mod history;
mod moment;
mod past;
mod rollout;
mod shadow;
mod stored;
mod unit;

pub use failures::{CountView, FailuresView};
pub use history::{HistoryView, VersionHistory};
pub use moment::Timestamp;
pub use past::{BadRequest, Dora, EvidenceView, RolloutRecord, TimelineEntry, Why};
pub use rollout::{
    Comparison, GateView, GuardView, HarmView, ItemView, PlanView, ProofView, RolloutState,
    RolloutView, StepView, WaitingFor,
};

pub use shadow::{
    BesideView, DifferenceSampleView, DifferenceView, PlaceView, QuantilesView, ShadowResultsView,
    ShadowView,
};
pub(crate) use stored::alike;
pub use unit::Unit;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Everything, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Rises whenever something other than a count has changed.
    pub generation: u64,
    pub at: Timestamp,
    /// In the order of their names.
    #[schema(value_type = Vec<ServiceView>)]
    #[serde(with = "shared")]
    pub services: Vec<Arc<ServiceView>>,
    pub freeze: Option<FreezeView>,
    pub config: ConfigView,
    pub health: Health,
}

/// On the wire nobody sees that snapshots share what has not changed.
mod shared {
    use super::ServiceView;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(
        services: &[Arc<ServiceView>],
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_seq(services.iter().map(|service| &**service))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Arc<ServiceView>>, D::Error> {
        Ok(Vec::deserialize(from)?.into_iter().map(Arc::new).collect())
    }
}

impl Snapshot {
    pub fn service(&self, name: &str) -> Option<&ServiceView> {
        self.services.iter().find(|s| s.name == name).map(|s| &**s)
    }
}

/// Whether control itself is well. The first sentence of trouble is for operators.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Why the journal cannot be written; weights can then only go down.
    pub journal: Option<String>,
    /// Why nothing that is measured now counts: this process's own threads are late.
    #[serde(default)]
    pub not_observing: Option<String>,
    /// Notifications given up or thrown away since the start.
    pub notifications_lost: u64,
    /// Records that a failing journal made Serin throw away.
    #[serde(default)]
    pub records_lost: u64,
    /// Services whose latest lowering is in force and not written yet: until it is, a crash would
    /// bring back the weight that was before.
    #[serde(default)]
    pub not_durable: Vec<String>,
    /// The same of the freeze.
    #[serde(default)]
    pub freeze_not_durable: bool,
}

impl Health {
    /// What is wrong with the journal, as a sentence; `None` when all is well.
    pub fn of_journal(&self) -> Option<String> {
        let mut parts: Vec<String> = self.journal.iter().cloned().collect();
        match &self.not_durable[..] {
            [] => {}
            [service] => parts.push(format!("what was lowered of {service} is not durable yet")),
            [first, ..] => parts.push(format!(
                "what was lowered of {} services is not durable yet, {first} among them",
                self.not_durable.len()
            )),
        }
        if self.freeze_not_durable {
            parts.push("the freeze is not durable yet".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
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
    /// The last attempt that failed, until one succeeds. A canary that was reverted is one, too.
    pub failed: Option<ReloadView>,
    /// Another configuration that serves a share of the requests beside this one.
    #[serde(default)]
    pub canary: Option<CanaryView>,
}

/// A configuration on trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryView {
    pub hash: String,
    /// Basis points of all requests.
    pub share: u16,
    pub since: Timestamp,
    /// It is kept then, if nothing speaks against it.
    pub until: Timestamp,
    /// Requests under the configuration in force meanwhile, and under the new one.
    pub old: CanarySideView,
    pub new: CanarySideView,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanarySideView {
    pub requests: u64,
    pub errors: u64,
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
    /// Basis points now in force, of every version.
    pub weights: BTreeMap<String, u16>,
    /// In the order of the configuration.
    pub versions: Vec<VersionView>,
    /// Health checks fail for most endpoints of the service: they are overruled, and every endpoint is tried.
    #[serde(default)]
    pub checks_overruled: bool,
    pub slo: SloView,
    /// What the configuration plans; `null` when it plans nothing.
    #[serde(default)]
    pub plan: Option<PlanView>,
    /// The version that starts when the rollout under way has ended.
    #[serde(default)]
    pub queued: Option<String>,
    /// The version that `undo` makes stable again; `null` when the journal knows of none.
    #[serde(default)]
    pub former: Option<String>,
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
    /// What is wrong with which endpoint: why it failed its health check, or could not be connected to.
    #[serde(default)]
    pub troubles: Vec<String>,
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
    /// The share of requests that must be faster than `latency_under_ms`; `null` without such an objective.
    #[serde(default)]
    pub latency_objective: Option<f64>,
    #[serde(default)]
    pub latency_under_ms: Option<f64>,
    pub window_seconds: u64,
    /// Of the whole budget; below 0 when overspent. `null` until something was counted.
    pub budget_remaining: Option<f64>,
    pub burn_rates: Vec<BurnView>,
    /// The objective that stable fails right now, in a rollout or at rest; `null` while it keeps them.
    #[serde(default)]
    pub missed: Option<MissedView>,
}

/// An urgent burn rule (P1 or P2) that a version breaks by more than chance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissedView {
    pub version: String,
    pub rule: String,
    /// `availability` or `latency`.
    pub promise: String,
    /// How many times as fast as the budget allows, and what the rule allows.
    pub rate: f64,
    pub above: f64,
    pub severity: String,
    /// All of it as a sentence.
    pub message: String,
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
