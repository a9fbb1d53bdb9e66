//! What becomes of a candidate that fails, slows down, is well, or suffers with everybody.

use crate::test_server::{Setup, TestServer, bar};
use serin_testkit::Fault;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// Long enough for anything to happen on a busy machine.
const LONG: Duration = Duration::from_secs(120);
const STEP: &str = "steps: [ { weight: 10%, hold: 10m }, { weight: 100%, hold: 10m } ]";

/// Under load at 10%, after some healthy requests of the candidate.
fn at_ten_percent(more: &str, healthy: u64) -> (TestServer, crate::test_server::Load) {
    let bench = TestServer::open(&format!("{STEP}{more}"));
    let load = bench.load(1000);
    bench.start();
    let served = |b: &TestServer| b.weight() == 1_000 && b.candidate.requests() >= healthy;
    bench.until(LONG, served).expect("the candidate at 10%");
    (bench, load)
}

#[test]
fn a_candidate_that_turns_bad_is_at_zero_within_ten_failed_requests() {
    let (bench, load) = at_ten_percent("", 100);
    bench.candidate.break_all(Fault::Status(500));
    let took = bench.until(LONG, |b| b.weight() == 0 && b.state() == "rolledBack");
    let took = took.expect("a rollback");
    std::thread::sleep(SECOND / 4);
    let asked = bench.candidate.requests();
    std::thread::sleep(SECOND / 2);
    assert_eq!(bench.candidate.requests(), asked, "requests after the rollback");
    let seen = load.finish();
    // What was in flight at the rollback is counted within the next second.
    let counted = |b: &TestServer| {
        b.handle().rollout("shop-1").is_some_and(|r| r.harm.failed_requests == seen.failed)
    };
    bench.until(LONG, counted).expect("every failure in the record");
    let record = bench.handle().rollout("shop-1").expect("a record");
    println!("clients: {seen:?}; harm {:?}; {}", record.harm, record.reason);
    bar("weight 0 after the first failure", took, SECOND);
    assert!(seen.failed >= 1 && seen.failed <= 10, "{seen:?}");
    assert_eq!(seen.broken, 0);
    let why = bench.handle().why(&crate::test_server::service()).expect("a reason");
    assert!(why.verdict == "rollback" && !why.bad_requests.is_empty(), "{why:?}");
}

#[test]
fn at_full_load_the_tripwire_is_measured_beside_the_tick() {
    let figures = [true, false].map(|tripwire| {
        let bench = TestServer::set_up(Setup {
            tripwire,
            ..Setup::of(
                "steps: [ { weight: 50%, hold: 10m }, { weight: 100%, hold: 10m } ], harm: { failedRequests: 1000000 }",
            )
        });
        let load = bench.full_load();
        bench.start();
        let served = |b: &TestServer| b.weight() == 5_000 && b.candidate.requests() >= 2_000;
        bench.until(LONG, served).expect("the candidate at half");
        let before = load.seen().good;
        std::thread::sleep(SECOND / 2);
        let rate = 2 * (load.seen().good - before);
        bench.candidate.break_all(Fault::Status(500));
        let took = bench.until(LONG, |b| b.state() == "rolledBack").expect("a rollback");
        let seen = load.finish();
        assert!(seen.failed >= 1 && (seen.ours, seen.broken) == (0, 0), "{seen:?}");
        (rate, seen.failed, took)
    });
    for (name, (rate, failed, took)) in ["tripwire and tick", "tick alone"].iter().zip(figures) {
        println!("{name}: {failed} failed requests, weight 0 after {took:?}, at {rate} requests/s");
    }
}

#[test]
fn with_rescue_the_clients_of_a_dead_candidate_see_no_error() {
    let (bench, load) = at_ten_percent(", rescue: true", 100);
    bench.candidate.break_all(Fault::Status(500));
    bench.until(LONG, |b| b.state() == "rolledBack").expect("a rollback");
    let seen = load.finish();
    let record = bench.handle().rollout("shop-1").expect("a record");
    println!("clients: {seen:?}; harm {:?}", record.harm);
    assert_eq!((seen.failed, seen.broken), (0, 0));
    assert!(record.harm.failed_requests >= 1, "rescued requests count against the candidate");
}

