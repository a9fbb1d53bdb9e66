//! The file `windows` as it is stored: what is kept every ten seconds beside the journal. Objectives
//! and tests are bytes as `core` encodes them, in hex.

use serde::{Deserialize, Serialize};
use serin_core::rollout::Stage;
use std::collections::BTreeMap;

const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Checkpoint {
    format: u32,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) services: BTreeMap<String, OfService>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfService {
    pub(crate) slo: Hex,
    /// With the epoch of its rollout.
    pub(crate) judge: Option<(u64, Hex)>,
    pub(crate) epoch: u64,
    /// See [`stage`]; empty without a rollout.
    pub(crate) stage: String,
    /// Of the present hold, which is not worth a commit with every tick.
    pub(crate) held_ms: u64,
}

impl Checkpoint {
    pub(crate) fn new(at: i64, services: BTreeMap<String, OfService>) -> Self {
        Self { format: FORMAT, at, services }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` for whatever this program does not know: it then begins without.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let windows: Self = serde_json::from_slice(bytes).ok()?;
        (windows.format == FORMAT).then_some(windows)
    }
}

/// A stage as `windows` names it.
pub(crate) fn stage(stage: Stage) -> String {
    match stage {
        Stage::Before => "Before".to_owned(),
        Stage::Dark => "Dark".to_owned(),
        Stage::Step(index) => format!("Step({index})"),
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hex(String);

impl Hex {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        use std::fmt::Write;
        Self(bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let pairs = self.0.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        pairs.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stage_is_written_as_never_changes() {
        let all = [Stage::Before, Stage::Dark, Stage::Step(0), Stage::Step(12)];
        assert_eq!(all.map(stage), ["Before", "Dark", "Step(0)", "Step(12)"]);
    }
}
