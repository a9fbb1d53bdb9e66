//! Two strikes for the comparison: the first proof steps aside, and fresh traffic decides.

use super::world::*;
use serin_core::rollout::*;
use std::time::Duration;

fn worse(needed: f64) -> ErrorTest {
    ErrorTest {
        value: 2.0 * needed,
        needed,
        floor: 2.0 * needed,
        candidate: Part { bad: 12, of: 900 },
        stable: Part { bad: 9, of: 8_100 },
        worse: true,
        of_few_clients: false,
    }
}

/// So many of the candidate's requests since it is back, and nothing wrong with them.
fn fresh(of: u64) -> Option<ErrorTest> {
    let part = Part { bad: 0, of };
    Some(ErrorTest { value: 0.8, floor: 0.9, candidate: part, worse: false, ..worse(20.0) })
}

/// At its first step, and the comparison has just had proof.
fn stepped_aside() -> World {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence.errors = Some(worse(1_000.0));
    world.tick();
    world
}

fn back() -> World {
    let mut world = stepped_aside();
    world.run(MINUTE);
    world.evidence.errors = fresh(0);
    world
}

#[test]
fn the_first_proof_steps_aside_for_a_minute_and_blames_nobody() {
    let mut world = stepped_aside();
    assert_eq!((world.weight(), world.phase()), (bp(0), Phase::Holding));
    assert_eq!(world.position.quarantine, []);
    let event = world.events.iter().find(|event| event.name() == "asideOn").unwrap().to_string();
    let says = "stepped aside from 10% for 1m, and fresh traffic decides: more errors than stable: 12 of 900 bad, stable 9 of 8100; evidence 2000 of 1000";
    assert_eq!(event, says);
    let decision = world.run(SECOND * 30);
    assert_eq!(
        decision.verdict.to_string(),
        "hold: stepped aside on regression.errors; back in 30s"
    );
    assert!(decision.split.rollout.is_none(), "no session keeps it in traffic");
    world.run(SECOND * 30);
    assert_eq!(world.weight(), bp(1_000));
    assert!(world.saw("cameBack"));
}

#[test]
fn a_second_proof_on_probation_sends_it_back_for_good() {
    let mut world = back();
    let decision = world.run(MINUTE * 2);
    let says =
        "hold: back after regression.errors, on probation: fresh traffic decides for 3m more";
    assert_eq!(decision.verdict.to_string(), says);
    world.evidence.errors = Some(worse(20.0));
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack);
    assert_eq!(world.position.quarantine.len(), 1);
    assert_eq!(world.rollout().aside, None);
}

#[test]
fn a_second_proof_while_stable_is_in_a_storm_steps_aside_again() {
    let mut world = back();
    world.run(MINUTE * 2);
    world.evidence.errors = Some(worse(20.0));
    world.evidence.stable_stormy = true;
    world.tick();
    assert_eq!((world.weight(), world.phase()), (bp(0), Phase::Holding));
}

#[test]
fn probation_lasts_until_there_was_enough_of_fresh_traffic() {
    let mut world = back();
    world.evidence.errors = fresh(40);
    let decision = world.run(MINUTE * 20);
    let says = "hold: back after regression.errors, on probation: 40 of 1000 requests seen";
    assert_eq!(decision.verdict.to_string(), says);
    world.evidence.errors = fresh(1_000);
    world.tick();
    assert_eq!(world.rollout().aside, None);
    // And the next proof is a first one again.
    world.evidence.errors = Some(worse(1_000.0));
    world.tick();
    assert_eq!((world.weight(), world.phase()), (bp(0), Phase::Holding));
}

#[test]
fn a_candidate_that_stable_follows_comes_back_as_if_nothing_had_been() {
    let mut world = stepped_aside();
    world.evidence.stable_stormy = true;
    world.run(MINUTE);
    assert_eq!((world.weight(), world.rollout().aside.clone()), (bp(1_000), None));
    let said = world.events.iter().find(|event| event.name() == "cameBack").unwrap().to_string();
    assert_eq!(said, "back at 10%: meanwhile stable failed as well");
}

#[test]
fn what_is_no_comparison_asks_for_no_second_strike() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("errors", Value::Share(0.2));
    world.evidence.errors = Some(worse(1_000.0));
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack);
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.command(&pause()).unwrap();
    world.evidence.errors = Some(worse(1_000.0));
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack, "nobody would bring it back");
}

#[test]
fn where_most_of_it_fails_or_more_than_a_guard_allows_nobody_waits_for_a_second_strike() {
    let phase = |bad, above| {
        let mut plan = plan();
        plan.guards[0].rule = Rule::ErrorRate { above };
        let mut world = World::started(plan);
        world.run(MINUTE);
        world.evidence.errors = Some(worse(1_000.0));
        world.evidence.accused = Part { bad, of: 40 };
        world.tick();
        world.phase()
    };
    assert_eq!(phase(21, 0.9), Phase::RolledBack, "most of it");
    assert_eq!(phase(19, 0.9), Phase::Holding);
    assert_eq!(
        phase(5, 0.1),
        Phase::RolledBack,
        "the operator's own limit says that it is serious"
    );
    assert_eq!(phase(4, 0.1), Phase::Holding);
}

#[test]
fn a_breached_guard_on_times_waits_for_no_second_strike_either() {
    let mut plan = plan();
    plan.guards[1].lasting = Duration::ZERO;
    let mut world = World::started(plan);
    world.run(MINUTE);
    world.evidence = breached("slow", Value::Time(SECOND * 3));
    world.evidence.guards[1].proven = false;
    let part = Part { bad: 50, of: 100 };
    world.evidence.latency = Some(LatencyTest {
        value: 2_000.0,
        needed: 1_000.0,
        quantile: 0.95,
        baseline: SECOND,
        candidate: part,
        stable: part,
        worse: true,
        of_few_clients: false,
    });
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack);
}

#[test]
fn it_stays_away_while_nothing_may_move_and_through_a_restart() {
    let mut world = stepped_aside();
    world.run(SECOND * 20);
    world.restart();
    world.decide();
    let decision = world.run(SECOND * 20);
    assert_eq!(
        decision.verdict.to_string(),
        "hold: stepped aside on regression.errors; back in 20s"
    );
    world.conditions.freeze =
        Some(Freeze { by: "ana".into(), reason: "x".into(), since: wall("2026-11-24T14:00") });
    world.run(MINUTE * 10);
    assert_eq!(world.weight(), bp(0));
    world.conditions.freeze = None;
    world.tick();
    assert_eq!(world.weight(), bp(1_000));
}

#[test]
fn a_person_can_bring_it_back_or_end_it() {
    let mut world = stepped_aside();
    world.command(&promote()).unwrap();
    world.evidence.errors = fresh(0);
    world.tick();
    assert_eq!((world.weight(), world.rollout().aside.clone()), (bp(1_000), None));
    world.run(SECOND * 5);
    assert_eq!(world.weight(), bp(1_000), "one promotion is one move");
    let mut world = stepped_aside();
    world.command(&abort()).unwrap();
    let ended = world.rollout().ended.clone().unwrap();
    assert_eq!((world.phase(), ended.reached), (Phase::RolledBack, bp(1_000)));
}

#[test]
fn a_reload_that_changes_the_plan_finds_its_place_again() {
    let mut world = stepped_aside();
    let plan = world.terms.plan.as_mut().unwrap();
    plan.steps[0].hold += Duration::from_secs(60);
    world.run(MINUTE);
    assert_eq!((world.weight(), world.rollout().stage), (bp(1_000), Stage::Step(0)));
}
