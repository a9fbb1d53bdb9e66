//! Whole rollouts on a simulated data plane: what becomes of them, what is written down, and
//! whether it can be computed again.

mod common;

use common::disk::Mood;
use common::world::*;
use serin_control::{Actor, BadRequest, Command, Order, Refusal, RolloutState, WaitingFor};
use serin_core::weights::BasisPoints;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const QUICK: &str = "steps: [ { weight: 10%, hold: 30s }, { weight: 50%, hold: 30s }, { weight: 100%, hold: 30s } ], evidence: { minRequests: 200 }";

fn world(per_second: f64, stable: f64, candidate: f64, more: &str) -> World {
    let sim = Sim::new(traffic(per_second), vec![failing("v1", stable), failing("v2", candidate)]);
    World::new(config(&format!("{QUICK}{more}")), sim)
}

#[test]
fn a_healthy_candidate_becomes_stable_and_stays_it_after_a_restart() {
    let mut world = world(500.0, 0.0, 0.0, "");
    world.start().unwrap();
    let took = world.until(SECOND * 600, |w| w.state() == "complete");
    println!("complete after {took:?}");
    assert!(took.is_some(), "{:?}", world.view().rollout);
    let record = world.handle().rollout("shop-1").unwrap();
    assert_eq!((record.from.as_str(), record.to.as_str(), record.reached), ("v1", "v2", 10_000));
    assert_eq!(world.view().stable, "v2");
    let disk = world.disk.after_kill();
    world.restart_with(disk, SECOND);
    assert_eq!(world.view().stable, "v2");
    assert_eq!(world.sim.splits().last().unwrap().weights.of(&version("v2")), BasisPoints::WHOLE);
}

#[test]
fn what_a_command_was_refused_for_is_seen_when_it_is_answered() {
    let mut world = world(500.0, 0.0, 0.0, "");
    world.disk.mood(Mood::ReadOnly);
    let by_itself = config(&format!("start: onChange, {QUICK}"));
    world.control.reconfigure(by_itself, world.now()).unwrap();
    world.disk.mood(Mood::Well);
    world.at += SECOND;
    assert!(world.view().rollout.is_none());
    // It has begun by itself in the same moment.
    world.start().unwrap_err();
    assert!(world.view().rollout.is_some());
}

#[test]
fn another_release_of_the_candidate_has_no_share_from_the_first_moment_of_a_start() {
    let mut world = world(500.0, 0.0, 0.0, "");
    world.start().unwrap();
    world.until(SECOND * 60, |w| w.weight() == 1_000).unwrap();
    let disk = world.disk.after_kill();
    world.config = config_of("r2", QUICK);
    world.restart_with(disk, SECOND);
    assert_eq!((world.weight(), world.state()), (0, "rolledBack"));
}

#[test]
fn a_candidate_that_fails_is_at_zero_within_a_second_and_explains_itself() {
    let mut world =
        world(1000.0, 0.001, 1.0, ", guards: [ { name: errors, errorRate: \"> 5%\", over: 30s } ]");
    world.start().unwrap();
    world.until(SECOND * 5, |w| w.weight() > 0).unwrap();
    let took = world.until(SECOND * 5, |w| w.weight() == 0).expect("rolled back");
    world.run(SECOND);
    let record = world.handle().rollout("shop-1").unwrap();
    println!(
        "weight 0 after {took:?}, {} failed requests: {}",
        record.harm.failed_requests, record.reason
    );
    assert!(took < SECOND && record.harm.failed_requests <= 10, "{took:?} {record:?}");
    assert_eq!(record.state, RolloutState::RolledBack);
    assert!(record.blamed && record.severity.is_some() && record.harmed_at.is_some());
    let why = world.handle().why(&service()).unwrap();
    assert_eq!((why.verdict.as_str(), why.rollout.as_str()), ("rollback", "shop-1"));
    assert!(
        !why.rule.is_empty() && why.observed.is_some() && !why.bad_requests.is_empty(),
        "{why:?}"
    );
    let of_before = |bad: &BadRequest| bad.request_id == "r-0";
    assert!(!why.bad_requests.iter().any(of_before), "{:?}", why.bad_requests);
    let report = world.handle().report("shop-1").unwrap();
    for part in [
        "# shop: v1 → v2 was rolled back",
        "## Impact",
        "## Timeline",
        "## Cause",
        "## Evidence",
        "## Actions",
    ] {
        assert!(report.contains(part), "no {part:?} in\n{report}");
    }
    assert!(world.view().versions[1].quarantined.is_some());
    let metrics = world.handle().metrics();
    assert!(
        metrics.contains("serin_rollbacks_total{reason=")
            && metrics.contains("serin_weight_ratio{service=\"shop\",version=\"v2\"} 0"),
        "{metrics}"
    );
    assert!(
        metrics.contains("serin_rollout_state{service=\"shop\",state=\"rolledBack\"} 1"),
        "{metrics}"
    );
}

