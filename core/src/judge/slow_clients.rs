//! Are the candidate's slow requests everybody's, or those of a few clients?
//!
//! The same question as of failures, and as needful: big uploads and expensive queries are slow on any
//! version. The data plane keeps the latest requests of each octave of time with their networks; how many
//! an octave had of late is counted, so each kept one stands for its part of them. A network counts for a
//! limited number of them (`networks.rs`).

use super::coarse::Coarse;
use super::concentration::names;
use super::networks::Networks;
use crate::measure::{Network, Part, Timed, VersionLatencies, bucket_of};
use crate::rollout::{Concentration, Met};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

const OCTAVE: usize = 64;

/// One version's requests: those of the last minute or two that were answered, and those that wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing<'a> {
    pub(super) latencies: &'a VersionLatencies,
    pub(super) answered: &'a Coarse,
}

/// Where everybody's requests come from, and how many the candidate gets for each of stable's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origins<'a> {
    pub(super) served: &'a [Network],
    pub(super) per_stable: f64,
}

/// Of requests slower than `limit`; `None` where nobody knows.
pub(super) fn slow_clients(
    candidate: Timing<'_>,
    stable: Timing<'_>,
    origins: Origins<'_>,
    limit: Duration,
) -> Option<Concentration> {
    let limit = bucket_of(micros(limit)) + 1;
    let slow = candidate.by_network(limit);
    let Origins { served, per_stable } = origins;
    let networks = Networks::new(served.iter().copied(), stable.by_network(limit), per_stable);
    let total = slow.values().sum::<f64>();
    if total == 0.0 || !networks.are_known() {
        return None;
    }
    let (mut spread, mut elsewhere) = (0.0, 0.0);
    for (network, requests) in &slow {
        let by_stable = networks.elsewhere(*network).min(*requests);
        elsewhere += by_stable;
        spread += networks.explained(*network, total - requests).min(requests - by_stable);
    }
    let named =
        slow.iter().map(|(network, requests)| (network.to_string(), requests.round() as u64));
    Some(Concentration {
        met: Met::Slow,
        of: total.round() as u64,
        spread: (spread + 1e-6) as u64,
        elsewhere: elsewhere.round() as u64,
        networks: slow.len() as u64,
        by_network: names(named),
        ..Concentration::default()
    })
}

/// Of slow requests those that count, when a share of them does: what is left of one is kept for the next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Countable(f64);

impl Countable {
    pub(super) fn of(&mut self, slow: Part, share: f64) -> Part {
        let due = slow.bad as f64 * share + self.0;
        let bad = ((due + 1e-9) as u64).min(slow.bad);
        self.0 = (due - bad as f64).clamp(0.0, 1.0);
        Part { bad, of: slow.of - (slow.bad - bad) }
    }
}

impl Timing<'_> {
    /// How many requests from a bucket on each network is taken to have sent.
    fn by_network(self, from: usize) -> BTreeMap<Network, f64> {
        let Self { latencies, answered } = self;
        let mut networks = BTreeMap::new();
        let waiting = |buckets: Range<usize>| latencies.waiting.buckets()[buckets].iter().sum();
        share_out(&latencies.timed, from, |buckets| answered.within(buckets), &mut networks);
        share_out(&latencies.waiting_timed, from, waiting, &mut networks);
        networks
    }
}

