//! `/v1/services/{service}/weights`: the split by hand.

use super::etag::Tag;
use super::extract::{Name, Raw};
use super::problem::Problem;
use super::rollout::{self, Who};
use super::{Answered, Api, services};
use crate::Command;
use crate::view::{ServiceView, Snapshot};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serin_core::weights::{BasisPoints, Weights as Checked};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Basis points by version: 10000 in all.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Weights {
    #[schema(value_type = BTreeMap<String, Points>)]
    weights: BTreeMap<String, u16>,
    /// For the journal and the report.
    #[serde(default, skip_serializing)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// Hundredths of a percent.
#[derive(ToSchema)]
#[schema(maximum = 10_000)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Points(u16);

/// Set the candidate's weight by hand
///
/// The weights name stable and the candidate, and sum to 10000. A rollout that runs is paused
/// there; guards still roll back. If-Match is honoured.
#[utoipa::path(
    put, path = "/v1/services/{service}/weights", operation_id = "setWeights", tag = "rollout",
    params(("service" = String, Path, max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")), request_body = Weights,
    responses((status = 200, body = Weights, headers(("etag" = String))))
)]
pub(crate) async fn replace(State(api): State<Api>, name: Name, who: Who, body: Raw) -> Answered {
    let snapshot = api.handle().snapshot();
    services::find(&snapshot, &name.0)?;
    let wanted: Weights = body.json()?;
    let weight = candidate_weight(&snapshot, &name.0, &wanted)?;
    let reason = rollout::reason(wanted.reason)?;
    let outcome =
        rollout::carry_out(&api, &name.0, &who, Command::Weight { weight, reason }).await?;
    let now = api.handle().snapshot();
    let weights = services::find(&now, &name.0)?.weights.clone();
    Ok(([Tag::of_revision(outcome.revision).header()], Json(Weights { weights, reason: None }))
        .into_response())
}

/// The one number that control takes: a split has two sides.
fn candidate_weight(
    snapshot: &Arc<Snapshot>,
    name: &str,
    wanted: &Weights,
) -> Result<BasisPoints, Problem> {
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
    let weights = Checked::new(parts).map_err(|error| Problem::unprocessable(error.to_string()))?;
    let candidate = candidate(service)?;
    for (version, points) in weights.iter() {
        let role = [service.stable.as_str(), candidate].contains(&version.as_str());
        if !role && points > BasisPoints::ZERO {
            return Err(Problem::unprocessable(format!(
                "{version} takes no part: the split is between stable {} and candidate {candidate}",
                service.stable
            )));
        }
    }
    Ok(weights.iter().find(|(v, _)| v.as_str() == candidate).map_or(BasisPoints::ZERO, |(_, w)| w))
}

fn candidate(service: &ServiceView) -> Result<&str, Problem> {
    match &service.rollout {
        Some(rollout) if !rollout.state.is_over() => Ok(&rollout.to),
        Some(_) | None => Err(Problem::conflict(format!(
            "{} has no rollout, so there is nothing to weigh against stable {}; start one first",
            service.name, service.stable
        ))),
    }
}
