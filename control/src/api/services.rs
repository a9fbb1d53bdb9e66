//! `/v1/services`: what runs, how much of it, and why.

use super::etag::Tag;
use super::extract::Name;
use super::problem::{Kind, Problem};
use super::{Answered, Api};
use crate::view::{ServiceView, Snapshot, Why};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serin_core::ids::ServiceName;
use std::sync::Arc;

/// All services, and what concerns them all
///
/// One moment, read at once: nothing in it is older than the rest.
#[utoipa::path(
    get, path = "/v1/services", operation_id = "listServices", tag = "services",
    responses((status = 200, body = Snapshot))
)]
pub(crate) async fn list(State(api): State<Api>) -> Response {
    Json(&*api.handle().snapshot()).into_response()
}

/// One service
///
/// Its ETag changes with its weights and its rollout, not with its counts.
#[utoipa::path(
    get, path = "/v1/services/{service}", operation_id = "readService", tag = "services",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")),
    responses((status = 200, body = ServiceView, headers(("etag" = String))))
)]
pub(crate) async fn read(State(api): State<Api>, name: Name) -> Answered {
    let snapshot = api.handle().snapshot();
    let service = find(&snapshot, &name.0)?;
    Ok(([Tag::of_revision(service.revision).header()], Json(service)).into_response())
}

/// The evidence behind the last verdict
#[utoipa::path(
    get, path = "/v1/services/{service}/why", operation_id = "readWhy", tag = "services",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")),
    responses((status = 200, body = Why))
)]
pub(crate) async fn why(State(api): State<Api>, name: Name) -> Answered {
    let service = known(&api, &name.0)?;
    match api.handle().why(&service) {
        Some(why) => Ok(Json(why).into_response()),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            Kind::NotFound,
            format!("nothing was decided about {service} yet: it has had no rollout"),
        )),
    }
}

pub(crate) fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a ServiceView, Problem> {
    snapshot.service(name).ok_or_else(|| {
        Problem::unknown("service", name, snapshot.services.iter().map(|s| s.name.as_str()))
    })
}

/// The name of a service that exists.
pub(crate) fn known(api: &Api, name: &str) -> Result<ServiceName, Problem> {
    let snapshot: Arc<Snapshot> = api.handle().snapshot();
    find(&snapshot, name)?;
    ServiceName::new(name).map_err(|error| Problem::malformed(error.to_string()))
}
