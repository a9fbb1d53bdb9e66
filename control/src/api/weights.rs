//! `/v1/services/{service}/weights`: the split by hand.

use super::etag::Tag;
use super::extract::{Name, Raw};
use super::problem::Problem;
use super::rollout::{self, Who};
use super::{Answered, Api, services};
use crate::Command;
use crate::view::Snapshot;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serin_core::weights::{BasisPoints, Weights as Checked};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Basis points by version: 10000 in all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Weights {
    #[schema(value_type = BTreeMap<String, Points>)]
    weights: BTreeMap<String, u16>,
    /// For the journal and the report.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// The division in force, with what was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Divided {
    #[schema(value_type = BTreeMap<String, Points>)]
    weights: BTreeMap<String, u16>,
    /// One sentence.
    message: String,
    /// `false`: in force, and not written yet, because the disk does not answer.
    durable: bool,
}

/// Hundredths of a percent.
#[derive(ToSchema)]
#[schema(maximum = 10_000)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Points(u16);

/// Divide traffic by hand
///
/// The weights sum to 10000. A rollout that runs is paused there; guards still roll back. Without one,
/// a share for the version that the configuration plans to bring in begins its rollout, paused there;
/// any other division is kept as it is, and nothing judges it. If-Match is honoured.
#[utoipa::path(
    put, path = "/v1/services/{service}/weights", operation_id = "setWeights", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Weights,
    responses((status = 200, body = Divided, headers(("etag" = String))))
)]
pub(crate) async fn replace(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    let snapshot = api.handle().snapshot();
    services::find(&snapshot, &name.0)?;
    let wanted: Weights = body.json()?;
    let weights = checked(&snapshot, &name.0, &wanted)?;
    let reason = rollout::reason(wanted.reason)?;
    let outcome =
        rollout::carry_out(&api, &name.0, &who, Command::Weights { weights, reason }).await?;
    let now = api.handle().snapshot();
    let weights = services::find(&now, &name.0)?.weights.clone();
    let tag = Tag::of_revision(outcome.revision).header();
    let divided = Divided { weights, message: outcome.message, durable: outcome.durable };
    Ok(([tag], Json(divided)).into_response())
}

/// Stable first, as everywhere.
fn checked(snapshot: &Arc<Snapshot>, name: &str, wanted: &Weights) -> Result<Checked, Problem> {
    let service = services::find(snapshot, name)?;
    let mut parts = Vec::new();
    for (version, points) in &wanted.weights {
        let version = rollout::version(snapshot, name, version)?;
        let points = BasisPoints::new(*points).ok_or_else(|| {
            Problem::unprocessable(format!(
                "the weight of {version} is {points}; a weight is 0 to 10000 basis points"
            ))
        })?;
        parts.push((version, points));
    }
    parts.sort_by_key(|(version, _)| version.as_str() != service.stable);
    Checked::new(parts).map_err(|error| Problem::unprocessable(error.to_string()))
}
