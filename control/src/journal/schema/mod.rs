//! What is on disk: the records of the journal and the file `windows`, as types of their own.
//!
//! What is shown (`view`, `event`, `command`) is made from these and never stored, so it can change
//! freely. What is stored changes only like this: a field that is added later is optional or has a
//! default, a field is never renamed and never changes its meaning, and what cannot keep to that needs
//! a new format number, with the old one still read. `tests/old_format.rs` reads journals that the binaries of every
//! format wrote; `tests/house.rs` fails when this side looks at what is shown.
//!
//! - `shape` writes down the values of `core` that decisions are made from.
//! - Everything else is text and numbers here.
//!
//! `Debug` is nobody's encoding: it may change with any compiler.

mod checkpoint;
mod command;
mod decision;
mod event;
mod rollout;
mod shape;

pub(crate) use checkpoint::{Checkpoint, Hex, OfService, stage};
pub(crate) use command::{Command, Key, Outcome};
pub(crate) use decision::{BadRequest, Count, Decided, Decision, Explained, Failures, Unit};
pub(crate) use event::{Event, EventKind};
pub(crate) use rollout::{Comparison, Entry, Figures, Harm, Rollout};
pub(crate) use shape::{
    ConditionsShape, EvidenceShape, NowShape, PositionShape, Shape, Shaped, TermsShape,
};

use serde::{Deserialize, Serialize};
use serin_core::ids::VersionName;
use serin_core::rollout::{Identity, Listed};
use serin_core::time::Wall;
use shape::Moment;

/// One commit: records that become true together.
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
    Decision(Box<Decision>),
    Rollout(Box<Rollout>),
    Event(Box<Event>),
    Freeze {
        freeze: Option<Freeze>,
    },
    Key(Box<Key>),
}

/// The versions of a service. A name says little: release and endpoints say what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing(Vec<Version>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: String,
    release: String,
    endpoints: Vec<String>,
}

impl Listing {
    pub(crate) fn new(listed: &[Listed]) -> Self {
        let version = |listed: &Listed| Version {
            version: listed.identity.version.to_string(),
            release: listed.identity.release.clone(),
            endpoints: listed.endpoints.clone(),
        };
        Self(listed.iter().map(version).collect())
    }

    /// A name that is none belongs to no version that could be listed.
    pub(crate) fn versions(&self) -> Vec<Listed> {
        let listed = |stored: &Version| {
            let version = VersionName::new(&stored.version).ok()?;
            let identity = Identity { version, release: stored.release.clone() };
            Some(Listed { identity, endpoints: stored.endpoints.clone() })
        };
        self.0.iter().filter_map(listed).collect()
    }
}

/// Nothing starts or rises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Freeze {
    #[serde(with = "Moment")]
    pub(crate) since: Wall,
    pub(crate) reason: String,
    pub(crate) by: String,
}

/// The default of a field that was added when everything before it was so.
fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Written by a binary from before these types were apart from those of the API.
    const JOURNAL: &str = include_str!("../../../tests/fixtures/journal-format-2");

    #[test]
    fn what_format_2_says_is_written_as_it_was_read() {
        for line in JOURNAL.lines() {
            let json = &line[17..];
            let read: Line = serde_json::from_str(json).unwrap();
            let before: Value = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_value(read).unwrap()["records"], before["records"]);
        }
        let kinds = ["position", "terms", "decision", "rollout", "event", "freeze", "key"];
        for kind in kinds {
            assert!(JOURNAL.contains(&format!("{{\"{kind}\":{{")), "no {kind} in the sample");
        }
    }
}
