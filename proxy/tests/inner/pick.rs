use super::support::*;
use proptest::prelude::*;
use serin_config::model::{LoadBalancing, Service};
use serin_core::outcome::{Ending, Failure};
use serin_core::time::Mono;
use serin_proxy::clock;
use serin_proxy::config_generation::{ConfigGeneration, Environment};
use serin_proxy::upstream::{Lease, Unavailable, VersionRuntime};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FAILED: Ending = Ending::Failed(Failure::Reset);

fn with_endpoints(count: u16, change: impl FnOnce(&mut Service)) -> Arc<VersionRuntime> {
    let generation = generation(config(vec![service_of(count, change)], Vec::new()));
    generation.service(&service_name("shop")).unwrap().stable()
}

fn service_of(count: u16, change: impl FnOnce(&mut Service)) -> Service {
    let mut shop = shop();
    shop.versions[0].endpoints =
        (0..count).map(|n| endpoint(&format!("127.0.0.1:{}", 1_000 + n))).collect();
    change(&mut shop);
    shop
}

/// A stream of random numbers that a failing test can repeat.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^ (state >> 29)
    }
}

fn now() -> Mono {
    clock::mono(Instant::now())
}

fn shares(
    version: &VersionRuntime,
    picks: u32,
    at: Mono,
    mut each: impl FnMut(Lease),
) -> HashMap<SocketAddr, u32> {
    let mut random = numbers(7);
    let mut shares = HashMap::new();
    for _ in 0..picks {
        let lease = version.pick(random(), None, at).unwrap();
        *shares.entry(lease.endpoint().address).or_default() += 1;
        each(lease);
    }
    shares
}

fn fail(version: &VersionRuntime, port: u16, times: u32, at: Mono) {
    let mut random = numbers(u64::from(port));
    let mut left = times;
    for _ in 0..10_000 {
        if left == 0 {
            return;
        }
        let lease = version.pick(random(), None, at).unwrap();
        if lease.endpoint().address.port() == port {
            lease.finish(FAILED, Duration::ZERO, at);
            left -= 1;
        }
    }
    panic!("{port} was picked too seldom");
}

#[test]
fn round_robin_is_even_also_behind_an_endpoint_that_is_missing() {
    let version = with_endpoints(4, |s| s.outliers.consecutive_failures = 2);
    let even = shares(&version, 4_000, now(), drop);
    assert!(even.values().all(|share| *share == 1_000), "{even:?}");
    fail(&version, 1_001, 2, now());
    let without = shares(&version, 3_000, now(), drop);
    assert_eq!(without.len(), 3);
    assert!(without.values().all(|share| *share == 1_000), "{without:?}");
}

#[test]
fn least_request_keeps_endpoints_nearly_equally_busy() {
    let version = with_endpoints(10, |s| s.load_balancing = LoadBalancing::LeastRequest);
    let mut held = Vec::new();
    let picked = shares(&version, 1_000, now(), |lease| held.push(lease));
    // Held all at once, 100 each would be perfect; drawing blindly would be off by 30.
    assert!(picked.values().all(|share| share.abs_diff(100) <= 6), "{picked:?}");
    let members = version.group().members();
    assert_eq!(members.iter().map(|member| member.in_flight()).sum::<u32>(), 1_000);
    held.clear();
    assert!(members.iter().all(|member| member.in_flight() == 0));
}

#[test]
fn least_request_avoids_the_endpoint_that_hangs() {
    let version = with_endpoints(3, |s| s.load_balancing = LoadBalancing::LeastRequest);
    let mut stuck = Vec::new();
    let picked = shares(&version, 3_000, now(), |lease| {
        if lease.endpoint().address.port() == 1_000 {
            stuck.push(lease);
        }
    });
    assert!(picked[&"127.0.0.1:1000".parse().unwrap()] < 30, "{picked:?}");
}

#[test]
fn the_endpoint_that_just_failed_is_taken_again_only_when_it_is_alone() {
    for balancing in [LoadBalancing::RoundRobin, LoadBalancing::LeastRequest] {
        let version = with_endpoints(3, |s| s.load_balancing = balancing);
        let failed = version.pick(1, None, now()).unwrap();
        for random in 0..200 {
            let other = version.pick(random, Some(failed.endpoint()), now()).unwrap();
            assert_ne!(other.endpoint().address, failed.endpoint().address);
        }
        let alone = with_endpoints(1, |s| s.load_balancing = balancing);
        let failed = alone.pick(1, None, now()).unwrap();
        assert!(alone.pick(2, Some(failed.endpoint()), now()).is_ok());
    }
}

