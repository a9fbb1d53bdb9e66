//! A decision as it is stored, with everything that it was made from.

use super::shape::Moment;
use serde::{Deserialize, Serialize};
use serin_core::time::Wall;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Decision {
    pub(crate) service: String,
    pub(crate) rollout: String,
    #[serde(with = "Moment")]
    pub(crate) at: Wall,
    pub(crate) explained: Explained,
    pub(crate) bad_requests: Vec<BadRequest>,
    pub(crate) failures: Option<Failures>,
    /// The arguments of the decision, in their shapes; `terms` is named by its hash.
    pub(crate) terms: String,
    pub(crate) position: serde_json::Value,
    pub(crate) evidence: serde_json::Value,
    pub(crate) outside: serde_json::Value,
    pub(crate) now: serde_json::Value,
    /// The command, when the decision came from one; see `command.rs`.
    pub(crate) asked: Option<String>,
    /// What was decided, in words and weights, and the position that followed.
    pub(crate) decision: Decided,
}

/// A verdict in the terms of the question "why?".
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explained {
    pub(crate) verdict: String,
    pub(crate) reason: String,
    pub(crate) rule: String,
    pub(crate) observed: Option<f64>,
    pub(crate) threshold: Option<f64>,
    pub(crate) stable_observed: Option<f64>,
    /// Of those three. Absent in what was written before there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<Unit>,
    pub(crate) samples: u64,
    pub(crate) stable_samples: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Unit {
    Share,
    Seconds,
    Ratio,
    Requests,
    Users,
    Endpoints,
    BurnRate,
    Evidence,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Decided {
    pub(crate) verdict: String,
    pub(crate) objections: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) weights: BTreeMap<String, u16>,
    pub(crate) next: serde_json::Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BadRequest {
    pub(crate) request_id: String,
    pub(crate) what: String,
    #[serde(with = "Moment")]
    pub(crate) at: Wall,
}

/// Where failures came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failures {
    pub(crate) of: u64,
    pub(crate) users: Option<u64>,
    pub(crate) networks: u64,
    pub(crate) failing_on_stable: u64,
    pub(crate) concentrated: bool,
    pub(crate) summary: String,
    pub(crate) by_network: Vec<Count>,
    pub(crate) by_route: Vec<Count>,
    pub(crate) by_method: Vec<Count>,
    pub(crate) by_endpoint: Vec<Count>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Count {
    pub(crate) name: String,
    pub(crate) count: u64,
}
