//! A service over time: columns, because a browser draws them as they come.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was measured of a service, one point for every `step_seconds`. It is kept in memory, for
/// 24 hours at most, and begins anew with Serin; a moment in which Serin did not run has no point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryView {
    pub service: String,
    pub at: Timestamp,
    pub step_seconds: u64,
    /// Seconds since 1970 at which each point ends, ascending.
    pub times: Vec<i64>,
    pub versions: Vec<VersionHistory>,
}

/// One version's columns, each as long as `times`. `null`: nothing to say about that moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionHistory {
    pub name: String,
    /// Basis points in force.
    pub weights: Vec<u16>,
    pub requests: Vec<u32>,
    pub bad: Vec<u32>,
    pub p50_ms: Vec<Option<f32>>,
    pub p95_ms: Vec<Option<f32>>,
    pub p99_ms: Vec<Option<f32>>,
}
