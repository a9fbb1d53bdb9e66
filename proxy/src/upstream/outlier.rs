//! Which endings speak against an endpoint, and when it is ejected for them.
//!
//! This is about one endpoint among its peers, not about the version: a request that the
//! operator calls bad for the verdict is not always the endpoint's fault, and the other way
//! round. Two things make an outlier: failures in a row, and failures that concentrate on one
//! endpoint although good answers come in between. The second is a comparison with the other
//! endpoints of the version, so it never ejects anybody for a fault that all of them have.

use super::endpoint::Endpoint;
use serin_config::model::Outliers;
use serin_core::outcome::{Ending, Failure};
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
        Ending::Failed(Failure::Exhausted) | Ending::ClientAborted => Mark::None,
        Ending::Truncated { .. } | Ending::Failed(_) => Mark::Fault,
        Ending::Upgraded { .. } => Mark::Good,
    }
}

/// What endpoints did in the same stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Done {
    pub(super) failed: u32,
    pub(super) of: u32,
}

impl Done {
    fn share(self) -> f64 {
        if self.of == 0 { 0.0 } else { f64::from(self.failed) / f64::from(self.of) }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            failed: self.failed.saturating_add(other.failed),
            of: self.of.saturating_add(other.of),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            failed: self.failed.saturating_sub(other.failed),
            of: self.of.saturating_sub(other.of),
        }
    }
}

impl std::iter::Sum for Done {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), Self::plus)
    }
}

/// How long a stretch is over which failures are compared.
pub(super) const WINDOW_MS: u64 = 30_000;

/// Fewer failures say nothing about who is to blame.
const FEWEST: u32 = 3;
/// How many times as often as its peers it has to fail.
const TIMES: f64 = 3.0;
/// The chance that failures which come to all endpoints alike fall on one like this. One that fails
/// half of its requests does such harm that less certainty is enough.
const CHANCE: f64 = 0.000_5;
const CHANCE_WHEN_BROKEN: f64 = 0.02;
const BROKEN: f64 = 0.5;

/// Whether the failures concentrate on one endpoint.
pub(super) fn stands_out(one: Done, all: Done) -> bool {
    let others = all.minus(one);
    if one.failed < FEWEST || others.of == 0 || one.share() < TIMES * others.share() {
        return false;
    }
    let enough = if one.share() >= BROKEN { CHANCE_WHEN_BROKEN } else { CHANCE };
    chance(one, all) <= enough
}

/// The chance that of all failures, dealt to all attempts at random, so many or more fall on one's
/// attempts: the upper tail of the hypergeometric distribution (Fisher's exact test).
fn chance(one: Done, all: Done) -> f64 {
    let (n, k, total) = (f64::from(one.of), f64::from(all.failed), f64::from(all.of));
    let mut x = f64::from(one.failed);
    let log = ln_choose(n, x) + ln_choose(total - n, k - x) - ln_choose(total, k);
    let mut term = log.exp();
    let mut sum = term;
    while x < n.min(k) && term > sum * 1e-9 {
        term *= (n - x) * (k - x) / ((x + 1.0) * (total - n - k + x + 1.0));
        sum += term;
        x += 1.0;
    }
    sum
}

fn ln_choose(n: f64, k: f64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// Stirling's series; right to six digits from 1 on.
fn ln_factorial(n: f64) -> f64 {
    if n < 1.5 {
        return 0.0;
    }
    let correction = 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3));
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + correction
}

/// Why an endpoint is ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    InARow,
    StandsOut(Done),
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InARow => f.write_str("consecutive failures"),
            Self::StandsOut(Done { failed, of }) => {
                write!(f, "{failed} of {of} attempts failed, far more than on its peers")
            }
        }
    }
}

/// Counts a fault, and says whether it was the one too many. The caller holds the group's lock.
pub(super) fn fault(
    endpoint: &Endpoint,
    all: &[std::sync::Arc<Endpoint>],
    outliers: &Outliers,
    now: Mono,
) -> Option<Why> {
    let window = now.0 / WINDOW_MS;
    let in_a_row = endpoint.failures.fetch_add(1, Relaxed) + 1;
    endpoint.failed_in(window);
    if in_a_row >= outliers.consecutive_failures {
        return Some(Why::InARow);
    }
    let one = endpoint.done_in(window);
    if one.failed < FEWEST {
        // The others' windows have to begin with its.
        for other in all {
            let _ = other.done_in(window);
        }
        return None;
    }
    let all = all.iter().map(|other| other.done_in(window)).sum();
    stands_out(one, all).then_some(Why::StandsOut(one))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outlier(one: (u32, u32), others: (u32, u32)) -> bool {
        let of = |(failed, of)| Done { failed, of };
        stands_out(of(one), of(one).plus(of(others)))
    }

    #[test]
    fn an_endpoint_that_fails_while_its_peers_do_not_stands_out_at_its_third_failure() {
        assert!(outlier((3, 3), (0, 6)));
        assert!(!outlier((2, 2), (0, 6)));
        assert!(outlier((4, 8), (0, 16)), "half of its requests, good ones in between");
    }

    #[test]
    fn a_small_share_of_failures_has_to_be_beyond_chance() {
        assert!(!outlier((4, 100), (0, 200)));
        assert!(outlier((8, 100), (0, 200)));
        assert!(outlier((60, 1_000), (10, 2_000)));
    }

    #[test]
    fn a_fault_that_all_endpoints_have_ejects_none() {
        assert!(!outlier((3, 3), (3, 6)));
        assert!(!outlier((50, 100), (100, 200)));
        assert!(!outlier((5_000, 5_000), (9_990, 10_000)));
        assert!(!outlier((3, 300), (5, 600)));
    }

    #[test]
    fn the_only_endpoint_has_nobody_to_be_compared_with() {
        assert!(!outlier((100, 100), (0, 0)));
    }

    #[test]
    fn the_chance_is_that_of_the_hypergeometric_distribution() {
        let all = Done { failed: 3, of: 9 };
        let of = |failed| chance(Done { failed, of: 3 }, all);
        assert!((of(3) - 1.0 / 84.0).abs() < 1e-5, "{}", of(3));
        assert!((of(2) - 19.0 / 84.0).abs() < 1e-4, "{}", of(2));
    }
}
