use super::support::*;
use http::HeaderMap;
use proptest::prelude::*;
use serin_core::lag::Stretch;
use serin_core::outcome::{Ending, Failure, Outcome};
use serin_core::plane::DataPlane;
use serin_proxy::clock;
use serin_proxy::meter::{Answered, FirstBad, RequestMeter};
use serin_proxy::service::Service;
use serin_proxy::thread::{ThreadId, random};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

fn begin(service: &Service, thread: u16, now: Instant) -> RequestMeter {
    let headers = HeaderMap::new();
    RequestMeter::start(service.assign(ThreadId(thread), &who(&headers), random()), CLIENT, now)
}

fn v1_tally(plane: &dyn DataPlane) -> serin_core::measure::Tally {
    plane.counts(&service_name("shop")).unwrap().of(&version_name("v1")).unwrap().judged
}

#[test]
fn the_first_attempt_is_judged_even_when_a_retry_saved_the_client() {
    let (plane, service) = plane_of(shop());
    let now = Instant::now();
    let v1 = service.stable();
    let mut exchange = begin(&service, 0, now);
    exchange.attempt_ended(&v1, Ending::Failed(Failure::Reset), about("req-1"), now);
    exchange.head(200, about("req-1"), now);
    exchange.attempt_ended(&v1, GOOD, about("req-1"), now);
    exchange.answered(Answered { by: &v1, status: 200, received: 3, sent: 5 });
    drop(exchange);
    let tally = v1_tally(&plane);
    assert_eq!((tally.good, tally.bad, tally.first_bad), (0, 1, 1));
    assert_eq!(v1.meter.attempts(Outcome::Bad), 1);
    assert_eq!(v1.meter.attempts(Outcome::Good), 1);
    assert_eq!(v1.meter.statuses(), [(Some(200), 1)]);
    assert_eq!(v1.meter.bytes(), (3, 5));
    let samples = plane.bad_samples(&service.name, &v1.name);
    assert_eq!((samples[0].request_id.as_str(), samples[0].what.as_str()), ("req-1", "reset"));
}

#[test]
fn a_bad_status_counts_when_its_head_is_there_and_only_once() {
    let (plane, service) = plane_of(shop());
    let now = Instant::now();
    let mut exchange = begin(&service, 0, now);
    exchange.head(503, about("r"), now);
    assert_eq!(v1_tally(&plane).bad, 1, "before the body ends");
    exchange.attempt_ended(&service.stable(), Ending::Truncated { status: 503 }, about("r"), now);
    drop(exchange);
    let tally = v1_tally(&plane);
    assert_eq!((tally.bad, tally.exposures()), (1, 1));
}

#[test]
fn a_client_that_leaves_is_excluded_and_no_longer_in_flight() {
    let (plane, service) = plane_of(shop());
    let exchange = begin(&service, 0, Instant::now());
    let in_flight = || plane.counts(&service.name).unwrap().versions[0].in_flight;
    assert_eq!(in_flight(), 1);
    drop(exchange);
    assert_eq!(in_flight(), 0);
    let tally = v1_tally(&plane);
    assert_eq!((tally.excluded, tally.exposures()), (1, 0));
}

#[test]
fn a_hang_is_seen_while_it_lasts_and_again_when_it_ends() {
    let (_plane, service) = plane_of(shop());
    let began = Instant::now();
    let mut hanging = begin(&service, 0, began);
    let mut answered = begin(&service, 1, began);
    answered.head(200, about("r"), began + Duration::from_millis(3));
    let later = clock::micros(began + Duration::from_secs(10));
    let v1 = service.stable();
    let latencies = || v1.meter.latencies(v1.name.clone(), later, Stretch::default());
    let seen = latencies();
    assert_eq!(seen.waiting.total(), 1);
    assert_eq!(seen.waiting.above(Duration::from_secs(9)), 1);
    assert_eq!((seen.judged.total(), seen.judged.above(Duration::from_millis(4))), (1, 0));
    let ending = Ending::Failed(Failure::Timeout);
    hanging.attempt_ended(&service.stable(), ending, about("r"), began + Duration::from_secs(30));
    let seen = latencies();
    assert_eq!(seen.waiting.total(), 0);
    assert_eq!(seen.judged.above(Duration::from_secs(29)), 1);
}

#[test]
fn a_quick_refusal_says_nothing_about_latency() {
    let (plane, service) = plane_of(shop());
    let now = Instant::now();
    let mut exchange = begin(&service, 0, now);
    exchange.attempt_ended(&service.stable(), Ending::Failed(Failure::Connect), about("r"), now);
    let latencies = plane.latencies(&service.name).unwrap();
    assert_eq!(latencies.versions[0].judged.total(), 0);
}

#[test]
fn the_newest_sixteen_failures_are_kept() {
    let (plane, service) = plane_of(shop());
    let now = Instant::now();
    for n in 0..40 {
        begin(&service, 0, now).attempt_ended(&service.stable(), BAD, about(&format!("r{n}")), now);
    }
    let samples = plane.bad_samples(&service.name, &version_name("v1"));
    let ids: Vec<_> = samples.iter().map(|sample| sample.request_id.as_str()).collect();
    assert_eq!((ids.len(), ids[0], ids[15]), (16, "r39", "r24"));
}

