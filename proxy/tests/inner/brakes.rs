//! The tripwire and the harm budget: what holds a candidate back before control knows.

use super::support::*;
use http::HeaderMap;
use proptest::prelude::*;
use serin_config::model::SessionBy;
use serin_core::outcome::Ending;
use serin_core::plane::DataPlane;
use serin_core::split::{HarmCeiling, InForce};
use serin_proxy::meter::{Counting, RequestMeter};
use serin_proxy::plane::Plane;
use serin_proxy::service::{Because, Service, Who};
use serin_proxy::thread::{ThreadId, random};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One request of a user on a thread; `None` when it did not reach the candidate.
fn begin(service: &Service, thread: u16, user: u32) -> (RequestMeter, Because) {
    let headers = HeaderMap::new();
    let who = Who { client_ip: IpAddr::V4(Ipv4Addr::from(user)), ..who(&headers) };
    let assigned = service.assign(ThreadId(thread), &who, random());
    let because = assigned.because;
    (RequestMeter::start(assigned, CLIENT, Instant::now()), because)
}

fn end(mut exchange: RequestMeter, ending: Ending) {
    let version = Arc::clone(exchange.version());
    exchange.attempt_ended(&version, ending, about("r"), Instant::now());
}

fn one(service: &Service, thread: u16, ending: Ending) -> Because {
    let (exchange, because) = begin(service, thread, 1);
    end(exchange, ending);
    because
}

fn tripped(plane: &Plane) -> bool {
    plane.counts(&service_name("shop")).unwrap().of(&version_name("v2")).unwrap().tripped
}

fn with_tripwire(weight: u16, run: u32) -> Arc<serin_core::split::Split> {
    split(InForce { tripwire: NonZeroU32::new(run), ..rollout(1, weight) })
}

#[test]
fn a_run_of_failures_sends_every_thread_to_stable_until_the_next_publication() {
    let (plane, service) = plane_of(shop());
    plane.publish(with_tripwire(100, 3));
    one(&service, 0, BAD);
    one(&service, 0, BAD);
    one(&service, 0, GOOD);
    one(&service, 0, BAD);
    one(&service, 0, BAD);
    assert!(!tripped(&plane), "a good answer ends a run");
    one(&service, 1, BAD);
    assert!(tripped(&plane), "it does not matter on which threads they fell");
    assert_eq!(one(&service, 0, GOOD), Because::Tripwire);
    assert_eq!(one(&service, 1, GOOD), Because::Tripwire);
    plane.publish(with_tripwire(100, 3));
    assert!(!tripped(&plane));
    assert_eq!(one(&service, 0, GOOD), Because::Split);
}

#[test]
fn what_the_client_broke_off_neither_ends_a_run_nor_adds_to_it() {
    let (plane, service) = plane_of(shop());
    plane.publish(with_tripwire(100, 2));
    one(&service, 0, BAD);
    one(&service, 0, Ending::ClientAborted);
    assert!(!tripped(&plane));
    one(&service, 0, BAD);
    assert!(tripped(&plane));
}

#[test]
fn who_is_held_back_goes_to_stable_and_takes_no_part() {
    let (plane, service) = plane_of(shop());
    plane.publish(with_tripwire(100, 1));
    one(&service, 0, BAD);
    let (held, _) = begin(&service, 0, 1);
    assert_eq!(held.version().name.as_str(), "v1");
    assert_eq!(held.counting(), Counting::Rest);
    assert!(!held.is_candidate());
}

fn capped(epoch: u64, requests: Option<u64>, users: Option<u64>) -> Arc<serin_core::split::Split> {
    let harm_ceiling = HarmCeiling { failed_requests: requests, users };
    split(InForce { harm_ceiling, ..rollout(epoch, 100) })
}

#[test]
fn requests_in_flight_hold_their_place_in_the_budget() {
    let (plane, service) = plane_of(shop());
    plane.publish(capped(1, Some(3), None));
    let in_flight: Vec<_> = (0..3).map(|user| begin(&service, 0, user).0).collect();
    assert_eq!(begin(&service, 0, 9).1, Because::Harm, "all three may still fail");
    let mut in_flight = in_flight.into_iter();
    end(in_flight.next().unwrap(), GOOD);
    let (again, because) = begin(&service, 0, 9);
    assert_eq!(because, Because::Split);
    end(again, BAD);
    in_flight.for_each(|exchange| end(exchange, BAD));
    assert_eq!(begin(&service, 0, 9).1, Because::Harm);
    let counts = plane.counts(&service.name).unwrap();
    assert_eq!(counts.failed_requests, 3);
}

