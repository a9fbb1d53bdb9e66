//! What a scenario file says.

use super::quantity::{Share, Shift, Span};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Scenario {
    /// One sentence: what it shows.
    pub(super) about: Option<String>,
    /// May be left out when only one service has a rollout.
    pub(super) service: Option<Spanned<String>>,
    /// When the simulated clock begins: `2026-11-24T14:30[Europe/Paris]`.
    pub(super) starts: Option<Spanned<String>>,
    pub(super) lasts: Span,
    pub(super) tick: Option<Span>,
    pub(super) seed: Option<u64>,
    #[serde(default)]
    pub(super) traffic: Traffic,
    #[serde(default)]
    pub(super) versions: BTreeMap<String, Spanned<Version>>,
    /// A file of counts, one JSON object a line, instead of made traffic.
    pub(super) recorded: Option<PathBuf>,
    pub(super) webhooks: Option<Webhooks>,
    #[serde(default)]
    pub(super) course: Vec<Spanned<Moment>>,
    /// Times in which many requests fail, on every version; drawn from the seed.
    #[serde(default)]
    pub(super) storms: Vec<Storms>,
    /// Failures and traffic rise and fall.
    pub(super) swing: Option<Swing>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Storms {
    pub(super) per_day: f64,
    pub(super) errors: Share,
    /// The shortest, and the longest.
    pub(super) lasts: (Span, Span),
    /// One version is reached so much sooner than the others.
    #[serde(default)]
    pub(super) shift: Span,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Swing {
    /// At the height so many times as at the bottom.
    #[serde(default = "once")]
    pub(super) errors: f64,
    #[serde(default = "once")]
    pub(super) traffic: f64,
    pub(super) over: Span,
}

fn once() -> f64 {
    1.0
}

/// A few of the users, who send many of the requests.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HeavyUsers {
    pub(super) share: Share,
    pub(super) of: Share,
}

/// For some of the users everything takes so many times as long.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SlowUsers {
    pub(super) share: Share,
    pub(super) times: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Traffic {
    pub(super) requests_per_second: Option<f64>,
    pub(super) users: Option<usize>,
    pub(super) new_sessions: Option<Share>,
    pub(super) idempotent: Option<Share>,
    pub(super) heavy_users: Option<HeavyUsers>,
    pub(super) slow_users: Option<SlowUsers>,
    /// Whose request failed asks again so many times, a second later.
    #[serde(default)]
    pub(super) retries: u32,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Version {
    pub(super) errors: Option<Share>,
    pub(super) broken_users: Option<Share>,
    pub(super) p50: Option<Span>,
    pub(super) p95: Option<Span>,
    pub(super) mismatch: Option<Share>,
    /// The share of endpoints that are ready.
    pub(super) ready: Option<Share>,
    #[serde(default)]
    pub(super) signals: BTreeMap<String, Share>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Webhooks {
    pub(super) after: Span,
    pub(super) answer: WebhookAnswer,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum WebhookAnswer {
    Granted,
    Refused,
}

/// Something that happens at a moment: a person's command, a machine's mishap, or a change of
/// how versions behave.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Moment {
    pub(super) at: Span,
    pub(super) start: Option<String>,
    pub(super) promote: Option<String>,
    pub(super) pause: Option<String>,
    pub(super) resume: Option<String>,
    pub(super) abort: Option<String>,
    pub(super) retry: Option<String>,
    /// The weight of the step whose approval is given.
    pub(super) approve: Option<Spanned<String>>,
    /// Set by hand.
    pub(super) weight: Option<Spanned<String>>,
    pub(super) freeze: Option<String>,
    pub(super) thaw: Option<String>,
    /// Downtime.
    pub(super) restart: Option<Span>,
    pub(super) clock: Option<Shift>,
    /// No counts for so long.
    pub(super) silence: Option<Span>,
    /// The whole host without processor time for so long.
    pub(super) starve: Option<Span>,
    pub(super) requests_per_second: Option<f64>,
    /// Several at once for an outage that they share.
    #[serde(default)]
    pub(super) versions: BTreeMap<String, Version>,
    /// A change comes gradually.
    #[serde(default)]
    pub(super) over: Span,
    /// And passes again.
    #[serde(rename = "for")]
    pub(super) lasts: Option<Span>,
}

/// The fault with its line, as rustc would show it.
pub(super) fn read(path: &Path) -> Result<Scenario, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    // The reader calls its input so; its words carry line, column and the lines around.
    let named = |said: String| said.replace("<input>", &path.display().to_string());
    serde_saphyr::from_str(&text).map_err(|error| named(error.to_string()))
}
