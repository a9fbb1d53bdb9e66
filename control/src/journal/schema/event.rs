//! An event as it is stored.

use super::shape::Moment;
use serde::{Deserialize, Serialize};
use serin_core::time::Wall;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// Given by the writer; 0 until then.
    pub(crate) id: u64,
    #[serde(with = "Moment")]
    pub(crate) at: Wall,
    pub(crate) kind: EventKind,
    pub(crate) service: Option<String>,
    pub(crate) rollout: Option<String>,
    pub(crate) severity: Option<String>,
    pub(crate) message: String,
    pub(crate) actor: Option<String>,
    /// Basis points by version after the event.
    pub(crate) weights: BTreeMap<String, u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum EventKind {
    Started,
    Advanced,
    Waiting,
    Paused,
    Resumed,
    WeightSet,
    RolledBack,
    Undone,
    Superseded,
    Completed,
    Inconclusive,
    Warning,
    Frozen,
    Unfrozen,
    BudgetLow,
    Reloaded,
    ReloadFailed,
    CertificateExpiring,
    JournalFailing,
    JournalRecovered,
}