#[test]
fn one_user_who_fails_often_is_one_user() {
    let by_ip = serin_config::model::Service { session: SessionBy::ClientIp, ..shop() };
    let (plane, service) = plane_of(by_ip);
    plane.publish(capped(1, None, Some(2)));
    for _ in 0..5 {
        end(begin(&service, 0, 1).0, BAD);
    }
    end(begin(&service, 0, 2).0, BAD);
    assert_eq!(begin(&service, 0, 3).1, Because::Harm);
    let counts = plane.counts(&service.name).unwrap();
    assert_eq!((counts.failed_requests, counts.failed_users), (6, 2));
    let v2 = counts.of(&version_name("v2")).unwrap();
    assert_eq!((v2.judged.bad, v2.judged.first_bad), (6, 2));
}

#[test]
fn a_later_split_of_the_epoch_moves_the_ceiling_and_a_new_epoch_begins_anew() {
    let (plane, service) = plane_of(shop());
    plane.publish(capped(1, Some(2), None));
    one(&service, 0, BAD);
    one(&service, 0, BAD);
    assert_eq!(one(&service, 0, BAD), Because::Harm);
    plane.publish(capped(1, Some(3), None));
    assert_eq!(one(&service, 0, BAD), Because::Split, "two have failed, and three may");
    assert_eq!(one(&service, 0, BAD), Because::Harm);
    let at_rest = serin_core::split::Split::at_rest(service.name.clone(), version_name("v1"));
    plane.publish(Arc::new(at_rest));
    assert_eq!(plane.counts(&service.name).unwrap().failed_requests, 3);
    plane.publish(capped(1, Some(3), None));
    assert_eq!(one(&service, 0, BAD), Because::Harm, "a rest forgives nothing");
    plane.publish(capped(2, Some(2), None));
    assert_eq!(plane.counts(&service.name).unwrap().failed_requests, 0);
    let held = begin(&service, 0, 1).0;
    plane.publish(capped(2, Some(1), None));
    assert_eq!(begin(&service, 0, 1).1, Because::Harm, "the one in flight has the last place");
    end(held, GOOD);
    assert_eq!(one(&service, 0, BAD), Because::Split);
    assert_eq!(one(&service, 0, BAD), Because::Harm);
}

#[derive(Debug, Clone)]
enum Step {
    Begin { thread: u16, user: u32 },
    End { which: usize, bad: bool },
    Abort { which: usize },
    Publish { ceiling: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..4u16, 0..6u32).prop_map(|(thread, user)| Step::Begin { thread, user }),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(which, bad)| Step::End { which, bad }),
        1 => any::<usize>().prop_map(|which| Step::Abort { which }),
        1 => (0..12u64).prop_map(|ceiling| Step::Publish { ceiling }),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn the_cap_holds_under_any_interleaving_even_if_all_in_flight_fail(
        requests in 0..8u64,
        users in 0..4u64,
        steps in steps(),
    ) {
        let by_ip = serin_config::model::Service { session: SessionBy::ClientIp, ..shop() };
        let (plane, service) = plane_of(by_ip);
        plane.publish(capped(1, Some(requests), Some(users)));
        let mut highest = requests;
        let mut in_flight: Vec<RequestMeter> = Vec::new();
        for step in steps {
            match step {
                Step::Begin { thread, user } => in_flight.push(begin(&service, thread, user).0),
                Step::End { which, bad } if !in_flight.is_empty() => {
                    let exchange = in_flight.swap_remove(which % in_flight.len());
                    end(exchange, if bad { BAD } else { GOOD });
                }
                Step::Abort { which } if !in_flight.is_empty() => {
                    drop(in_flight.swap_remove(which % in_flight.len()));
                }
                Step::Publish { ceiling } => {
                    highest = highest.max(ceiling);
                    plane.publish(capped(1, Some(ceiling), Some(users)));
                }
                Step::End { .. } | Step::Abort { .. } => {}
            }
        }
        in_flight.into_iter().for_each(|exchange| end(exchange, BAD));
        let counts = plane.counts(&service.name).unwrap();
        prop_assert!(counts.failed_requests <= highest);
        prop_assert!(counts.failed_users <= users);
    }
}

#[test]
fn the_cap_holds_while_four_threads_hammer_a_candidate_that_fails_everything() {
    let (plane, service) = plane_of(shop());
    plane.publish(capped(1, Some(200), None));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let service = &service;
            scope.spawn(move || {
                for user in 0..5_000 {
                    let (exchange, _) = begin(service, thread, user);
                    let ending = if exchange.is_candidate() { BAD } else { GOOD };
                    end(exchange, ending);
                }
            });
        }
    });
    let counts = plane.counts(&service.name).unwrap();
    assert_eq!(counts.failed_requests, 200);
    assert_eq!(counts.of(&version_name("v2")).unwrap().judged.bad, 200);
}

#[test]
fn two_seconds_of_silence_freeze_the_weights_until_control_speaks() {
    let (plane, _) = plane_of(shop());
    plane.heartbeat();
    let now = Instant::now();
    assert!(!plane.weights_frozen(now + Duration::from_millis(1_900)));
    assert!(plane.weights_frozen(now + Duration::from_millis(2_100)));
    plane.heartbeat();
    assert!(!plane.weights_frozen(Instant::now()));
}
