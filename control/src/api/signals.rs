//! `/v1/services/{service}/signals`: business counts from outside, per version.

use super::etag::{self, Tag};
use super::extract::{Name, Raw};
use super::problem::Problem;
use super::rollout::{self, Who};
use super::{Answered, Api, services};
use crate::Signal;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Counts of one version since the last push: `good` of `total`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Push {
    #[schema(max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: String,
    /// As a guard of the rollout names it.
    #[schema(max_length = 63, pattern = "^[A-Za-z0-9._-]+$")]
    name: String,
    #[schema(maximum = 1_000_000_000_000i64)]
    good: u64,
    /// At least `good`.
    #[schema(maximum = 1_000_000_000_000i64)]
    total: u64,
}

/// How many were taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    accepted: usize,
}

/// Larger counts are mistakes, and sums of these cannot overflow.
const LARGEST: u64 = 1_000_000_000_000;
/// A push with more than this is a mistake.
const MOST: usize = 1000;
const LONGEST_NAME: usize = 63;

/// Push business counts
///
/// Each push adds to what was pushed before: send what happened since the last one. All of a
/// push is taken, or nothing. Idempotency-Key is honoured, so a push can be repeated safely, and so is
/// If-Match.
#[utoipa::path(
    post, path = "/v1/services/{service}/signals", operation_id = "pushSignals", tag = "signals",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Vec<Push>,
    responses((status = 202, body = Accepted))
)]
pub(crate) async fn push(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    let service = services::known(&api, &name.0)?;
    let pushes: Vec<Push> = body.json()?;
    if pushes.len() > MOST {
        return Err(Problem::unprocessable(format!("a push has at most {MOST} signals")));
    }
    let snapshot = api.handle().snapshot();
    let revision = services::find(&snapshot, &name.0)?.revision;
    etag::check(who.headers(), &Tag::of_revision(revision))?;
    let mut signals = Vec::with_capacity(pushes.len());
    for (i, push) in pushes.into_iter().enumerate() {
        let version = rollout::version(&snapshot, &name.0, &push.version)?;
        check(i, &push)?;
        signals.push(Signal { version, name: push.name, good: push.good, total: push.total });
    }
    let accepted = signals.len();
    let pushed = api.handle().signals(&service, signals).await;
    pushed.map_err(|refusal| rollout::refused(&snapshot, refusal))?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { accepted })).into_response())
}

fn check(i: usize, push: &Push) -> Result<(), Problem> {
    if push.good > push.total {
        return Err(Problem::unprocessable(format!(
            "signal {i} ({}): good is {}, which is more than total {}",
            push.name, push.good, push.total
        )));
    }
    if push.total > LARGEST {
        return Err(Problem::unprocessable(format!(
            "signal {i} ({}): total is {}, which is more than {LARGEST}",
            push.name, push.total
        )));
    }
    let shaped = (1..=LONGEST_NAME).contains(&push.name.len())
        && push.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if shaped {
        return Ok(());
    }
    Err(Problem::unprocessable(format!(
        "signal {i}: a name has 1 to {LONGEST_NAME} letters, digits, '-', '_' or '.'"
    )))
}
