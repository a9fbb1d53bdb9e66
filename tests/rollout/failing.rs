//! Stable fails: at rest, and beside a candidate that is better.

use crate::test_server::{Setup, TestServer};
use serin_testkit::{Fault, Origin, eventually};
use std::time::Duration;

/// Long enough for anything to happen on a busy machine.
const LONG: Duration = Duration::from_secs(120);

#[test]
fn a_stable_that_fails_at_rest_is_told_and_shown() {
    let hook = Origin::start("hook");
    let more = format!(
        "notifications:\n  - {{ name: hook, webhook: {{ url: \"http://{}/hook\" }}, on: [warning] }}",
        hook.address()
    );
    let bench = TestServer::set_up(Setup {
        more: &more,
        ..Setup::of("steps: [ { weight: 100%, hold: 10m } ]")
    });
    let load = bench.load(200);
    let missed = |b: &TestServer| {
        b.handle().snapshot().service("shop").and_then(|service| service.slo.missed.clone())
    };
    bench.until(LONG, |b| b.stable.requests() >= 200).expect("some traffic");
    assert_eq!(missed(&bench), None);
    bench.stable.break_all(Fault::Status(500));
    bench.until(LONG, |b| missed(b).is_some()).expect("it is shown");
    eventually("it is told", || hook.requests_to("/hook") >= 1);
    let found = missed(&bench).expect("it goes on");
    println!("{}", found.message);
    assert_eq!((found.version.as_str(), found.severity.as_str()), ("v1", "P1"));
    load.finish();
}

#[test]
fn nobody_is_sent_back_to_a_stable_that_is_worse() {
    let bench = TestServer::open(
        "steps: [ { weight: 50%, hold: 10m }, { weight: 100%, hold: 10m } ], \
         guards: [ { name: errors, errorRate: \"> 2%\", over: 30s } ]",
    );
    let load = bench.load(400);
    bench.start();
    let served = |b: &TestServer| b.weight() == 5_000 && b.candidate.requests() >= 100;
    bench.until(LONG, served).expect("the candidate at half");
    bench.stable.break_one_in(2, Fault::Status(500));
    std::thread::sleep(Duration::from_secs(2));
    bench.candidate.break_one_in(10, Fault::Status(500));
    let stopped = |b: &TestServer| matches!(b.state(), "paused" | "rolledBack");
    bench.until(LONG, stopped).expect("a verdict");
    let rollout = bench.rollout().expect("a rollout");
    println!("{}", rollout.reason);
    assert_eq!((bench.state(), bench.weight()), ("paused", 5_000), "{rollout:?}");
    assert!(rollout.reason.contains("stable is provably worse"), "{rollout:?}");
    load.finish();
}
