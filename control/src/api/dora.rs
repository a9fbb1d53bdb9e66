//! `/v1/dora`: how often, how fast, how safely, and how quickly back.

use super::extract::Params;
use super::problem::Problem;
use super::{Answered, Api, rollouts, services};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;
use serin_core::time::Wall;
use std::time::Duration;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only of this service.
    service: Option<String>,
    /// Over the last so many days; 30 when left out.
    #[param(minimum = 1, maximum = 3650)]
    days: Option<u64>,
}

const DEFAULT_DAYS: u64 = 30;
const MOST_DAYS: u64 = 3650;

/// Deployment frequency, lead time, change failure rate, time to restore
#[utoipa::path(
    get, path = "/v1/dora", operation_id = "readDora", tag = "rollouts", params(Which),
    responses((status = 200, body = crate::view::Dora))
)]
pub(crate) async fn read(State(api): State<Api>, Params(which): Params<Which>) -> Answered {
    let days = which.days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Problem::malformed(format!("days is 1 to {MOST_DAYS}, not {days}")));
    }
    let service = match which.service {
        Some(name) => Some(services::known(&api, &name)?),
        None => None,
    };
    let period = Duration::from_secs(days * 24 * 3600);
    let now = Wall(jiff::Timestamp::now().as_millisecond());
    let dora = rollouts::read_journal(move || api.handle().dora(service.as_ref(), now, period));
    Ok(Json(dora.await?).into_response())
}
