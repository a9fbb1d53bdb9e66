//! Commands as they are stored: what was asked for, and the idempotency keys that were used.

use super::shape::{Maybe, PhaseShape};
use super::yes;
use serde::{Deserialize, Serialize};
use serin_core::rollout::Phase;

/// What was asked for. Written as one line of JSON, which a decision shows and a digest is made of;
/// never read back.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Command<'a> {
    #[serde(rename_all = "camelCase")]
    Start {
        to: Option<&'a str>,
        release: Option<&'a str>,
        reason: &'a str,
        /// Milliseconds since 1970.
        committed_at: Option<i64>,
        supersede: bool,
    },
    Retry {
        reason: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    Promote {
        reason: &'a str,
        from_step: Option<u32>,
    },
    Pause {
        reason: &'a str,
    },
    Resume {
        reason: &'a str,
    },
    Abort {
        reason: &'a str,
    },
    Approve {
        /// In basis points.
        before: Option<u16>,
        reason: &'a str,
    },
    Tick {
        item: &'a str,
        done: bool,
        reason: &'a str,
    },
    Undo {
        reason: &'a str,
    },
    Weights {
        /// In basis points.
        weights: Vec<(&'a str, u16)>,
        reason: &'a str,
    },
}

impl Command<'_> {
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn digest(&self, service: &str) -> Digest {
        let hash = blake3::hash(format!("{service} {}", self.text()).as_bytes());
        Digest(format!("{ENCODING}{}", &hash.to_hex()[..16]))
    }
}

/// Of the encoding above. Digests of another one begin otherwise.
const ENCODING: &str = "json:";

/// Of a service and a command: whoever uses a key again must mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest(String);

impl Digest {
    /// Whether both can be of the same command. Nothing can be said of a digest in another encoding:
    /// it is believed, because its key names the caller, the service and the command already, and
    /// refusing the repetition of a command that was carried out would be worse.
    pub(crate) fn may_equal(&self, other: &Self) -> bool {
        self == other || !self.0.starts_with(ENCODING) || !other.0.starts_with(ENCODING)
    }
}

/// An idempotency key that was used, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Key {
    pub(crate) key: String,
    pub(crate) digest: Digest,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) service: String,
    pub(crate) revision: u64,
    pub(crate) rollout: Option<String>,
    #[serde(default, with = "Maybe::<PhaseShape>")]
    pub(crate) state: Option<Phase>,
    pub(crate) message: String,
    #[serde(default = "yes")]
    pub(crate) durable: bool,
    pub(crate) repeated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These texts and digests are on disks.
    #[test]
    fn what_a_command_is_written_as_never_changes() {
        let (reason, to, release) = ("why", Some("v2"), Some("r2"));
        let committed_at = Some(1_000);
        let start = Command::Start { to, release, reason, committed_at, supersede: true };
        assert_eq!(start.digest("shop").0, "json:35e3fc91c882553a");
        let weights = vec![("v1", 9_000), ("v2", 1_000)];
        for (command, text) in [
            (
                start,
                r#"{"start":{"to":"v2","release":"r2","reason":"why","committedAt":1000,"supersede":true}}"#,
            ),
            (Command::Retry { reason }, r#"{"retry":{"reason":"why"}}"#),
            (
                Command::Promote { reason, from_step: Some(2) },
                r#"{"promote":{"reason":"why","fromStep":2}}"#,
            ),
            (Command::Pause { reason }, r#"{"pause":{"reason":"why"}}"#),
            (Command::Resume { reason }, r#"{"resume":{"reason":"why"}}"#),
            (Command::Abort { reason }, r#"{"abort":{"reason":"why"}}"#),
            (
                Command::Approve { before: Some(5_000), reason },
                r#"{"approve":{"before":5000,"reason":"why"}}"#,
            ),
            (
                Command::Tick { item: "backup", done: true, reason },
                r#"{"tick":{"item":"backup","done":true,"reason":"why"}}"#,
            ),
            (Command::Undo { reason }, r#"{"undo":{"reason":"why"}}"#),
            (
                Command::Weights { weights, reason },
                r#"{"weights":{"weights":[["v1",9000],["v2",1000]],"reason":"why"}}"#,
            ),
        ] {
            assert_eq!(command.text(), text);
        }
    }

    #[test]
    fn a_digest_of_another_encoding_is_believed() {
        let abort = |reason| Command::Abort { reason }.digest("shop");
        assert!(abort("a").may_equal(&abort("a")));
        assert!(!abort("a").may_equal(&abort("b")));
        let earlier: Digest = serde_json::from_str("\"0123456789abcdef\"").unwrap();
        assert!(earlier.may_equal(&abort("a")) && abort("a").may_equal(&earlier));
    }
}
