//! Are the candidate's failures everybody's, or those of a few clients?
//!
//! Without this a visitor with free cookies could roll back any release by asking for what fails on
//! every version. So each client network counts for as many failures as its part of the traffic
//! explains, with room to spare, and one whose requests fail on stable as well for none. Where the
//! traffic itself comes from one network (a balancer, an office) that one counts in full: nothing can
//! be told apart there, and a failing release must go all the same.
//!
//! Only the latest failures are looked at: those of a minute, and a few at least. What came before
//! would dilute an attack with the usual errors of a day.

use crate::measure::{FailedRequest, SERVED_EACH, Sources};
use crate::rollout::{Concentration, Met, Named};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// However long ago they were.
const AT_LEAST: usize = 16;
const LATELY: Duration = Duration::from_secs(60);
/// Fewer requests that were answered well say nothing about where traffic comes from.
pub(super) const TELLING: usize = 4;
/// A network may fail so many times as often as its part of the traffic says.
pub(super) const ROOM: f64 = 2.0;
/// So many names of a kind are kept.
const NAMES: usize = 3;

pub(super) fn concentration(sources: &Sources) -> Option<Concentration> {
    let newest = sources.failed.first()?.at;
    let lately = |(i, f): &(usize, &FailedRequest)| *i < AT_LEAST || newest.since(f.at) <= LATELY;
    let failed: Vec<_> =
        sources.failed.iter().enumerate().take_while(lately).map(|(_, f)| f).collect();
    let by_network = count(failed.iter().map(|f| f.network));
    let served = count(sources.served.iter().copied());
    let on_stable = count(sources.failed_on_stable.iter().copied());
    let known = sources.served.len() >= TELLING;
    let (mut spread, mut elsewhere) = (0.0, 0);
    for (network, failures) in &by_network {
        let well = served.get(network).copied().unwrap_or(0);
        let fails_on_stable = on_stable.get(network).is_some_and(|bad| *bad > well * SERVED_EACH);
        if known && fails_on_stable {
            elsewhere += failures;
            continue;
        }
        let part = well as f64 / sources.served.len().max(1) as f64;
        let explained = match known {
            true => (ROOM * part * failed.len() as f64).max(1.0),
            // In its first seconds anybody may be the only one who fails. Not for long: who fails
            // everything is never known to answer anybody well.
            false if failed.len() < AT_LEAST => 1.0,
            false => failed.len() as f64,
        };
        spread += explained.min(*failures as f64);
    }
    let users: HashSet<u64> = failed.iter().filter_map(|f| f.user).collect();
    Some(Concentration {
        met: Met::Failed,
        of: failed.len() as u64,
        spread: spread.ceil() as u64,
        elsewhere,
        users: (!users.is_empty()).then_some(users.len() as u64),
        networks: by_network.len() as u64,
        by_network: names(by_network.into_iter().map(|(n, count)| (n.to_string(), count))),
        by_route: names(count(failed.iter().filter_map(|f| f.route.as_deref()))),
        by_method: names(count(failed.iter().map(|f| f.method))),
        by_endpoint: names(count(failed.iter().filter_map(|f| f.endpoint))),
    })
}

fn count<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    all.for_each(|one| *counts.entry(one).or_insert(0) += 1);
    counts
}

