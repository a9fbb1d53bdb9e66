//! For how many of the candidate's failures a client network may count.
//!
//! For no more than its part of the traffic explains, given what the others meet, with room to spare; so no
//! network is ever most of what counts, unless nearly everything comes from it (a balancer, an office). And not
//! for what it meets on stable as well, at the same time and for as many requests: who asks for what fails
//! wherever it lands says nothing about the candidate, however often it was answered well before.

use crate::measure::{FAILURES_KEPT, FailedOnStable, Network};
use crate::time::Mono;
use std::collections::BTreeMap;

/// Fewer requests that were answered well say nothing about where traffic comes from.
const TELLING: u64 = 4;
/// A network may meet so many times as much as its part of the traffic says.
const ROOM: f64 = 2.0;

#[derive(Debug)]
pub(super) struct Networks {
    served: BTreeMap<Network, u64>,
    all_served: u64,
    on_stable: BTreeMap<Network, f64>,
    all_on_stable: f64,
    /// Requests of the candidate for each of stable's.
    per_stable: f64,
}

impl Networks {
    /// `served` is a sample of what was answered well; `on_stable` what stable's requests met meanwhile.
    pub(super) fn new(
        served: impl IntoIterator<Item = Network>,
        on_stable: BTreeMap<Network, f64>,
        per_stable: f64,
    ) -> Self {
        let served = count(served.into_iter());
        Self {
            all_served: served.values().sum(),
            served,
            all_on_stable: on_stable.values().sum(),
            on_stable,
            per_stable,
        }
    }

    pub(super) fn are_known(&self) -> bool {
        self.all_served >= TELLING
    }

    fn part(&self, network: Network) -> f64 {
        self.served.get(&network).copied().unwrap_or(0) as f64 / self.all_served.max(1) as f64
    }

    /// How many failures of the candidate are to be expected of a network by what it meets on stable, beyond
    /// what others meet there.
    pub(super) fn elsewhere(&self, network: Network) -> f64 {
        let met = self.on_stable.get(&network).copied().unwrap_or(0.0);
        let usual = self.explained(network, self.all_on_stable - met);
        ROOM * (met - usual).max(0.0) * self.per_stable
    }

    /// For how many failures a network may count when others have met `others`.
    pub(super) fn explained(&self, network: Network, others: f64) -> f64 {
        let part = self.part(network);
        // Where it is everybody there are no others, and everything is explained.
        (ROOM * part / (1.0 - part) * (others + 1.0)).max(1.0)
    }
}

pub(super) fn count<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    all.for_each(|one| *counts.entry(one).or_insert(0) += 1);
    counts
}

/// Of each network since a moment. What is no longer kept of it is taken to be like the rest.
pub(super) fn failed_on_stable(
    failed: &[FailedOnStable],
    since: Mono,
    until: Mono,
) -> BTreeMap<Network, f64> {
    let of_then = failed.iter().filter(|failed| failed.at >= since);
    let forgotten = failed.len() >= FAILURES_KEPT;
    let oldest = failed.last().filter(|oldest| forgotten && oldest.at > since);
    let each = oldest.map_or(1.0, |oldest| {
        let kept = until.since(oldest.at).as_secs_f64().max(0.001);
        (until.since(since).as_secs_f64() / kept).max(1.0)
    });
    let mut networks = BTreeMap::new();
    of_then.for_each(|failed| *networks.entry(failed.network).or_insert(0.0) += each);
    networks
}
