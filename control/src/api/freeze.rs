//! `/v1/freeze`: nothing starts or advances while it stands. Guards still roll back.

use super::etag::{self, Tag};
use super::extract::Raw;
use super::rollout::{self, Who};
use super::{Answered, Api};
use crate::view::{FreezeView, Snapshot, Timestamp};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether everything is frozen, since when, why and by whom.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Freeze {
    frozen: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// `false`: in force, and not written yet, because the disk does not answer.
    durable: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetFreeze)]
pub(crate) struct Set {
    frozen: bool,
    /// For the journal and the notifications.
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// Whether everything is frozen
#[utoipa::path(
    get, path = "/v1/freeze", operation_id = "readFreeze", tag = "freeze",
    responses((status = 200, body = Freeze, headers(("etag" = String))))
)]
pub(crate) async fn read(State(api): State<Api>) -> Response {
    shown(&api.handle().snapshot())
}

/// Freeze everything, or lift the freeze
///
/// If-Match is honoured.
#[utoipa::path(
    put, path = "/v1/freeze", operation_id = "setFreeze", tag = "freeze", request_body = Set,
    responses((status = 200, body = Freeze, headers(("etag" = String))))
)]
pub(crate) async fn replace(State(api): State<Api>, who: Who, body: Raw) -> Answered {
    let set: Set = body.json()?;
    let reason = rollout::reason(set.reason)?;
    let reason =
        set.frozen.then(|| if reason.is_empty() { "no reason given".into() } else { reason });
    let _alone = api.inner.freezing.lock().await;
    let before = api.handle().snapshot();
    etag::check(who.headers(), &tag(before.freeze.as_ref()))?;
    let frozen = api.handle().freeze(reason.clone(), who.actor()).await;
    frozen.map_err(|refusal| rollout::refused(&before, refusal))?;
    let after =
        rollout::until_shown(&api, |now| now.freeze.as_ref().map(|f| &f.reason) == reason.as_ref());
    let after = after.await;
    Ok(shown(&after))
}

fn shown(snapshot: &Snapshot) -> Response {
    let freeze = snapshot.freeze.as_ref();
    let body = Freeze {
        frozen: freeze.is_some(),
        since: freeze.map(|f| f.since),
        reason: freeze.map(|f| f.reason.clone()),
        by: freeze.map(|f| f.by.clone()),
        durable: !snapshot.health.freeze_not_durable,
    };
    ([tag(freeze).header()], Json(body)).into_response()
}

fn tag(freeze: Option<&FreezeView>) -> Tag {
    match freeze {
        Some(freeze) => Tag::of_text(&format!("{} {} {}", freeze.since, freeze.by, freeze.reason)),
        None => Tag::of_text("not frozen"),
    }
}