#[test]
fn the_harm_cap_is_never_passed() {
    let (bench, load) = at_ten_percent(", harm: { failedRequests: 5 }", 20);
    bench.candidate.break_all(Fault::Status(503));
    bench.until(LONG, |b| b.state() == "rolledBack").expect("a rollback");
    let seen = load.finish();
    println!("clients: {seen:?}");
    assert!(seen.failed <= 5, "{seen:?}");
}

#[test]
fn one_failure_in_fifty_is_found() {
    let (bench, load) = at_ten_percent("", 200);
    bench.candidate.break_one_in(50, Fault::Status(500));
    let took = bench.until(LONG, |b| b.state() == "rolledBack").expect("a rollback");
    let seen = load.finish();
    let record = bench.handle().rollout("shop-1").expect("a record");
    println!("2% errors: {took:?}, {seen:?}, {}", record.reason);
    assert_eq!(seen.broken, 0);
}

#[test]
fn a_candidate_twice_as_slow_is_found() {
    let (bench, load) = at_ten_percent(
        ", guards: [ { name: slow, latency: { p95: \"> 20ms\" }, over: 30s, for: 0s, action: rollback } ]",
        200,
    );
    bench.candidate.break_one_in(8, Fault::Delay(Duration::from_millis(300)));
    let took = bench.until(LONG, |b| b.state() == "rolledBack").expect("a rollback");
    let seen = load.finish();
    let record = bench.handle().rollout("shop-1").expect("a record");
    println!("p95 over its limit: {took:?}, {seen:?}, {}", record.reason);
    assert_eq!((seen.failed, seen.broken), (0, 0));
}

#[test]
fn an_outage_of_both_is_held_and_called_a_shared_cause() {
    let (bench, load) = at_ten_percent("", 100);
    bench.stable.break_one_in(2, Fault::Status(500));
    bench.candidate.break_one_in(2, Fault::Status(500));
    let said = |b: &TestServer| b.rollout().is_some_and(|r| r.reason.contains("shared cause"));
    let took = bench.until(LONG, said).expect("a shared cause");
    let weight = bench.weight();
    let seen = load.finish();
    println!("shared cause said after {took:?} at weight {weight}: {seen:?}");
    assert_eq!(weight, 1_000);
}

#[test]
fn a_healthy_candidate_completes() {
    // A machine that is busy elsewhere makes either of the two slower, never so much.
    let bench = TestServer::open(
        "steps: [ { weight: 10%, hold: 1s }, { weight: 50%, hold: 1s }, { weight: 100%, hold: 1s } ], evidence: { minRequests: 100 }, regression: { errors: 5, latency: 400%, latencyFloor: 1s }",
    );
    let load = bench.load(1000);
    bench.start();
    let took = bench.until(LONG * 2, |b| b.state() == "complete");
    let took = took.unwrap_or_else(|| panic!("not complete: {:?}", bench.rollout()));
    // At 100% stable had nothing; its column is not the candidate's, which is stable now.
    let beside = bench.rollout().expect("a rollout").comparison;
    assert!(
        beside.candidate.requests > 0 && beside.stable.requests < beside.candidate.requests / 2,
        "{beside:?}"
    );
    let before = bench.stable.requests();
    let candidate = bench.candidate.requests();
    std::thread::sleep(SECOND / 2);
    let seen = load.finish();
    println!("complete after {took:?}: {seen:?}");
    assert_eq!((seen.failed, seen.broken), (0, 0));
    assert!(bench.candidate.requests() > candidate && bench.stable.requests() == before);
}

#[test]
fn what_hangs_on_a_candidate_is_asked_of_stable_once_it_is_rolled_back() {
    let (bench, load) = at_ten_percent("", 100);
    bench.candidate.break_all(Fault::Hang);
    // Every client meets it sooner or later, and answers are due in ten minutes.
    bench.until(LONG, |b| b.candidate.in_flight() >= 8).expect("clients that wait");
    let aborted = serin_control::Command::Abort { reason: "it hangs".into() };
    bench.command(aborted).expect("an abort");
    bench.until(LONG, |b| b.candidate.in_flight() == 0).expect("nobody waits for it any more");
    let before = load.seen().good;
    bench.until(LONG, |_| load.seen().good > before + 100).expect("all are served again");
    let seen = load.finish();
    assert_eq!((seen.failed, seen.broken), (0, 0), "{seen:?}");
}
