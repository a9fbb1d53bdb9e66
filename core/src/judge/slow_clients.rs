//! Are the candidate's slow requests everybody's, or those of a few clients?
//!
//! The same question as of failures, and as needful: big uploads and expensive queries are slow on any
//! version. The data plane keeps the latest requests of each octave of time with their networks; how many
//! an octave really had, the histogram says, so each kept one stands for its part of them. A network counts
//! for as many slow requests as its part of all requests explains, with room to spare.

use super::concentration::{ROOM, TELLING, names};
use crate::measure::{Network, VersionLatencies, bucket_of};
use crate::rollout::{Concentration, Met};
use std::collections::BTreeMap;
use std::time::Duration;

const OCTAVE: usize = 64;

/// Of requests slower than `limit`; `None` where nobody knows.
pub(super) fn slow_clients(
    candidate: &VersionLatencies,
    stable: &VersionLatencies,
    limit: Duration,
) -> Option<Concentration> {
    let limit = bucket_of(micros(limit));
    let slow = by_network(candidate, |bucket| bucket > limit);
    // What is slow is in question, and says nothing about where traffic comes from.
    let mut traffic = by_network(candidate, |bucket| bucket <= limit);
    for (network, requests) in by_network(stable, |_| true) {
        *traffic.entry(network).or_insert(0.0) += requests;
    }
    let (all, total) = (traffic.values().sum::<f64>(), slow.values().sum::<f64>());
    if total == 0.0 || all < TELLING as f64 {
        return None;
    }
    let counts = |(network, requests): (&Network, &f64)| {
        let part = traffic.get(network).copied().unwrap_or(0.0) / all;
        requests.min((ROOM * part * total).max(1.0))
    };
    let spread: f64 = slow.iter().map(counts).sum();
    let named =
        slow.iter().map(|(network, requests)| (network.to_string(), requests.round() as u64));
    Some(Concentration {
        met: Met::Slow,
        of: total.round() as u64,
        spread: spread.ceil() as u64,
        networks: slow.len() as u64,
        by_network: names(named),
        ..Concentration::default()
    })
}

/// How many requests of certain times each network is taken to have sent.
fn by_network(latencies: &VersionLatencies, of: impl Fn(usize) -> bool) -> BTreeMap<Network, f64> {
    let kept = latencies.timed.iter().map(|timed| (bucket_of(micros(timed.took)), timed.network));
    let kept: Vec<_> = kept.filter(|(bucket, _)| of(*bucket)).collect();
    let mut networks = BTreeMap::new();
    for (octave, counts) in latencies.judged.buckets().chunks(OCTAVE).enumerate() {
        let here: Vec<_> = kept.iter().filter(|(bucket, _)| bucket / OCTAVE == octave).collect();
        let counted = counts.iter().enumerate().filter(|(at, _)| of(octave * OCTAVE + at));
        let counted: u64 = counted.map(|(_, count)| count).sum();
        for (_, network) in &here {
            *networks.entry(*network).or_insert(0.0) += counted as f64 / here.len() as f64;
        }
    }
    networks
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::VersionName;
    use crate::measure::{Histogram, Timed};
    use core::net::{IpAddr, Ipv4Addr};

    const LIMIT: Duration = Duration::from_secs(2);

    fn version(requests: &[(u32, u64)]) -> VersionLatencies {
        let Ok(version) = VersionName::new("v") else { unreachable!("a name") };
        let mut judged = Histogram::default();
        let timed = requests.iter().map(|(network, ms)| {
            let took = Duration::from_millis(*ms);
            judged.record(took);
            Timed { network: Network::of(IpAddr::V4(Ipv4Addr::from(network << 8))), took }
        });
        let timed = timed.collect();
        let empty = Histogram::default;
        VersionLatencies { version, judged, rest: empty(), waiting: empty(), timed }
    }

    /// Of forty networks.
    fn everybody(ms: u64, requests: u32) -> Vec<(u32, u64)> {
        (0..requests).map(|n| (1_000 + n % 40, ms)).collect()
    }

    fn of(candidate: &[(u32, u64)], stable: &[(u32, u64)]) -> Concentration {
        let found = slow_clients(&version(candidate), &version(stable), LIMIT);
        let Some(found) = found else { unreachable!("there are slow ones") };
        found
    }

    #[test]
    fn one_clients_slow_requests_are_its_own() {
        let mut candidate = everybody(20, 200);
        candidate.extend([(7, 5_000); 40]);
        let found = of(&candidate, &everybody(20, 400));
        assert_eq!((found.of, found.spread), (40, 1));
        assert!(found.is_concentrated());
        assert_eq!(found.to_string(), "40 of 40 slow requests came from 0.0.7.0/24");
    }

    #[test]
    fn what_everybody_waits_for_is_everybodys() {
        assert!(!of(&everybody(5_000, 60), &everybody(20, 400)).is_concentrated());
        assert!(!of(&everybody(5_000, 10), &everybody(20, 400)).is_concentrated());
    }

    #[test]
    fn behind_one_balancer_everything_is_one_network_and_counts() {
        assert!(!of(&[(1, 5_000); 40], &[(1, 20); 300]).is_concentrated());
        assert_eq!(slow_clients(&version(&[(1, 5_000); 40]), &version(&[]), LIMIT), None);
    }

    #[test]
    fn an_attack_hides_no_slowness_of_others() {
        let mut candidate = everybody(5_000, 60);
        candidate.extend([(7, 60_000); 200]);
        let found = of(&candidate, &everybody(20, 400));
        assert!(found.is_concentrated() && found.still_beyond(0.5, 0.05), "{found:?}");
    }

    #[test]
    fn the_few_that_are_kept_stand_for_all_that_were_counted() {
        let mut candidate = version(&[(7, 70_000)]);
        for (network, ms) in everybody(5_000, 32) {
            let one = version(&[(network, ms)]);
            candidate.timed.extend(one.timed);
            (0..30).for_each(|_| candidate.judged.add(&one.judged));
        }
        let Some(found) = slow_clients(&candidate, &version(&everybody(20, 400)), LIMIT) else {
            unreachable!("there are slow ones")
        };
        assert_eq!(found.of, 961);
        assert!(!found.is_concentrated(), "{found:?}");
    }
}