/// Each kept request from a bucket on stands for its part of those that were counted in its octave.
fn share_out(
    kept: &[Timed],
    from: usize,
    counted: impl Fn(Range<usize>) -> u64,
    networks: &mut BTreeMap<Network, f64>,
) {
    let mut octaves: BTreeMap<usize, Vec<Network>> = BTreeMap::new();
    for timed in kept {
        let bucket = bucket_of(micros(timed.took));
        if bucket >= from {
            octaves.entry(bucket / OCTAVE).or_default().push(timed.network);
        }
    }
    for (octave, kept) in octaves {
        let counted = counted(from.max(octave * OCTAVE)..(octave + 1) * OCTAVE);
        // Of more than there were of late the others are older.
        let late = kept.len().min(usize::try_from(counted).unwrap_or(usize::MAX));
        for network in &kept[..late] {
            *networks.entry(*network).or_insert(0.0) += counted as f64 / late as f64;
        }
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::VersionName;
    use crate::measure::Histogram;
    use core::net::{IpAddr, Ipv4Addr};

    const LIMIT: Duration = Duration::from_secs(2);

    fn network(n: u32) -> Network {
        Network::of(IpAddr::V4(Ipv4Addr::from(n << 8)))
    }

    fn version(requests: &[(u32, u64)]) -> (VersionLatencies, Coarse) {
        let Ok(version) = VersionName::new("v") else { unreachable!("a name") };
        let (mut answered, mut judged) = (Coarse::new(), Histogram::default());
        answered.observe(&judged);
        let timed = requests.iter().rev().map(|(n, ms)| {
            let took = Duration::from_millis(*ms);
            judged.record(took);
            Timed { network: network(*n), took }
        });
        let timed = timed.collect();
        answered.observe(&judged);
        let empty = Histogram::default;
        let (rest, waiting) = (empty(), empty());
        let waiting_timed = Vec::new();
        (VersionLatencies { version, judged, rest, waiting, timed, waiting_timed }, answered)
    }

    /// Of forty networks.
    fn everybody(ms: u64, requests: u32) -> Vec<(u32, u64)> {
        (0..requests).map(|n| (1_000 + n % 40, ms)).collect()
    }

    fn found(
        candidate: &(VersionLatencies, Coarse),
        stable: &(VersionLatencies, Coarse),
        served: &[u32],
    ) -> Option<Concentration> {
        fn timing((latencies, answered): &(VersionLatencies, Coarse)) -> Timing<'_> {
            Timing { latencies, answered }
        }
        let served: Vec<Network> = served.iter().map(|n| network(*n)).collect();
        let origins = Origins { served: &served, per_stable: 1.0 / 9.0 };
        slow_clients(timing(candidate), timing(stable), origins, LIMIT)
    }

    fn of(candidate: &[(u32, u64)], stable: &[(u32, u64)], served: &[u32]) -> Concentration {
        let Some(found) = found(&version(candidate), &version(stable), served) else {
            unreachable!("there are slow ones")
        };
        found
    }

    /// Forty networks, ten good answers each.
    fn public() -> Vec<u32> {
        (0..400).map(|n| 1_000 + n % 40).collect()
    }

    #[test]
    fn one_clients_slow_requests_are_its_own() {
        let mut candidate = everybody(20, 200);
        candidate.extend([(7, 5_000); 40]);
        let found = of(&candidate, &everybody(20, 400), &public());
        assert_eq!((found.of, found.spread), (40, 1));
        assert!(found.is_concentrated());
        assert_eq!(found.to_string(), "40 of 40 slow requests came from 0.0.7.0/24");
    }

    #[test]
    fn who_was_answered_quickly_before_is_no_less_one_client() {
        let mut served = public();
        served.extend([7; 200]);
        for stable in [everybody(20, 400), [vec![(7, 5_000); 32], everybody(20, 400)].concat()] {
            let found = of(&[(7, 5_000); 40], &stable, &served);
            assert!(found.is_concentrated() && found.spread < 5, "{found:?}");
        }
    }

    #[test]
    fn what_everybody_waits_for_is_everybodys() {
        assert!(!of(&everybody(5_000, 60), &everybody(20, 400), &public()).is_concentrated());
        assert!(!of(&everybody(5_000, 10), &everybody(20, 400), &public()).is_concentrated());
    }

    #[test]
    fn behind_one_balancer_everything_is_one_network_and_counts() {
        assert!(!of(&[(1, 5_000); 40], &[(1, 20); 300], &[1; 300]).is_concentrated());
        assert_eq!(found(&version(&[(1, 5_000); 40]), &version(&[]), &[]), None);
    }

    #[test]
    fn an_attack_hides_no_slowness_of_others() {
        let mut candidate = everybody(5_000, 60);
        candidate.extend([(7, 60_000); 200]);
        let found = of(&candidate, &everybody(20, 400), &public());
        assert!(found.is_concentrated() && found.spread > 26, "{found:?}");
    }

    #[test]
    fn the_few_that_are_kept_stand_for_all_that_were_counted() {
        let mut candidate = version(&[&[(7, 70_000)], &everybody(5_000, 32)[..]].concat());
        candidate.1 = version(&[&[(7, 70_000)], &everybody(5_000, 960)[..]].concat()).1;
        let Some(found) = found(&candidate, &version(&[]), &public()) else {
            unreachable!("there are slow ones")
        };
        assert_eq!(found.of, 961);
        assert!(!found.is_concentrated(), "{found:?}");
    }

    #[test]
    fn the_slow_requests_of_yesterday_hide_no_attack() {
        let (mut candidate, nothing) =
            version(&[&everybody(9_000, 32), &[(7, 3_000); 32][..]].concat());
        let mut judged = Histogram::default();
        (0..1_000).for_each(|_| judged.record(Duration::from_secs(9)));
        candidate.judged = judged.clone();
        let mut answered = Coarse::new();
        answered.observe(&judged);
        (0..40).for_each(|_| judged.record(Duration::from_secs(3)));
        answered.observe(&judged);
        drop(nothing);
        let found = found(&(candidate, answered), &version(&[]), &public());
        assert!(found.is_some_and(|found| found.of == 40 && found.is_concentrated()));
    }

    #[test]
    fn those_who_still_wait_are_asked_as_well() {
        let waits = |who: &[u32]| {
            let mut candidate = version(&everybody(20, 200));
            candidate.0.waiting_timed = who
                .iter()
                .map(|n| Timed { network: network(*n), took: Duration::from_secs(5) })
                .collect();
            for timed in &candidate.0.waiting_timed {
                candidate.0.waiting.record(timed.took);
            }
            found(&candidate, &version(&everybody(20, 400)), &public())
        };
        assert!(waits(&[7; 30]).is_some_and(|found| found.is_concentrated()));
        let everybody: Vec<u32> = (0..30).map(|n| 1_000 + n).collect();
        assert!(waits(&everybody).is_some_and(|found| !found.is_concentrated()));
    }
}
