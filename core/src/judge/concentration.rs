//! Are the candidate's failures everybody's, or those of a few clients?
//!
//! Without this a visitor with free cookies could roll back any release by asking for what fails on
//! every version. So each client network counts for a limited number of them (`networks.rs`). Where the
//! traffic itself comes from one network (a balancer, an office) that one counts in full: nothing can
//! be told apart there, and a failing release must go all the same.
//!
//! Only the latest failures are looked at: those of a minute, and a few at least. What came before
//! would dilute an attack with the usual errors of a day. Stable's are those since the oldest of them.

use super::counted::AT_FIRST;
use super::networks::{Networks, count, failed_on_stable};
use crate::measure::{FailedRequest, Sources};
use crate::rollout::{Concentration, Met, Named};
use std::collections::HashSet;
use std::time::Duration;

/// However long ago they were.
const AT_LEAST: usize = AT_FIRST;
const LATELY: Duration = Duration::from_secs(60);
/// So many names of a kind are kept.
const NAMES: usize = 3;

/// `per_stable` is how many requests the candidate gets for each of stable's.
pub(super) fn concentration(sources: &Sources, per_stable: f64) -> Option<Concentration> {
    let newest = sources.failed.first()?.at;
    let lately = |(i, f): &(usize, &FailedRequest)| *i < AT_LEAST || newest.since(f.at) <= LATELY;
    let failed: Vec<_> =
        sources.failed.iter().enumerate().take_while(lately).map(|(_, f)| f).collect();
    let since = failed.last()?.at;
    let on_stable = failed_on_stable(&sources.failed_on_stable, since, newest);
    let networks = Networks::new(sources.served.iter().copied(), on_stable, per_stable);
    let by_network = count(failed.iter().map(|f| f.network));
    let (mut spread, mut elsewhere) = (0.0, 0.0);
    for (network, failures) in &by_network {
        let failures = *failures as f64;
        let by_stable = if networks.are_known() { networks.elsewhere(*network) } else { 0.0 };
        elsewhere += by_stable.min(failures);
        let explained = match networks.are_known() {
            true => networks.explained(*network, failed.len() as f64 - failures),
            // In its first seconds anybody may be the only one who fails. Not for long: who fails
            // everything is never known to answer anybody well.
            false if failed.len() < AT_FIRST => 1.0,
            false => failed.len() as f64,
        };
        spread += explained.min((failures - by_stable).max(0.0));
    }
    let users: HashSet<u64> = failed.iter().filter_map(|f| f.user).collect();
    Some(Concentration {
        met: Met::Failed,
        of: failed.len() as u64,
        spread: (spread + 1e-6) as u64,
        elsewhere: elsewhere.round() as u64,
        users: (!users.is_empty()).then_some(users.len() as u64),
        networks: by_network.len() as u64,
        by_network: names(by_network.into_iter().map(|(n, count)| (n.to_string(), count))),
        by_route: names(count(failed.iter().filter_map(|f| f.route.as_deref()))),
        by_method: names(count(failed.iter().map(|f| f.method))),
        by_endpoint: names(count(failed.iter().filter_map(|f| f.endpoint))),
    })
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
    use crate::measure::{FailedOnStable, Network};
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

    /// At a weight of 10%.
    fn of(failures: &[u32], stable: &[u32], served: &[u32]) -> Concentration {
        let failed = failures.iter().enumerate().map(|(n, f)| failed(network(*f), n as u64));
        let on_stable = |n: &u32| FailedOnStable { at: Mono(100_000), network: network(*n) };
        let sources = Sources {
            failed: failed.collect(),
            failed_on_stable: stable.iter().map(on_stable).collect(),
            served: served.iter().map(|n| network(*n)).collect(),
        };
        let found = concentration(&sources, 1.0 / 9.0);
        let Some(found) = found else { unreachable!("there are failures") };
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
    fn who_was_answered_well_before_and_then_fails_on_both_counts_for_nothing() {
        // A fifth, and a half, of what is known of the traffic.
        for well in [100, 400] {
            let mut served = everybody();
            served.extend(vec![7; well]);
            let found = of(&[7; 12], &[7; 108], &served);
            assert!(found.is_concentrated(), "{found:?}");
            assert!(found.spread < 5, "{found:?}");
        }
        // Nor when it fails on the candidate alone, for as long as it is not everybody; the usual errors
        // of others change nothing.
        let mut failures = vec![7; 60];
        failures.extend((0..12).map(|n| 1_000 + n));
        let mut served = everybody();
        served.extend(vec![7; 100]);
        let found = of(&failures, &[], &served);
        assert!(found.is_concentrated() && found.spread * 10 <= found.of * 3, "{found:?}");
    }

    #[test]
    fn what_stable_fails_for_everybody_takes_nothing_off() {
        let usual: Vec<u32> = (0..90).map(|n| 1_000 + n % 40).collect();
        let failures: Vec<u32> = (0..40).map(|n| 1_000 + n).collect();
        let found = of(&failures, &usual, &everybody());
        assert_eq!((found.spread, found.elsewhere), (40, 0));
    }

    #[test]
    fn a_stable_that_forgets_is_taken_to_go_on_as_it_did() {
        let mut sources = Sources {
            served: everybody().into_iter().map(network).collect(),
            failed: (0..60).map(|n| failed(network(7), n * 1_000)).collect(),
            ..Sources::default()
        };
        // 256 failures are the last six seconds of it.
        let on_stable = |n: u64| FailedOnStable { at: Mono(100_000 - n * 23), network: network(7) };
        sources.failed_on_stable = (0..256).map(on_stable).collect();
        let Some(found) = concentration(&sources, 0.02) else { unreachable!("there are failures") };
        assert_eq!(found.elsewhere, 60);
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
        assert!(!of(&[0, 1, 2, 2, 2, 1], &[], &offices).is_concentrated());
        assert!(of(&[2; 9], &[], &offices).is_concentrated(), "one office alone");
    }

    #[test]
    fn an_attack_hides_no_failures_of_others() {
        let mut failures = vec![7; 200];
        failures.extend((0..12).map(|n| 1_000 + n));
        let found = of(&failures, &[], &everybody());
        assert!(found.is_concentrated());
        // A tenth of the candidate's requests failed, of which 13 of 212 are others'.
        assert!((9..=42).contains(&found.spread), "{found:?}");
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
        let found = concentration(&sources, 1.0 / 9.0);
        assert!(found.is_some_and(|found| found.of == 16 && found.is_concentrated()));
    }
}