#[test]
fn full_endpoints_are_passed_over_and_a_full_version_says_so() {
    for balancing in [LoadBalancing::RoundRobin, LoadBalancing::LeastRequest] {
        let version = with_endpoints(3, |s| {
            s.max_in_flight = 2;
            s.load_balancing = balancing;
        });
        let mut held = Vec::new();
        for random in 0..6 {
            held.push(version.pick(random, None, now()).unwrap());
        }
        assert_eq!(version.pick(9, None, now()).unwrap_err(), Unavailable::AllBusy);
        held.pop();
        assert!(version.pick(9, None, now()).is_ok());
    }
}

#[test]
fn nobody_is_lent_where_nobody_is() {
    let nameless = with_endpoints(0, |s| {
        s.versions[0].endpoints = [endpoint("no.name:80")].into_iter().collect()
    });
    assert_eq!(nameless.pick(1, None, now()).unwrap_err(), Unavailable::Unresolved);
    assert_eq!(nameless.group().readiness(now()), (0, 1));
}

#[test]
fn consecutive_failures_eject_and_time_brings_back() {
    let version = with_endpoints(2, |_| {});
    // Both fail alike, so that neither stands out.
    for _ in 0..2 {
        shares(&version, 2, now(), |lease| lease.finish(GOOD, Duration::ZERO, now()));
        shares(&version, 8, now(), |lease| lease.finish(FAILED, Duration::ZERO, now()));
    }
    assert_eq!(version.group().readiness(now()), (2, 2), "a good answer ends the run");
    fail(&version, 1_000, 1, now());
    assert_eq!(version.group().readiness(now()), (1, 2));
    assert_eq!(version.group().ejections(), 1);
    let later = now().plus(Duration::from_secs(31));
    assert_eq!(version.group().readiness(later), (2, 2));
}

/// Requests that are spread over the endpoints in turn, of which only `port`'s fail, every `nth`.
fn one_fails(version: &VersionRuntime, port: u16, nth: u32, requests: u32) {
    let mut turn = 0;
    shares(version, requests, now(), |lease| {
        let mut ending = GOOD;
        if lease.endpoint().address.port() == port {
            turn += 1;
            ending = if turn % nth == 0 { BAD } else { GOOD };
        }
        lease.finish(ending, Duration::ZERO, now());
    });
}

#[test]
fn an_endpoint_that_fails_far_more_than_its_peers_is_ejected_before_its_fifth_failure() {
    let version = with_endpoints(3, |_| {});
    one_fails(&version, 1_000, 1, 12);
    assert_eq!(version.group().readiness(now()), (2, 3));
}

#[test]
fn an_endpoint_that_fails_every_other_request_is_ejected() {
    let version = with_endpoints(3, |_| {});
    one_fails(&version, 1_001, 2, 60);
    assert_eq!(version.group().readiness(now()), (2, 3));
    assert_eq!(version.group().ejections(), 1);
}

#[test]
fn a_fault_that_all_endpoints_share_ejects_none_of_them() {
    let version = with_endpoints(3, |_| {});
    for _ in 0..100 {
        shares(&version, 3, now(), |lease| lease.finish(BAD, Duration::ZERO, now()));
        shares(&version, 3, now(), |lease| lease.finish(GOOD, Duration::ZERO, now()));
    }
    assert_eq!(version.group().readiness(now()), (3, 3));
}

#[test]
fn failures_that_were_counted_before_a_reload_count_after_it() {
    let environment = Environment::new(1, None);
    let build = |limit, previous: Option<&ConfigGeneration>| {
        let service = service_of(3, |s| s.max_in_flight = limit);
        let config = Arc::new(config(vec![service], Vec::new()));
        ConfigGeneration::build(config, previous, &environment).unwrap()
    };
    let stable =
        |generation: &ConfigGeneration| generation.service(&service_name("shop")).unwrap().stable();
    let before = build(100, None);
    one_fails(&stable(&before), 1_000, 1, 6);
    let after = build(200, Some(&before));
    assert_eq!(stable(&after).group().readiness(now()), (3, 3));
    one_fails(&stable(&after), 1_000, 1, 6);
    assert_eq!(stable(&after).group().readiness(now()), (2, 3));
}

#[test]
fn the_last_endpoint_is_never_ejected() {
    let version = with_endpoints(1, |_| {});
    for random in 0..50 {
        version.pick(random, None, now()).unwrap().finish(FAILED, Duration::ZERO, now());
    }
    assert!(version.is_ready(now()));
}