#[test]
fn what_is_asked_after_a_rollback_is_not_its_reason() {
    let mut world = world(1000.0, 0.001, 1.0, "");
    world.start().unwrap();
    world.until(SECOND * 60, |w| w.state() == "rolledBack").expect("rolled back");
    let weights = between(BasisPoints::ZERO);
    world.command(Command::Weights { weights, reason: "to be sure".into() }).unwrap();
    let disk = world.disk.after_kill();
    world.restart_with(disk, SECOND);
    let why = world.handle().why(&service()).unwrap();
    assert_eq!(why.verdict, "rollback", "{}", why.reason);
}

#[test]
fn every_recorded_decision_is_made_again_from_what_was_recorded() {
    let mut world = world(1000.0, 0.001, 0.2, "");
    world.start().unwrap();
    // The first proof makes it step aside for a minute.
    world.until(SECOND * 180, |w| w.state() == "rolledBack").expect("rolled back");
    world.command(Command::Retry { reason: "once more".into() }).unwrap();
    world.until(SECOND * 180, |w| w.state() == "rolledBack").expect("rolled back again");
    let mut checked = 0;
    for id in ["shop-1", "shop-2"] {
        for recorded in world.handle().evidence(id).unwrap() {
            // A command's decision is the operator's, not the evidence's.
            if recorded.evidence["asked"].is_null() {
                let again = world.handle().decide_again(id, recorded.at).unwrap();
                assert_eq!(again, recorded.decision, "{id} at {}", recorded.at);
                checked += 1;
            }
        }
    }
    println!("{checked} decisions made again");
    assert!(checked >= 4, "{checked}");
}

#[test]
fn at_five_requests_a_minute_nothing_is_concluded_and_status_says_what_is_missing() {
    let mut world = world(5.0 / 60.0, 0.0, 0.0, "");
    world.start().unwrap();
    world.until(SECOND * 60, |w| w.weight() > 0).expect("the first step");
    world.run(SECOND * 1800);
    let view = world.view().rollout.unwrap();
    println!(
        "after half an hour: {:?}, {}, {:?} more",
        view.state, view.reason, view.requests_needed
    );
    assert_eq!((view.step, view.weight), (1, 1_000));
    assert_eq!(view.waiting_for, Some(WaitingFor::Evidence));
    assert!(view.requests_needed.is_some_and(|n| n > 150), "{view:?}");
}

#[test]
fn an_outage_of_both_is_held_as_a_shared_cause() {
    let mut world = world(500.0, 0.001, 0.001, "");
    world.start().unwrap();
    world.until(SECOND * 5, |w| w.weight() > 0).unwrap();
    world.run(SECOND * 10);
    let mut sim = Sim::new(traffic(500.0), vec![failing("v1", 0.5), failing("v2", 0.5)]);
    std::mem::swap(
        &mut *world.sim.plane(),
        &mut *std::sync::Arc::get_mut(&mut sim).unwrap().plane(),
    );
    let split = world.sim.splits().last().unwrap().clone();
    world.sim.plane().publish(&split);
    world.run(SECOND * 40);
    let view = world.view().rollout.unwrap();
    println!("{:?}: {}", view.state, view.reason);
    assert_eq!(view.weight, 1_000, "{view:?}");
    assert!(view.reason.contains("shared cause"), "{}", view.reason);
}

