use super::support::*;
use serin_config::model::{RateLimit, RatePer};
use serin_proxy::route::RateLimiter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

const SECOND: u64 = 1_000_000;
const START: u64 = 77 * SECOND;

/// Calls `with` with the limiter of a route that lets so many requests a second through.
fn limited(per_second: u32, per: RatePer, with: impl FnOnce(&RateLimiter)) {
    let mut limited = route("limited", &[], vec![prefix("/")]);
    limited.limits.rate = Some(RateLimit { per_second, per });
    let generation = generation(config(Vec::new(), vec![limited]));
    with(generation.routes.routes()[0].rate.as_ref().unwrap());
}

#[test]
fn a_second_lets_its_number_through_and_then_says_how_long_to_wait() {
    limited(5, RatePer::Route, |limit| {
        for _ in 0..5 {
            assert_eq!(limit.admit(CLIENT, START), Ok(()));
        }
        assert_eq!(limit.admit(CLIENT, START), Err(Duration::from_millis(200)));
        assert_eq!(limit.admit(CLIENT, START + 199_999), Err(Duration::from_micros(1)));
        assert_eq!(limit.admit(CLIENT, START + 200_000), Ok(()));
        let later = START + 100 * SECOND;
        let passed = (0..20).filter(|_| limit.admit(CLIENT, later).is_ok()).count();
        assert_eq!(passed, 5, "a quiet time does not save up more than a second");
    });
}

#[test]
fn a_steady_flood_gets_exactly_its_rate() {
    limited(100, RatePer::Route, |limit| {
        let ticks = (0..10_000).map(|milli| START + milli * 1_000);
        let passed = ticks.filter(|now| limit.admit(CLIENT, *now).is_ok()).count();
        // Ten seconds at 100, and the second's worth that the bucket held at first.
        assert!((1_099..=1_100).contains(&passed), "{passed}");
    });
}

#[test]
fn each_client_has_its_own_rate_and_an_ipv6_client_owns_its_64() {
    limited(2, RatePer::ClientIp, |limit| {
        let v4 = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let v6 = |net, last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, last));
        for client in [v4(1), v4(2), v6(1, 1), v6(2, 1)] {
            assert!(limit.admit(client, START).is_ok());
            assert!(limit.admit(client, START).is_ok());
            assert!(limit.admit(client, START).is_err());
        }
        assert!(limit.admit(v6(1, 99), START).is_err(), "same network, same client");
        let mapped = IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        assert!(limit.admit(mapped, START).is_err(), "the same client by another socket");
    });
}

#[test]
fn a_million_addresses_neither_grow_the_table_nor_reset_a_busy_client() {
    limited(10, RatePer::ClientIp, |limit| {
        for _ in 0..10 {
            assert!(limit.admit(CLIENT, START).is_ok());
        }
        assert!(limit.admit(CLIENT, START).is_err());
        for n in 0..1_000_000u32 {
            // Spread over 100 s, as addresses of a botnet would be.
            let now = START + u64::from(n) * 100;
            assert!(limit.admit(IpAddr::V4(Ipv4Addr::from(n)), now).is_ok());
            if n < 800 {
                assert!(limit.admit(CLIENT, START).is_err(), "forgotten after {n} others");
            }
        }
    });
}

#[test]
fn threads_together_get_no_more_than_one() {
    for per in [RatePer::Route, RatePer::ClientIp] {
        limited(1_000, per, |limit| {
            let passed = AtomicU32::new(0);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let ok = (0..5_000).filter(|_| limit.admit(CLIENT, START).is_ok()).count();
                        passed.fetch_add(ok as u32, Relaxed);
                    });
                }
            });
            assert_eq!(passed.load(Relaxed), 1_000);
        });
    }
}