#[test]
fn ten_thousand_waiting_requests_are_all_seen_and_their_places_used_again() {
    let (plane, service) = plane_of(shop());
    let waiting = || plane.latencies(&service.name).unwrap().versions[0].waiting.total();
    for _ in 0..3 {
        let held: Vec<_> = (0..10_000).map(|_| begin(&service, 2, Instant::now())).collect();
        assert_eq!(waiting(), 10_000);
        drop(held);
        assert_eq!(waiting(), 0);
    }
    assert_eq!(service.stable().meter.unseen(), 0);
    let held: Vec<_> = (0..20_000).map(|_| begin(&service, 2, Instant::now())).collect();
    assert_eq!(service.stable().meter.unseen(), 20_000 - waiting(), "what is not seen is counted");
    drop(held);
    assert_eq!(waiting(), 0);
}

#[test]
fn totals_equal_what_was_put_in_and_never_run_backwards_while_they_are_read() {
    let (plane, service) = plane_of(shop());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut before = serin_core::measure::Tally::default();
            while !done.load(Relaxed) {
                let now = v1_tally(&plane);
                assert!(now.good >= before.good && now.bad >= before.bad);
                assert!(now.first_bad <= now.bad, "{now:?}");
                before = now;
            }
        });
        let writer = |thread: u16| {
            let service = &service;
            scope.spawn(move || {
                for n in 0..20_000u32 {
                    let now = Instant::now();
                    let mut exchange = begin(service, thread, now);
                    match n % 4 {
                        0 => exchange.attempt_ended(&service.stable(), BAD, about("r"), now),
                        1 | 2 => {
                            exchange.head(200, about("r"), now);
                            exchange.attempt_ended(&service.stable(), GOOD, about("r"), now);
                        }
                        _ => {}
                    }
                }
            })
        };
        let writers: Vec<_> = (0..4).map(writer).collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Relaxed);
        reader.join().unwrap();
    });
    let tally = v1_tally(&plane);
    assert_eq!((tally.good, tally.bad, tally.excluded), (40_000, 20_000, 20_000));
    assert_eq!(tally.first_bad, 20_000);
    let counts = plane.counts(&service.name).unwrap();
    assert_eq!(counts.versions[0].in_flight, 0);
}

proptest! {
    #[test]
    fn a_user_is_first_once_per_epoch(events in proptest::collection::vec((0..4u64, 0..5u64), 0..60)) {
        let first_bad = FirstBad::default();
        let mut newest = 0;
        let mut known = std::collections::HashSet::new();
        for (epoch, user) in events {
            if epoch > newest {
                newest = epoch;
                known.clear();
            }
            let expected = epoch == newest && known.insert(user);
            prop_assert_eq!(first_bad.insert(serin_core::ids::Epoch(epoch), user), expected);
        }
    }
}

/// Control says that it ticked five seconds late: until a little from now nothing is believed.
fn starve(plane: &dyn DataPlane) {
    assert!(plane.own_lag(Duration::from_secs(5)).is_some());
}

#[test]
fn while_own_threads_are_late_times_and_timeouts_count_for_nobody_and_answers_do() {
    let (plane, service) = plane_of(shop());
    let v1 = service.stable();
    let began = Instant::now();
    starve(&plane);
    let soon = began + Duration::from_millis(50);
    let end = |failure: Failure, at: Instant| {
        let mut exchange = begin(&service, 0, began);
        exchange.attempt_ended(&v1, Ending::Failed(failure), about("r"), at);
        v1_tally(&plane)
    };
    assert_eq!((end(Failure::Timeout, soon).bad, end(Failure::ConnectTimeout, soon).bad), (0, 0));
    assert_eq!(v1_tally(&plane).excluded, 2);
    assert_eq!(end(Failure::Reset, soon).bad, 1, "somebody else said so");
    let later = began + Duration::from_secs(30);
    assert_eq!(end(Failure::Timeout, later).bad, 2, "nearly all of it was on time");

    let mut exchange = begin(&service, 0, began);
    exchange.head(500, about("r"), soon);
    assert_eq!(v1_tally(&plane).bad, 3, "the version answered it");
    drop(exchange);
    let latencies = v1.meter.latencies(v1.name.clone(), clock::micros(soon), Stretch::default());
    assert_eq!(latencies.judged.total(), 1, "that of half a minute alone");
}

#[test]
fn a_request_that_waited_for_own_threads_is_not_seen_as_slow() {
    let (plane, service) = plane_of(shop());
    let waiting = || plane.latencies(&service.name).unwrap().versions[0].waiting.total();
    let _exchange = begin(&service, 0, Instant::now());
    assert_eq!(waiting(), 1);
    starve(&plane);
    assert_eq!(waiting(), 0);
}
