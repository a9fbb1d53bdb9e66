//! `POST /v1/upgrade`: another process of the same program takes over.
//!
//! Which program is not for the caller to say: it is the one that this process was started as, so
//! that nobody who may operate rollouts can run something else.

use super::problem::{Kind, Problem};
use super::{Answered, Api, rollouts};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Who serves now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upgraded {
    /// The process that serves now.
    pub pid: u32,
    /// The program's version in it.
    pub version: String,
    /// The process that finishes what it has.
    pub previous_pid: u32,
}

/// Hand over to a new process
///
/// Starts the program anew, as it lies on the disk now, with the files as they are now. Answers when
/// it serves. Should it fail to start, nothing has changed, and the answer says why.
#[utoipa::path(
    post, path = "/v1/upgrade", operation_id = "upgrade", tag = "config",
    responses((status = 200, body = Upgraded))
)]
pub(crate) async fn upgrade(State(api): State<Api>) -> Answered {
    let upgrade = Arc::clone(&api.inner.hooks.upgrade);
    match rollouts::read_journal(move || upgrade()).await? {
        Ok(upgraded) => Ok(Json(upgraded).into_response()),
        Err(why) => Err(Problem::new(StatusCode::CONFLICT, Kind::Conflict, why)),
    }
}
