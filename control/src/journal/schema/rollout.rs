//! One rollout as it is stored: what it was, how far it came, what it did, and how it ended.

use super::decision::Failures;
use super::shape::{Maybe, Moment, PhaseShape};
use super::yes;
use serde::{Deserialize, Serialize};
use serin_core::rollout::Phase;
use serin_core::time::Wall;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rollout {
    pub(crate) id: String,
    pub(crate) service: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) release: String,
    #[serde(with = "PhaseShape")]
    pub(crate) state: Phase,
    pub(crate) reason: String,
    pub(crate) start_reason: String,
    pub(crate) started_by: String,
    #[serde(with = "Moment")]
    pub(crate) started_at: Wall,
    #[serde(default, with = "Maybe::<Moment>")]
    pub(crate) ended_at: Option<Wall>,
    /// When it completed, of one that was taken back later.
    #[serde(default, with = "Maybe::<Moment>", skip_serializing_if = "Option::is_none")]
    pub(crate) completed_at: Option<Wall>,
    #[serde(default, with = "Maybe::<Moment>")]
    pub(crate) committed_at: Option<Wall>,
    pub(crate) severity: Option<String>,
    pub(crate) blamed: bool,
    #[serde(default, with = "Maybe::<Moment>")]
    pub(crate) harmed_at: Option<Wall>,
    /// Basis points.
    pub(crate) reached: u16,
    pub(crate) harm: Harm,
    pub(crate) failures: Option<Failures>,
    pub(crate) comparison: Option<Comparison>,
    pub(crate) timeline: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Harm {
    pub(crate) failed_requests: u64,
    pub(crate) failed_requests_limit: Option<u64>,
    #[serde(default)]
    pub(crate) failed_requests_forgiven: u64,
    pub(crate) users: u64,
    pub(crate) users_limit: Option<u64>,
    #[serde(default)]
    pub(crate) users_forgiven: u64,
    #[serde(default = "yes")]
    pub(crate) users_told_apart: bool,
}

impl Default for Harm {
    fn default() -> Self {
        Self {
            failed_requests: 0,
            failed_requests_limit: None,
            failed_requests_forgiven: 0,
            users: 0,
            users_limit: None,
            users_forgiven: 0,
            users_told_apart: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparison {
    pub(crate) candidate: Figures,
    pub(crate) stable: Figures,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) bad: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) error_ratio: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
}

/// Something that happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    #[serde(with = "Moment")]
    pub(crate) at: Wall,
    pub(crate) what: String,
    /// Basis points from here on.
    pub(crate) weight: u16,
    pub(crate) actor: Option<String>,
    pub(crate) reason: Option<String>,
}
