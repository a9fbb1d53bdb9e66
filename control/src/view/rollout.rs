//! A rollout as it stands now.

use super::{FailuresView, Figures, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// Another candidate took its place.
    Superseded,
    Complete,
}

impl RolloutState {
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Dark,
        Self::Running,
        Self::Holding,
        Self::Paused,
        Self::Inconclusive,
        Self::RolledBack,
        Self::Superseded,
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
            Self::Superseded => "superseded",
            Self::Complete => "complete",
        }
    }

    /// Nothing more happens to such a rollout by itself or by command, except `retry`.
    pub fn is_over(self) -> bool {
        match self {
            Self::RolledBack | Self::Superseded | Self::Complete => true,
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
    /// What stable keeps of the last step until its hold is over, in basis points; 0 on the steps before it.
    #[serde(default)]
    pub kept: u16,
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
    /// About how many more requests of the candidate the evidence needs, if both versions go on as they do; `null`
    /// when it has enough, and where no number would be enough.
    pub requests_needed: Option<u64>,
    /// How long that takes at the rate of this step.
    #[serde(default)]
    pub seconds_needed: Option<u64>,
    /// Its steps, as they were when the weight in force was decided.
    #[serde(default)]
    pub plan: Vec<StepView>,
    /// What can end it or stop it, with what each sees now.
    #[serde(default)]
    pub guards: Vec<GuardView>,
    /// Everything that stands against the next step, the weightiest first, as sentences.
    #[serde(default)]
    pub objections: Vec<String>,
    #[serde(default)]
    pub proof: ProofView,
    /// Candidate beside stable, over this step.
    pub comparison: Comparison,
    pub harm: HarmView,
    /// Where its latest failures came from; `null` without any.
    #[serde(default)]
    pub failures: Option<FailuresView>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum WaitingFor {
    Hold,
    Evidence,
    Approval,
    Checklist,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HarmView {
    pub failed_requests: u64,
    /// How many may fail beyond the forgiven ones.
    pub failed_requests_limit: Option<u64>,
    /// Failures that stable's own, at the same time, explain.
    #[serde(default)]
    pub failed_requests_forgiven: u64,
    pub users: u64,
    pub users_limit: Option<u64>,
    #[serde(default)]
    pub users_forgiven: u64,
    /// `false` where users cannot be told apart: `users` are then the failed requests.
    #[serde(default = "told_apart")]
    pub users_told_apart: bool,
}

fn told_apart() -> bool {
    true
}

/// What the configuration plans for a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    pub to: String,
    pub release: String,
    pub strategy: String,
    pub steps: Vec<StepView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Basis points.
    pub weight: u16,
    pub hold_seconds: u64,
    /// `all`, or `newSessions`.
    pub of: String,
    /// What must say yes before this step.
    pub gates: Vec<GateView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateView {
    /// `approval`, `checklist`, `webhook` or `shadow`.
    pub kind: String,
    pub granted: bool,
    /// How many people have to approve; 0 where it is no approval.
    #[serde(default)]
    pub needed: u32,
    /// Who has approved.
    #[serde(default)]
    pub given: Vec<String>,
    /// Who may approve; empty: whoever may change something.
    #[serde(default)]
    pub by: Vec<String>,
    /// Of a checklist.
    #[serde(default)]
    pub items: Vec<ItemView>,
}

/// An item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemView {
    pub item: String,
    /// Who has ticked it; `null` while nobody has.
    pub by: Option<String>,
}

/// A guard with what it sees. Shares are from 0 to 1, times are in milliseconds, and a signal
/// that is compared with stable's is a ratio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardView {
    pub name: String,
    /// `errorRate`, `latency`, `signal`, `shadowMismatch` or `shadowErrors`.
    pub kind: String,
    /// Of a latency guard: 0.95 for p95.
    pub quantile: Option<f64>,
    /// Of a signal guard.
    pub signal: Option<String>,
    /// `rollback`, `pause` or `notify`.
    pub action: String,
    pub over_seconds: u64,
    pub for_seconds: u64,
    pub threshold: f64,
    /// `null` while nothing can be said.
    pub observed: Option<f64>,
    pub stable: Option<f64>,
    pub seen: u64,
    pub needed: u64,
    /// What it sees is beyond the threshold.
    pub breached: bool,
    /// Chance alone does not explain it.
    pub proven: bool,
    /// Stable is beyond the same limit, or nearly as bad: it then holds and rolls nothing back.
    #[serde(default)]
    pub shared: bool,
}

/// How sure it is that the candidate is good enough to go on with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProofView {
    /// Candidate requests in this step, and how many there must be.
    pub requests: u64,
    pub requests_needed: u64,
    /// The bet that the candidate is no worse, and what it must reach; `null` before it is made.
    pub value: Option<f64>,
    pub value_needed: Option<f64>,
    /// The bet that it fails less than `harm_limit`, of which little harm comes; `null` where the plan does not accept
    /// it. It must reach as much.
    #[serde(default)]
    pub harm_value: Option<f64>,
    /// A share; from 1 on nothing has to be shown.
    #[serde(default)]
    pub harm_limit: Option<f64>,
    /// What is shown: `proof`, `boundedHarm`, or `null`.
    #[serde(default)]
    pub shown: Option<String>,
    /// What is still needed, as a sentence; `null` while nothing is.
    #[serde(default)]
    pub outlook: Option<String>,
}
