//! Receivers and gates: told and asked, and never in the way.

use crate::bench::{Bench, Setup};
use serin_control::{Command, WaitingFor};
use serin_testkit::{Fault, Origin, RawOrigin, Script, eventually};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_webhook_holds_its_step_until_it_grants() {
    let gate = Origin::start("gate");
    gate.break_all(Fault::Status(403));
    let url = format!("http://{}/go", gate.address());
    let bench = Bench::open(&format!(
        "steps: [ {{ weight: 10%, hold: 10m }}, {{ weight: 100%, hold: 10m }} ], gates: [ {{ before: \"10%\", webhook: {{ url: \"{url}\", timeout: 2s }} }} ]"
    ));
    bench.start();
    let waits = |b: &Bench| b.rollout().is_some_and(|r| r.waiting_for == Some(WaitingFor::Webhook));
    bench.until(LONG, waits).expect("waiting for the webhook");
    eventually("the refusal shows", || bench.rollout().is_some_and(|r| r.reason.contains("403")));
    assert_eq!(bench.weight(), 0);
    let asked = gate.requests();
    assert!((1..=2).contains(&asked), "asked {asked} times within moments");
    gate.heal();
    bench.until(LONG, |b| b.weight() == 1_000).expect("the first step");
}

#[test]
fn receivers_are_told_and_one_that_hangs_delays_nothing() {
    let hook = Origin::start("hook");
    let deaf = RawOrigin::always(Script::never_answering());
    let setup = Setup::of("steps: [ { weight: 50%, hold: 10m }, { weight: 100%, hold: 10m } ]");
    let bench = Bench::set_up(Setup {
        more: &format!(
            "notifications:\n  - {{ name: hook, webhook: {{ url: \"http://{}/hook\" }}, on: [started, rolledBack] }}\n  - {{ name: deaf, webhook: {{ url: \"http://{}/\" }}, on: [started, rolledBack] }}",
            hook.address(),
            deaf.address()
        ),
        ..setup
    });
    bench.start();
    bench.until(LONG, |b| b.weight() > 0).expect("weight");
    let began = Instant::now();
    bench.command(Command::Abort { reason: "a drill".into() }).expect("an abort");
    println!("aborted in {:?} with a receiver that never answers", began.elapsed());
    eventually("both are told", || hook.requests_to("/hook") == 2 && deaf.accepted() >= 1);
    let metrics = bench.handle().metrics();
    let sent = "serin_notifications_total{receiver=\"hook\",result=\"sent\"}";
    eventually("the count", || bench.handle().metrics().contains(sent));
    assert!(!metrics.contains(&hook.address().to_string()), "an address is no label");
}
