//! A service's copies: what came of them, and where the shadow's answers differ.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use serin_core::shadow::{Difference, DifferenceSample, Place, Quantiles, ShadowReport};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// Since Serin started, or the version that receives copies or what is compared was changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShadowView {
    pub service: String,
    /// The version that receives copies.
    pub to: String,
    /// Basis points of the requests.
    pub share: u16,
    pub results: ShadowResultsView,
    /// Copies that brought no answer, by why.
    pub dropped: BTreeMap<String, u64>,
    pub in_flight: u32,
    /// The most frequent first.
    pub differences: Vec<DifferenceView>,
    /// Differences that found no place, because too many others are kept.
    pub not_kept: u64,
    /// What differs between two answers of stable as well, and is left out.
    pub noise: Vec<PlaceView>,
    /// Of requests that both have answered.
    pub latency: Option<BesideView>,
}

/// Copies that were sent, by what came of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShadowResultsView {
    pub same: u64,
    pub different: u64,
    /// Not compared.
    pub answered: u64,
    pub failed: u64,
}

/// Where answers differ: a JSON path, `status`, `body`, or `header` and a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaceView {
    pub route: String,
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceView {
    pub route: String,
    pub path: String,
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The newest first; redacted and cut.
    pub samples: Vec<DifferenceSampleView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceSampleView {
    pub at: Timestamp,
    pub request_id: String,
    pub request: String,
    pub stable: String,
    pub shadow: String,
}

/// Time to the head of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BesideView {
    pub samples: u64,
    pub stable: QuantilesView,
    pub shadow: QuantilesView,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuantilesView {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
}

impl ShadowView {
    pub(crate) fn new(service: &str, report: ShadowReport) -> Self {
        let results = report.results;
        let dropped = report.dropped.into_iter().map(|(why, count)| (why.to_owned(), count));
        Self {
            service: service.to_owned(),
            to: report.to.to_string(),
            share: report.share.get(),
            results: ShadowResultsView {
                same: results.same,
                different: results.different,
                answered: results.answered,
                failed: results.failed,
            },
            dropped: dropped.collect(),
            in_flight: report.in_flight,
            differences: report.differences.into_iter().map(difference).collect(),
            not_kept: report.not_kept,
            noise: report.noise.into_iter().map(place).collect(),
            latency: report.latency.map(|beside| BesideView {
                samples: beside.samples,
                stable: quantiles(beside.stable),
                shadow: quantiles(beside.shadow),
            }),
        }
    }
}

fn place(place: Place) -> PlaceView {
    PlaceView { route: place.route.to_string(), path: place.path }
}

fn difference(found: Difference) -> DifferenceView {
    let PlaceView { route, path } = place(found.place);
    DifferenceView {
        route,
        path,
        count: found.count,
        first: Timestamp(found.first),
        last: Timestamp(found.last),
        samples: found.samples.into_iter().map(sample).collect(),
    }
}

fn sample(sample: DifferenceSample) -> DifferenceSampleView {
    DifferenceSampleView {
        at: Timestamp(sample.at),
        request_id: sample.request_id,
        request: sample.request,
        stable: sample.stable,
        shadow: sample.shadow,
    }
}

fn quantiles(of: Quantiles) -> QuantilesView {
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    QuantilesView { p50_ms: ms(of.p50), p95_ms: ms(of.p95), p99_ms: ms(of.p99) }
}
