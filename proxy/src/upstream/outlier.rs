//! Which endings speak against an endpoint, and when it is ejected for them.
//!
//! This is about one endpoint among its peers, not about the version: a request that the
//! operator calls bad for the verdict is not always the endpoint's fault, and the other way
//! round.

use super::endpoint::Endpoint;
use serin_config::model::Outliers;
use serin_core::outcome::Ending;
use serin_core::time::Mono;
use std::sync::atomic::Ordering::Relaxed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Good,
    Fault,
    /// Says nothing about the endpoint.
    None,
}

pub(super) fn mark(ending: Ending) -> Mark {
    match ending {
        Ending::Answered { status, grpc } => {
            let unavailable = grpc.is_some_and(|status| matches!(status, 13..=15));
            if status >= 500 || unavailable { Mark::Fault } else { Mark::Good }
        }
        Ending::Truncated { .. } | Ending::Failed(_) => Mark::Fault,
        Ending::Upgraded { .. } => Mark::Good,
        Ending::ClientAborted => Mark::None,
    }
}

/// Counts a fault, and says whether it was the one too many.
pub(super) fn is_outlier(endpoint: &Endpoint, outliers: &Outliers) -> bool {
    let failures = endpoint.failures.fetch_add(1, Relaxed) + 1;
    outliers.consecutive_failures > 0 && failures >= outliers.consecutive_failures
}

/// How many of a version's endpoints may be ejected at once. With one endpoint that is none: an
/// answer that may fail is better than none.
pub(super) fn most_ejected(outliers: &Outliers, total: usize) -> usize {
    // Half a basis point forgives that a half of four is not always two in floating point.
    (outliers.max_ejected * total as f64 + 0.00005).floor() as usize
}

/// Ejects an outlier, if the cap leaves room. The caller holds the group's lock, so that two
/// threads cannot both take the last place.
pub(super) fn eject(
    endpoint: &Endpoint,
    all: &[std::sync::Arc<Endpoint>],
    outliers: &Outliers,
    now: Mono,
) -> bool {
    let ejected = all.iter().filter(|other| other.is_ejected(now)).count();
    if endpoint.is_ejected(now) || ejected >= most_ejected(outliers, all.len()) {
        return false;
    }
    endpoint.eject(now, outliers.eject_for);
    true
}
