//! A completed rollout that is taken back: what is in force, what a restart finds, and how it is told
//! and counted.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod common;

use common::disk::Mood;
use common::world::*;
use serin_control::{Command, Refusal, RolloutState};
use serin_core::time::Wall;
use serin_core::weights::BasisPoints;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const QUICK: &str = "steps: [ { weight: 50%, hold: 5s }, { weight: 100%, hold: 5s } ], evidence: { minRequests: 100 }";

/// v2 is stable, and v1 was.
fn completed() -> World {
    let sim = Sim::new(traffic(500.0), vec![healthy("v1"), healthy("v2")]);
    let mut world = World::new(config(QUICK), sim);
    world.start().unwrap();
    for _ in 0..2 {
        world.run(SECOND);
        world.command(Command::Promote { reason: String::new(), from_step: None }).unwrap();
    }
    world.until(SECOND, |w| w.state() == "complete").expect("complete");
    world.run(SECOND);
    world
}

fn undo() -> Command {
    Command::Undo { reason: "baskets are empty".into() }
}

fn share_of(world: &World, name: &str) -> BasisPoints {
    world.sim.splits().last().unwrap().weights.of(&version(name))
}

#[test]
fn it_is_in_force_when_it_is_answered_and_a_restart_finds_it() {
    let mut world = completed();
    assert_eq!(world.view().former.as_deref(), Some("v1"));
    let outcome = world.command(undo()).unwrap();
    assert!(outcome.durable && outcome.message.contains("v1 is stable again"), "{outcome:?}");
    assert_eq!((share_of(&world, "v1"), world.state()), (BasisPoints::WHOLE, "rolledBack"));
    let view = world.view();
    assert_eq!((view.stable.as_str(), view.former), ("v1", None));
    assert!(view.versions.iter().any(|v| v.name == "v2" && v.quarantined.is_some()));
    let why = world.handle().why(&service()).unwrap();
    assert_eq!((why.verdict.as_str(), why.rule.as_str()), ("rollback", "undone"));
    let disk = world.disk.after_kill();
    world.restart_with(disk, SECOND);
    assert_eq!((world.view().stable.as_str(), share_of(&world, "v1")), ("v1", BasisPoints::WHOLE));
    world.run(SECOND * 30);
    assert_eq!(world.view().stable, "v1");
}

#[test]
fn it_is_a_deployment_that_failed() {
    let mut world = completed();
    let completed_at = world.handle().rollout("shop-1").unwrap().ended_at;
    world.run(SECOND * 60);
    world.command(undo()).unwrap();
    let record = world.handle().rollout("shop-1").unwrap();
    assert_eq!((record.state, record.blamed), (RolloutState::RolledBack, true));
    assert_eq!((record.completed_at, record.severity.as_deref()), (completed_at, Some("P2")));
    let last = record.timeline.last().unwrap();
    assert_eq!((last.weight, last.reason.as_deref()), (0, Some("baskets are empty")));
    let report = world.handle().report("shop-1").unwrap();
    assert!(report.starts_with("# shop: v1 → v2 was completed, and taken back"), "{report}");
    let dora = world.handle().dora(None, Wall(world.now().wall.0), SECOND * 86_400);
    assert_eq!((dora.deployments, dora.change_failure_ratio), (1, Some(1.0)));
}

#[test]
fn a_disk_that_takes_nothing_does_not_keep_it_back() {
    let mut world = completed();
    world.disk.mood(Mood::ReadOnly);
    let outcome = world.command(undo()).unwrap();
    assert!(!outcome.durable, "{outcome:?}");
    assert_eq!(share_of(&world, "v1"), BasisPoints::WHOLE);
    world.disk.mood(Mood::Well);
    world.run(SECOND * 3);
    let disk = world.disk.after_kill();
    world.restart_with(disk, SECOND);
    assert_eq!(world.view().stable, "v1");
}

#[test]
fn the_file_cannot_take_what_is_stable_again_and_its_own_stable_is_not_believed() {
    let mut world = completed();
    world.command(undo()).unwrap();
    let now = world.now();
    world.control.reconfigure(config_with("v2", "v2", "v1", QUICK), now).unwrap();
    world.run(SECOND);
    assert_eq!((world.view().stable.as_str(), share_of(&world, "v1")), ("v1", BasisPoints::WHOLE));
}

#[test]
fn a_rollout_that_came_after_it_is_not_the_one_that_is_taken_back() {
    let mut world = completed();
    let now = world.now();
    // Back again, by a rollout that is aborted.
    world.control.reconfigure(config_with("v2", "v2", "v1", QUICK), now).unwrap();
    world.start().unwrap();
    world.run(SECOND * 2);
    let refused = world.command(undo()).unwrap_err();
    assert!(matches!(refused, Refusal::NotNow(_)), "{refused}");
    world.command(Command::Abort { reason: "no".into() }).unwrap();
    world.command(undo()).unwrap();
    let (first, second) =
        (world.handle().rollout("shop-1").unwrap(), world.handle().rollout("shop-2").unwrap());
    assert!(first.blamed && first.completed_at.is_some(), "{first:?}");
    assert!(!second.blamed && second.completed_at.is_none(), "{second:?}");
    assert_eq!(share_of(&world, "v1"), BasisPoints::WHOLE);
}
