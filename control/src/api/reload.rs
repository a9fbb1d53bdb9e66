//! `/v1/config/reload`: the files are read anew, for everybody or for a share of requests first.
//!
//! How a canary is judged and when it ends is decided by whoever started Serin, through
//! [`Hooks`](super::Hooks); here a request becomes one question, and the answer JSON.

use super::config::{AppliedConfig, Config, body, invalid, names, tag};
use super::etag;
use super::extract::Raw;
use super::problem::Problem;
use super::{Answered, Api, rollouts};
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serin_config::{Fault, Faults};
use serin_core::weights::{BasisPoints, WHOLE};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// A share of requests, and how long a configuration must serve it before everybody gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    pub share: BasisPoints,
    pub lasts: Duration,
}

/// Why no canary was begun.
#[derive(Debug)]
pub enum NoCanary {
    Invalid(Faults),
    /// Valid, and not something that a share of requests can try.
    Unfit(String),
}

pub(super) type Begin = dyn Fn(Canary) -> Result<Vec<Fault>, NoCanary> + Send + Sync;
/// Says whether there was one.
pub(super) type End = dyn Fn() -> bool + Send + Sync;

/// How the files are taken. Without a body: by everybody, at once.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReloadConfig)]
pub(crate) struct Reload {
    /// Like `5%`: so many requests are served by the new files, the others by what is in force.
    canary: Option<String>,
    /// Like `10m`: so long, until everybody is; 10m when nothing is said.
    #[serde(rename = "for")]
    lasts: Option<String>,
    /// Services whose `stable` is believed where it contradicts the journal: it gets every request.
    #[serde(default, rename = "adoptStable")]
    adopt: Vec<String>,
}

const LASTS: Duration = Duration::from_secs(600);

/// Read the files anew
///
/// Answers when they are in force. Invalid files change nothing, and are answered with every
/// fault. With `canary`, it answers when they serve their share; they are reverted by themselves
/// when that share fails more than the rest, and taken as a whole when their time is over. A reload
/// without `canary` takes what the files say now as a whole, and ends a canary. Files that contradict
/// the journal about a version that serves requests are refused. If-Match is honoured.
#[utoipa::path(
    post, path = "/v1/config/reload", operation_id = "reloadConfig", tag = "config", request_body = Reload,
    responses((status = 200, body = Config, headers(("etag" = String))))
)]
pub(crate) async fn reload(State(api): State<Api>, headers: HeaderMap, raw: Raw) -> Answered {
    let asked: Reload = raw.json_or_default()?;
    etag::check(&headers, &tag(&api.handle().snapshot().config))?;
    let Some(canary) = canary(&asked)? else {
        let adopt = names(&asked.adopt)?;
        let reload = Arc::clone(&api.inner.hooks.reload);
        return match rollouts::read_journal(move || reload(adopt)).await? {
            Ok(taken) => Ok(body(&api, taken)),
            Err(refused) => Err(invalid(refused)),
        };
    };
    let begin = Arc::clone(&api.inner.hooks.canary);
    match rollouts::read_journal(move || begin(canary)).await? {
        Ok(warnings) => Ok(body(&api, AppliedConfig { warnings, ..AppliedConfig::default() })),
        Err(NoCanary::Invalid(refused)) => Err(invalid(refused)),
        Err(NoCanary::Unfit(why)) => Err(Problem::conflict(why)),
    }
}

/// End a canary of the configuration
///
/// Every request gets the configuration in force again. If-Match is honoured.
#[utoipa::path(
    delete, path = "/v1/config/reload", operation_id = "endConfigCanary", tag = "config",
    responses((status = 200, body = Config, headers(("etag" = String))))
)]
pub(crate) async fn end(State(api): State<Api>, headers: HeaderMap) -> Answered {
    etag::check(&headers, &tag(&api.handle().snapshot().config))?;
    let end = Arc::clone(&api.inner.hooks.end_canary);
    match rollouts::read_journal(move || end()).await? {
        true => Ok(body(&api, AppliedConfig::default())),
        false => Err(Problem::conflict("no configuration is on trial: one serves every request")),
    }
}

fn canary(asked: &Reload) -> Result<Option<Canary>, Problem> {
    let wrong = |key: &str, why: String| Problem::unprocessable(format!("{key}: {why}"));
    if asked.canary.is_some() && !asked.adopt.is_empty() {
        return Err(wrong("adoptStable", "a canary moves no stable; reload without it".into()));
    }
    let Some(share) = &asked.canary else {
        return match &asked.lasts {
            None => Ok(None),
            Some(_) => Err(wrong("for", "it is the time of a canary; write its share, too".into())),
        };
    };
    let share = serin_config::share(share).map_err(|why| wrong("canary", why))?;
    if share == BasisPoints::ZERO || share.get() >= WHOLE {
        let why =
            "a share must be left to both configurations; write more than 0% and less than 100%";
        return Err(wrong("canary", why.to_owned()));
    }
    let lasts = asked.lasts.as_deref().map_or(Ok(LASTS), serin_config::duration);
    let lasts = lasts.map_err(|why| wrong("for", why))?;
    if lasts.is_zero() {
        return Err(wrong("for", "write how long, like `10m`".to_owned()));
    }
    Ok(Some(Canary { share, lasts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Option<Canary>, String> {
        let asked: Reload = serde_json::from_str(text).map_err(|e| e.to_string())?;
        canary(&asked).map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn a_canary_has_a_share_and_a_time() {
        let of = |points, seconds| Canary {
            share: BasisPoints::new(points).unwrap(),
            lasts: Duration::from_secs(seconds),
        };
        assert_eq!(asked(r#"{"canary": "5%", "for": "90s"}"#), Ok(Some(of(500, 90))));
        assert_eq!(asked(r#"{"canary": "0.5%"}"#), Ok(Some(of(50, 600))));
        assert_eq!(asked("{}"), Ok(None));
    }

    #[test]
    fn what_cannot_be_a_canary_is_said_with_the_key() {
        for (text, says) in [
            (r#"{"canary": "0%"}"#, "canary: a share must be left"),
            (r#"{"canary": "100%"}"#, "canary: a share must be left"),
            (r#"{"canary": "5"}"#, "canary: `5` has no unit"),
            (r#"{"canary": "5%", "for": "10"}"#, "for: `10` has no unit"),
            (r#"{"for": "10m"}"#, "for: it is the time of a canary"),
            (r#"{"share": "5%"}"#, "unknown field"),
        ] {
            let why = asked(text).unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
        }
    }
}