proptest! {
    #[test]
    fn no_more_are_ejected_than_the_cap_allows(
        count in 1..12u16,
        percent in 0..=100u32,
        failures in proptest::collection::vec((any::<u64>(), any::<bool>()), 0..400),
    ) {
        let version = with_endpoints(count, |s| {
            s.outliers.max_ejected = f64::from(percent) / 100.0;
            s.outliers.consecutive_failures = 2;
        });
        let at = now();
        let cap = u32::from(count) * percent / 100;
        for (random, failed) in failures {
            let Ok(lease) = version.pick(random, None, at) else {
                prop_assert_eq!(cap, u32::from(count));
                break;
            };
            lease.finish(if failed { FAILED } else { GOOD }, Duration::ZERO, at);
            let (ready, total) = version.group().readiness(at);
            prop_assert!(total - ready <= cap, "{} of {}", total - ready, total);
        }
    }

    #[test]
    fn two_threads_cannot_eject_more_than_the_cap_together(seed in any::<u64>()) {
        let version = with_endpoints(4, |s| s.outliers.consecutive_failures = 1);
        let at = now();
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let version = &version;
                let mut random = numbers(seed ^ thread);
                scope.spawn(move || {
                    for _ in 0..50 {
                        version.pick(random(), None, at).unwrap().finish(FAILED, Duration::ZERO, at);
                    }
                });
            }
        });
        prop_assert_eq!(version.group().readiness(at), (2, 4));
    }
}

/// A generation of two endpoints, and one after it in which a third has joined.
fn after_joining(balancing: LoadBalancing) -> (Arc<VersionRuntime>, Instant) {
    let change = |s: &mut Service| {
        s.slow_start = Duration::from_secs(100);
        s.load_balancing = balancing;
    };
    let environment = Environment::new(1, None);
    let build = |count, previous: Option<&ConfigGeneration>| {
        let config = Arc::new(config(vec![service_of(count, change)], Vec::new()));
        ConfigGeneration::build(config, previous, &environment).unwrap()
    };
    let before = build(2, None);
    let joined = Instant::now();
    let after = build(3, Some(&before));
    (after.service(&service_name("shop")).unwrap().stable(), joined)
}

#[test]
fn an_endpoint_that_joins_gets_a_share_that_rises_with_its_age() {
    for balancing in [LoadBalancing::RoundRobin, LoadBalancing::LeastRequest] {
        let (version, joined) = after_joining(balancing);
        let newcomer = "127.0.0.1:1002".parse().unwrap();
        let share_at = |seconds| {
            let at = clock::mono(joined + Duration::from_secs(seconds));
            f64::from(shares(&version, 20_000, at, drop)[&newcomer]) / 20_000.0
        };
        for (age, weight) in [(1, 0.1), (25, 0.25), (50, 0.5), (200, 1.0)] {
            let (share, due) = (share_at(age), weight / (2.0 + weight));
            assert!((share - due).abs() < 0.03, "{balancing:?} {age} s: {share} for {due}");
        }
    }
}

#[test]
fn what_is_known_of_an_address_survives_a_reload_that_changes_others() {
    let environment = Environment::new(1, None);
    let build = |count, previous: Option<&ConfigGeneration>| {
        let config = Arc::new(config(vec![service_of(count, |_| {})], Vec::new()));
        ConfigGeneration::build(config, previous, &environment).unwrap()
    };
    let stable =
        |generation: &ConfigGeneration| generation.service(&service_name("shop")).unwrap().stable();
    let before = build(2, None);
    fail(&stable(&before), 1_000, 5, now());
    let after = build(4, Some(&before));
    assert_eq!(stable(&after).group().readiness(now()), (3, 4));
    assert!(Arc::ptr_eq(&stable(&before).meter, &stable(&after).meter));
    let same = build(4, Some(&after));
    assert!(Arc::ptr_eq(stable(&after).group(), stable(&same).group()));
}

#[test]
fn requests_in_flight_still_count_for_an_endpoint_that_a_reload_keeps() {
    let environment = Environment::new(1, None);
    let build = |count, previous: Option<&ConfigGeneration>| {
        let config = Arc::new(config(vec![service_of(count, |_| {})], Vec::new()));
        ConfigGeneration::build(config, previous, &environment).unwrap()
    };
    let stable =
        |generation: &ConfigGeneration| generation.service(&service_name("shop")).unwrap().stable();
    let before = build(1, None);
    let lease = stable(&before).pick(0, None, now()).unwrap();
    let after = build(2, Some(&before));
    let busy = || -> Vec<u32> {
        stable(&after).group().members().iter().map(|member| member.in_flight()).collect()
    };
    assert_eq!(busy(), [1, 0]);
    drop(lease);
    assert_eq!(busy(), [0, 0]);
}
