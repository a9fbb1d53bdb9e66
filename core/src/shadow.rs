//! What is known of a service's copies: the data plane keeps it, and an operator asks for it.

use crate::ids::{RouteName, VersionName};
use crate::time::Wall;
use crate::weights::BasisPoints;
use std::time::Duration;

/// Since the version that receives copies, or what is compared, was last changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowReport {
    pub to: VersionName,
    pub share: BasisPoints,
    pub results: ShadowResults,
    /// By reason, all that there are.
    pub dropped: Vec<(&'static str, u64)>,
    pub in_flight: u32,
    /// The most frequent first.
    pub differences: Vec<Difference>,
    /// Differences that found no place, because too many others are kept.
    pub not_kept: u64,
    /// What differs between two answers of stable, and is no difference.
    pub noise: Vec<Place>,
    /// Of answers that came from both.
    pub latency: Option<Beside>,
}

/// Copies that were sent, by what came of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShadowResults {
    pub same: u64,
    pub different: u64,
    /// Not compared: nobody asked for it, or one of the two answers was not there whole.
    pub answered: u64,
    pub failed: u64,
}

/// Where answers differ: a JSON path, `status`, `body`, or `header` and a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub route: RouteName,
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub place: Place,
    pub count: u64,
    pub first: Wall,
    pub last: Wall,
    /// The newest first.
    pub samples: Vec<DifferenceSample>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferenceSample {
    pub at: Wall,
    pub request_id: String,
    /// Method and path, without the query.
    pub request: String,
    /// What stood there, redacted and cut.
    pub stable: String,
    pub shadow: String,
}

/// How long the two took to the head of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside {
    pub samples: u64,
    pub stable: Quantiles,
    pub shadow: Quantiles,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles {
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
}
