use super::support::*;
use http::HeaderMap;
use serin_config::model::{Failover, SessionBy};
use serin_core::plane::DataPlane;
use serin_proxy::meter::{Counting, RequestMeter};
use serin_proxy::service::{Because, Who};
use serin_proxy::thread::{ThreadId, random};
use serin_proxy::upstream::Attempted;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

#[test]
fn ninety_to_ten_is_exact_over_a_hundred_thousand_requests_on_four_threads() {
    let (plane, service) = plane_of(shop());
    plane.publish(split(rollout(1, 10)));
    let to_candidate: usize = std::thread::scope(|scope| {
        let thread = |number| {
            let service = Arc::clone(&service);
            scope.spawn(move || {
                let headers = HeaderMap::new();
                let assign = |_: &u32| {
                    let assigned = service.assign(ThreadId(number), &who(&headers), random());
                    assigned.version.name.as_str() == "v2"
                };
                (0..25_000).filter(assign).count()
            })
        };
        let threads: Vec<_> = (0..4).map(thread).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    // One request in any hundred at most, on each thread.
    assert!(to_candidate.abs_diff(10_000) <= 4, "{to_candidate}");
}

#[test]
fn a_split_goes_on_where_it_was_when_the_same_weights_are_published_again() {
    let (plane, service) = plane_of(shop());
    let headers = HeaderMap::new();
    let mut got = Vec::new();
    for _ in 0..1_000 {
        plane.publish(split(rollout(1, 10)));
        for _ in 0..7 {
            let assigned = service.assign(ThreadId(0), &who(&headers), random());
            got.push(u32::from(assigned.version.name.as_str() == "v2"));
        }
    }
    let windows = got.windows(100).map(|window| window.iter().sum::<u32>());
    assert!(windows.clone().all(|sum| sum.abs_diff(10) <= 1), "{:?}", windows.max());
}

#[test]
fn a_sticky_user_never_changes_while_the_split_stands_and_none_moves_back_when_it_rises() {
    let (plane, service) = plane_of(with_session(SessionBy::ClientIp));
    let headers = HeaderMap::new();
    let version_of = |n: u32| {
        let who = Who { client_ip: IpAddr::V4(Ipv4Addr::from(n)), ..who(&headers) };
        let assigned = service.assign(ThreadId((n % 4) as u16), &who, random());
        assigned.version.name.to_string()
    };
    let users = || 0..5_000u32;
    let at = |percent| {
        plane.publish(split(rollout(3, percent)));
        let first: Vec<_> = users().map(version_of).collect();
        assert_eq!(first, users().map(version_of).collect::<Vec<_>>());
        first
    };
    let ten = at(10);
    let fifty = at(50);
    let share = ten.iter().filter(|v| *v == "v2").count();
    assert!((350..650).contains(&share), "{share} of 5000 users at 10%");
    let moved_back = ten.iter().zip(&fifty).filter(|(a, b)| *a == "v2" && *b == "v1").count();
    assert_eq!(moved_back, 0);
}

#[test]
fn a_header_identifies_who_sends_it_and_nobody_else() {
    let (plane, service) = plane_of(with_session(SessionBy::Header { name: "X-User".to_owned() }));
    plane.publish(split(rollout(1, 50)));
    let mut headers = HeaderMap::new();
    let anonymous = service.assign(ThreadId(0), &who(&headers), random());
    assert_eq!(anonymous.user, None);
    headers.insert("x-user", "ada".parse().unwrap());
    let of = |random| service.assign(ThreadId(0), &who(&headers), random);
    let (one, other) = (of(1), of(2));
    assert!(one.user.is_some() && one.user == other.user);
    assert_eq!(one.version.name, other.version.name);
}

#[test]
fn a_cohort_is_forced_and_left_out_of_every_count_that_is_judged() {
    let (plane, service) = plane_of(shop());
    plane.publish(split(rollout(1, 0)));
    let v2 = service.version(&version_name("v2")).unwrap();
    let assigned = service.force(ThreadId(0), v2);
    assert_eq!((assigned.counting, assigned.because), (Counting::Cohort, Because::Cohort));
    let now = Instant::now();
    let mut exchange = RequestMeter::start(assigned, CLIENT, now);
    exchange.head(500, about("r"), now);
    exchange.attempt_ended(v2, BAD, about("r"), now);
    drop(exchange);
    let counts = plane.counts(&service.name).unwrap();
    let its = counts.of(&version_name("v2")).unwrap();
    assert_eq!((its.judged.exposures(), its.rest.exposures()), (0, 0));
    assert_eq!(its.rest.excluded, 1);
    assert_eq!((counts.failed_requests, counts.failed_users), (0, 0));
    assert!(plane.bad_samples(&service.name, &v2.name).is_empty());
}

#[test]
fn a_version_that_is_no_longer_listed_is_replaced_by_stable() {
    let mut without = shop();
    without.versions.pop();
    let (plane, service) = plane_of(without);
    plane.publish(split(rollout(1, 100)));
    let headers = HeaderMap::new();
    let assigned = service.assign(ThreadId(0), &who(&headers), random());
    assert_eq!(assigned.version.name.as_str(), "v1");
    assert_eq!((assigned.counting, assigned.because), (Counting::Rest, Because::Unlisted));
}

#[test]
fn a_split_of_a_past_epoch_is_refused_and_one_of_an_unknown_service_ignored() {
    let (plane, service) = plane_of(shop());
    plane.publish(split(rollout(5, 10)));
    plane.publish(split(rollout(4, 90)));
    assert_eq!(service.split().rollout.as_ref().unwrap().epoch.0, 5);
    let stranger = serin_core::split::Split::at_rest(service_name("else"), version_name("v1"));
    plane.publish(Arc::new(stranger));
    assert!(plane.counts(&service_name("else")).is_none());
}

#[test]
fn stable_stands_in_for_a_failed_candidate_only_where_that_is_safe_and_asked_for() {
    let nobody = serin_core::outcome::Ending::Failed(serin_core::outcome::Failure::NoEndpoint);
    let stands_in = |failover, rescue, idempotent, ending| {
        let mut shop = shop();
        shop.failover = failover;
        let (plane, service) = plane_of(shop);
        plane.publish(split(serin_core::split::InForce { rescue, ..rollout(1, 100) }));
        let headers = HeaderMap::new();
        let assigned = service.assign(ThreadId(0), &who(&headers), random());
        let exchange = RequestMeter::start(assigned, CLIENT, Instant::now());
        let sent = ending != nobody;
        let attempted =
            Attempted { made: 1, ending, idempotent, sent, replayable: true, answered: false };
        service.stand_in(&exchange, &attempted).is_some()
    };
    assert!(!stands_in(Failover::None, false, true, nobody));
    assert!(stands_in(Failover::Stable, false, false, nobody));
    assert!(!stands_in(Failover::Stable, false, true, BAD));
    assert!(stands_in(Failover::None, true, true, BAD));
    assert!(!stands_in(Failover::None, true, false, BAD), "a POST may have been processed");
    assert!(stands_in(Failover::None, true, false, nobody), "nothing was sent");
}

#[test]
fn a_request_in_flight_is_rescued_though_its_rollout_was_rolled_back_meanwhile() {
    let (plane, service) = plane_of(shop());
    plane.publish(split(serin_core::split::InForce { rescue: true, ..rollout(1, 100) }));
    let headers = HeaderMap::new();
    let assigned = service.assign(ThreadId(0), &who(&headers), random());
    let exchange = RequestMeter::start(assigned, CLIENT, Instant::now());
    plane.publish(split(rollout(1, 0)));
    let attempted = Attempted {
        made: 1,
        ending: BAD,
        idempotent: true,
        sent: true,
        replayable: true,
        answered: false,
    };
    assert!(service.stand_in(&exchange, &attempted).is_some());
}

fn with_session(session: SessionBy) -> serin_config::model::Service {
    serin_config::model::Service { session, ..shop() }
}
