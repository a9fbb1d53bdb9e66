//! `/v1/rollouts`: what the journal remembers.

use super::extract::{Name, Params};
use super::problem::Problem;
use super::{Answered, Api, services};
use crate::view::{EvidenceView, RolloutRecord};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only of this service.
    service: Option<String>,
    /// At most so many; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

/// The newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rollouts {
    rollouts: Vec<RolloutRecord>,
}

/// Every decision that changed something, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Evidence {
    evidence: Vec<EvidenceView>,
}

const DEFAULT_LIMIT: u64 = 100;
const LARGEST_LIMIT: u64 = 1000;

/// Rollouts, the newest first
#[utoipa::path(
    get, path = "/v1/rollouts", operation_id = "listRollouts", tag = "rollouts", params(Which),
    responses((status = 200, body = Rollouts))
)]
pub(crate) async fn list(State(api): State<Api>, Params(which): Params<Which>) -> Answered {
    let limit = which.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        return Err(Problem::malformed(format!("limit is 1 to {LARGEST_LIMIT}, not {limit}")));
    }
    let service = match which.service {
        Some(name) => Some(services::known(&api, &name)?),
        None => None,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let rollouts = read_journal(move || api.handle().rollouts(service.as_ref(), limit)).await?;
    Ok(Json(Rollouts { rollouts }).into_response())
}

/// One rollout with its timeline
#[utoipa::path(
    get, path = "/v1/rollouts/{id}", operation_id = "readRecord", tag = "rollouts",
    params(("id" = String, Path, description = "Like checkout-17")),
    responses((status = 200, body = RolloutRecord))
)]
pub(crate) async fn read(State(api): State<Api>, Name(id): Name) -> Answered {
    let wanted = id.clone();
    match read_journal(move || api.handle().rollout(&wanted)).await? {
        Some(record) => Ok(Json(record).into_response()),
        None => Err(unknown(&id)),
    }
}

/// The post-mortem in Markdown
#[utoipa::path(
    get, path = "/v1/rollouts/{id}/report", operation_id = "readReport", tag = "rollouts",
    params(("id" = String, Path, description = "Like checkout-17")),
    responses((status = 200, body = String, content_type = "text/markdown"))
)]
pub(crate) async fn report(State(api): State<Api>, Name(id): Name) -> Answered {
    let wanted = id.clone();
    match read_journal(move || api.handle().report(&wanted)).await? {
        Some(report) => {
            Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], report).into_response())
        }
        None => Err(unknown(&id)),
    }
}

/// What each decision was made from, enough to make it again
#[utoipa::path(
    get, path = "/v1/rollouts/{id}/evidence", operation_id = "readEvidence", tag = "rollouts",
    params(("id" = String, Path, description = "Like checkout-17")),
    responses((status = 200, body = Evidence))
)]
pub(crate) async fn evidence(State(api): State<Api>, Name(id): Name) -> Answered {
    let wanted = id.clone();
    match read_journal(move || api.handle().evidence(&wanted)).await? {
        Some(evidence) => Ok(Json(Evidence { evidence }).into_response()),
        None => Err(unknown(&id)),
    }
}

/// The journal is a file: reading it must not hold up other answers.
pub(crate) async fn read_journal<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(read).await.map_err(|_| super::admit::internal())
}

fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(80).collect();
    Problem::new(
        axum::http::StatusCode::NOT_FOUND,
        super::problem::Kind::NotFound,
        format!("there is no rollout {id:?}; /v1/rollouts lists those that there were"),
    )
}