/// The most frequent first.
pub(super) fn names<T: ToString>(counts: impl IntoIterator<Item = (T, u64)>) -> Vec<Named> {
    let named = |(name, count): (T, u64)| Named { name: name.to_string(), count };
    let mut all: Vec<Named> = counts.into_iter().map(named).collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    all.truncate(NAMES);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Network;
    use crate::time::Mono;
    use core::net::{IpAddr, Ipv4Addr};

    fn network(n: u32) -> Network {
        Network::of(IpAddr::V4(Ipv4Addr::from(n << 8)))
    }

    fn failed(network: Network, n: u64) -> FailedRequest {
        FailedRequest {
            at: Mono(100_000 - n),
            network,
            user: Some(n),
            route: Some("checkout".into()),
            method: "POST",
            endpoint: Some(([10, 0, 2, 21], 8080).into()),
        }
    }

    fn of(failures: &[u32], stable: &[u32], served: &[u32]) -> Concentration {
        let failed = failures.iter().enumerate().map(|(n, f)| failed(network(*f), n as u64));
        let sources = Sources {
            failed: failed.collect(),
            failed_on_stable: stable.iter().map(|n| network(*n)).collect(),
            served: served.iter().map(|n| network(*n)).collect(),
        };
        let Some(found) = concentration(&sources) else { unreachable!("there are failures") };
        found
    }

    /// Forty networks, ten requests each.
    fn everybody() -> Vec<u32> {
        (0..400).map(|n| 1_000 + n % 40).collect()
    }

    #[test]
    fn one_visitor_with_many_cookies_is_one() {
        let found = of(&[7; 60], &[], &everybody());
        assert_eq!((found.of, found.spread, found.users), (60, 1, Some(60)));
        assert!(found.is_concentrated());
        let says = "60 of 60 failures came from 0.0.7.0/24 (60 users); 60 on route checkout, 60 POST, 60 by 10.0.2.21:8080";
        assert_eq!(found.to_string(), says);
    }

    #[test]
    fn ten_networks_that_fail_on_stable_as_well_count_for_nothing() {
        let hostile: Vec<u32> = (0..10).collect();
        let stable: Vec<u32> = (0..90).map(|n| n % 10).collect();
        let found = of(&hostile, &stable, &everybody());
        assert_eq!((found.spread, found.elsewhere), (0, 10));
        assert!(found.is_concentrated());
        // And those that fail nowhere else, but far more often than they ask.
        let found = of(&(0..100).map(|n| n % 10).collect::<Vec<_>>(), &[], &everybody());
        assert!(found.is_concentrated(), "{found:?}");
    }

    #[test]
    fn what_everybody_meets_is_everybodys() {
        let failures: Vec<u32> = (0..10).map(|n| 1_000 + n).collect();
        assert!(!of(&failures, &[], &everybody()).is_concentrated());
        let strangers: Vec<u32> = (0..10).map(|n| 5_000 + n).collect();
        assert!(!of(&strangers, &[], &everybody()).is_concentrated(), "nobody comes twice");
    }

    #[test]
    fn behind_one_balancer_everything_is_one_network_and_counts() {
        assert!(!of(&[1; 8], &[1, 1], &[1; 300]).is_concentrated());
        assert!(of(&[1; 15], &[], &[]).is_concentrated(), "nothing is known yet");
        assert!(!of(&[1; 16], &[], &[]).is_concentrated(), "and it is time to act");
        assert!(!of(&[1, 2, 1, 3, 4], &[], &[]).is_concentrated(), "of many networks");
        let offices: Vec<u32> = (0..300).map(|n| n % 3).collect();
        assert!(!of(&[2; 9], &[], &offices).is_concentrated());
    }

    #[test]
    fn an_attack_hides_no_failures_of_others() {
        let mut failures = vec![7; 200];
        failures.extend((0..12).map(|n| 1_000 + n));
        let found = of(&failures, &[], &everybody());
        assert!(found.is_concentrated());
        // A tenth of the candidate's requests failed, of which 13 of 212 are others'.
        assert!(found.still_beyond(0.5, 0.02) && !found.still_beyond(0.1, 0.02), "{found:?}");
    }

    #[test]
    fn the_usual_errors_of_a_day_do_not_hide_an_attack() {
        let mut sources = Sources {
            served: everybody().into_iter().map(network).collect(),
            ..Sources::default()
        };
        sources.failed = (0..16).map(|n| failed(network(7), n)).collect();
        let day =
            |n: u64| FailedRequest { at: Mono(n), ..failed(network(1_000 + n as u32 % 40), n) };
        sources.failed.extend((0..200).map(day));
        let found = concentration(&sources);
        assert!(found.is_some_and(|found| found.of == 16 && found.is_concentrated()));
    }
}