#[test]
fn a_key_is_carried_out_once_across_restarts_and_only_for_the_same_command() {
    let mut world = world(100.0, 0.0, 0.0, "");
    let keyed = |command| Order {
        idempotency_key: Some("k1".into()),
        ..Order::new(command, Actor("ci".into()))
    };
    let first = world.order(keyed(begin())).unwrap();
    let again = world.order(keyed(begin())).unwrap();
    assert!(again.repeated && again.rollout == first.rollout);
    let disk = world.disk.after_kill();
    world.restart_with(disk, SECOND);
    assert!(world.order(keyed(begin())).unwrap().repeated);
    assert_eq!(
        world.order(keyed(Command::Promote { reason: String::new(), from_step: None })),
        Err(Refusal::KeyReused)
    );
}

#[test]
fn an_order_for_another_revision_is_refused() {
    let mut world = world(100.0, 0.0, 0.0, "");
    let seen = world.view().revision;
    world.start().unwrap();
    let stale = Order {
        if_revision: Some(seen),
        ..Order::new(
            Command::Promote { reason: String::new(), from_step: None },
            Actor("ci".into()),
        )
    };
    assert!(matches!(world.order(stale), Err(Refusal::Stale { expected, .. }) if expected == seen));
}

#[test]
fn events_have_rising_ids_across_restarts_and_replay_from_any() {
    let mut world = world(100.0, 0.0, 0.0, "");
    world.start().unwrap();
    world.command(Command::Pause { reason: "look".into() }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut events = world.handle().subscribe(Some(0));
    let first = runtime.block_on(events.next()).unwrap();
    assert_eq!((first.id, first.kind.as_str()), (1, "started"));
    let last = world.handle().subscribe(Some(0));
    drop(last);
    let disk = world.disk.after_kill();
    world.restart_with(disk, SECOND);
    world.command(Command::Abort { reason: "enough".into() }).unwrap();
    let mut events = world.handle().subscribe(Some(1));
    let mut ids = Vec::new();
    loop {
        let event = runtime.block_on(events.next()).unwrap();
        ids.push(event.id);
        if event.kind.as_str() == "rolledBack" {
            break;
        }
    }
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1) && ids[0] == 2, "{ids:?}");
}

fn promote(from_step: Option<u32>) -> Command {
    Command::Promote { reason: String::new(), from_step }
}

#[test]
fn an_answer_comes_with_the_weight_in_force_and_one_step_is_promoted_once() {
    let steps = "steps: [ { weight: 10%, hold: 10m }, { weight: 50%, hold: 10m }, { weight: 100%, hold: 10m } ]";
    let sim = Sim::new(traffic(100.0), vec![healthy("v1"), healthy("v2")]);
    let mut world = World::new(config(steps), sim);
    let started = world.start().unwrap();
    assert!(started.message.contains("0% → 10%"), "{}", started.message);
    assert_eq!(world.weight(), 1_000);
    world.run(Duration::from_secs(1));

    let promoted = world.command(promote(Some(1))).unwrap();
    assert!(promoted.message.contains("promoted by test; 10% → 50%"), "{}", promoted.message);
    assert_eq!((world.weight(), world.view().revision), (5_000, promoted.revision));
    let again = world.command(promote(Some(1)));
    assert_eq!(again, Err(Refusal::NotNow("the rollout is already at step 2".into())));
    let early = world.command(promote(Some(3)));
    assert_eq!(early, Err(Refusal::NotNow("the rollout is still at step 2".into())));
    assert_eq!(world.weight(), 5_000);

    let aborted = world.command(Command::Abort { reason: "enough".into() }).unwrap();
    assert!(aborted.message.contains("50% → 0%"), "{}", aborted.message);
}

#[test]
fn a_command_that_has_to_wait_says_what_for() {
    let gated =
        "steps: [ { weight: 10%, hold: 10m } ], gates: [ { before: \"10%\", approval: true } ]";
    let sim = Sim::new(traffic(100.0), vec![healthy("v1"), healthy("v2")]);
    let mut world = World::new(config(gated), sim);
    let started = world.start().unwrap();
    assert_eq!(world.weight(), 0);
    assert!(started.message.contains("approval"), "{}", started.message);
    let promoted = world.command(promote(None)).unwrap();
    assert!(promoted.message.contains("0% → 10%"), "{}", promoted.message);
    assert_eq!(world.weight(), 1_000);
}
