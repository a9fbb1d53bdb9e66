//! One commit of the journal: a line of records that become true together.

use super::shape::{PositionShape, Shaped, TermsShape};
use crate::command::Outcome;
use crate::event::Event;
use crate::view::{BadRequest, FailuresView, FreezeView, RolloutRecord, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use serin_core::ids::VersionName;
use serin_core::rollout::{Identity, Listed};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) records: Vec<Record>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Record {
    /// Where a service stands from here on.
    Position {
        service: String,
        revision: u64,
        position: Box<Shaped<PositionShape>>,
        /// What its versions are in the configuration in force; absent while they are as before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listed: Option<Listing>,
    },
    /// What the configuration said, named by its hash; written once, before the first decision
    /// that refers to it.
    Terms {
        id: String,
        terms: Box<Shaped<TermsShape>>,
    },
    Decision(Box<DecisionRecord>),
    Rollout(Box<RolloutRecord>),
    Event(Box<Event>),
    Freeze {
        freeze: Option<FreezeView>,
    },
    Key(Box<KeyRecord>),
}

/// The versions of a service. A name says little: release and endpoints say what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing(Vec<VersionRecord>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionRecord {
    version: String,
    release: String,
    endpoints: Vec<String>,
}

impl Listing {
    pub(crate) fn new(listed: &[Listed]) -> Self {
        let version = |listed: &Listed| VersionRecord {
            version: listed.identity.version.to_string(),
            release: listed.identity.release.clone(),
            endpoints: listed.endpoints.clone(),
        };
        Self(listed.iter().map(version).collect())
    }

    /// A name that is none belongs to no version that could be listed.
    pub(crate) fn versions(&self) -> Vec<Listed> {
        let listed = |record: &VersionRecord| {
            let version = VersionName::new(&record.version).ok()?;
            let identity = Identity { version, release: record.release.clone() };
            Some(Listed { identity, endpoints: record.endpoints.clone() })
        };
        self.0.iter().filter_map(listed).collect()
    }
}

/// A decision with everything that it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DecisionRecord {
    pub(crate) service: String,
    pub(crate) rollout: String,
    pub(crate) at: Timestamp,
    pub(crate) explained: Explained,
    pub(crate) bad_requests: Vec<BadRequest>,
    #[serde(default)]
    pub(crate) failures: Option<FailuresView>,
    /// The arguments of the decision: `terms` is named by its hash.
    pub(crate) terms: String,
    pub(crate) position: serde_json::Value,
    pub(crate) evidence: serde_json::Value,
    pub(crate) outside: serde_json::Value,
    pub(crate) now: serde_json::Value,
    /// The command, when the decision came from one.
    pub(crate) asked: Option<String>,
    /// What was decided, in words and weights, and the position that followed.
    pub(crate) decision: DecisionText,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<Unit>,
    pub(crate) samples: u64,
    pub(crate) stable_samples: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DecisionText {
    pub(crate) verdict: String,
    pub(crate) objections: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) weights: BTreeMap<String, u16>,
    pub(crate) next: serde_json::Value,
}

/// An idempotency key that was used, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyRecord {
    pub(crate) key: String,
    /// Of the service and the command.
    pub(crate) digest: String,
    pub(crate) outcome: Outcome,
}
