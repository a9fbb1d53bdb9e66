//! Recorded counts: one JSON object a line, each what one version did since its line before.
//!
//! `{"at": 60, "version": "v42", "good": 1190, "bad": 3, "firstBad": 2, "latencyMs": [[40, 1100], [900, 93]]}`

use serde::Deserialize;
use serin_core::ids::VersionName;
use serin_core::simulate::{Recorded, Recording};
use std::path::Path;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    /// Seconds since the recording began.
    at: f64,
    version: String,
    #[serde(default)]
    good: u64,
    #[serde(default)]
    bad: u64,
    first_bad: Option<u64>,
    /// So many answers (second) took so many milliseconds (first).
    #[serde(default)]
    latency_ms: Vec<(f64, u64)>,
}

pub(super) fn read(path: &Path) -> Result<Recording, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut recording = Recording::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let record = record(line).map_err(|e| format!("{}:{}: {e}", path.display(), number + 1))?;
        if recording.last().is_some_and(|last| last.at > record.at) {
            let place = format!("{}:{}", path.display(), number + 1);
            return Err(format!("{place}: earlier than the line before"));
        }
        recording.push(record);
    }
    Ok(recording)
}

fn record(line: &str) -> Result<Recorded, String> {
    let line: Line = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let seconds = |s: f64| Duration::try_from_secs_f64(s).map_err(|e| e.to_string());
    Ok(Recorded {
        at: seconds(line.at)?,
        version: VersionName::new(&line.version).map_err(|e| e.to_string())?,
        good: line.good,
        bad: line.bad,
        first_bad: line.first_bad,
        latencies: line
            .latency_ms
            .into_iter()
            .map(|(ms, times)| Ok((seconds(ms / 1_000.0)?, times)))
            .collect::<Result<_, String>>()?,
    })
}
