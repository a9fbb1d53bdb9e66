//! `/v1/services`: what runs, how much of it, and why.

use super::etag::Tag;
use super::extract::{Name, Params};
use super::problem::{Kind, Problem};
use super::{Answered, Api};
use crate::view::{HistoryView, ServiceView, ShadowView, Snapshot, Why};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serin_core::ids::ServiceName;
use std::sync::Arc;
use std::time::Duration;
use utoipa::IntoParams;

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

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Period {
    /// How far back; 900 when left out. The points are as fine as this allows: 1 s up to 15
    /// minutes, 10 s up to 3 hours, 60 s up to a day.
    #[param(minimum = 60, maximum = 86_400)]
    seconds: Option<u64>,
    /// Only points after this moment, in seconds since 1970: what is new since the last answer.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991i64)]
    after: Option<i64>,
}

const DEFAULT_PERIOD: u64 = 900;

/// One service over time
///
/// Weights, requests, errors and latencies by version. Kept in memory for a day.
#[utoipa::path(
    get, path = "/v1/services/{service}/history", operation_id = "readHistory", tag = "services",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"), Period),
    responses((status = 200, body = HistoryView))
)]
pub(crate) async fn history(
    State(api): State<Api>,
    name: Name,
    Params(period): Params<Period>,
) -> Answered {
    let service = known(&api, &name.0)?;
    let seconds = period.seconds.unwrap_or(DEFAULT_PERIOD);
    if !(60..=86_400).contains(&seconds) {
        return Err(Problem::malformed(format!("seconds is 60 to 86400, not {seconds}")));
    }
    if period.after.is_some_and(|after| !(0..=LARGEST).contains(&after)) {
        return Err(Problem::malformed(format!("after is 0 to {LARGEST}")));
    }
    match api.handle().history(&service, Duration::from_secs(seconds), period.after) {
        Some(history) => Ok(Json(history).into_response()),
        // Between a reload and the tick that follows it.
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            Kind::NotFound,
            format!("nothing was measured of {service} yet"),
        )),
    }
}

/// The largest number that every JSON reader keeps whole.
const LARGEST: i64 = 9_007_199_254_740_991;

/// What a service's copies came to, and where answers differ
#[utoipa::path(
    get, path = "/v1/services/{service}/shadow", operation_id = "readShadow", tag = "services",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")),
    responses((status = 200, body = ShadowView))
)]
pub(crate) async fn shadow(State(api): State<Api>, name: Name) -> Answered {
    let service = known(&api, &name.0)?;
    match api.handle().shadow(&service) {
        Some(view) => Ok(Json(view).into_response()),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            Kind::NotFound,
            format!("{service} sends no copies: its configuration has no `shadow`"),
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
