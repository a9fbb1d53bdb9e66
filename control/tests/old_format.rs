//! Journals that earlier versions of Serin have written, one of every format: they are read, damage
//! in them is found, and what is written from then on stands behind them.
//!
//! The samples were made by binaries of their time and are never made anew.

mod common;

use common::disk::Disk;
use common::world::*;
use serin_control::{Actor, Command, Order, RolloutRecord};
use serin_core::weights::BasisPoints;
use std::time::Duration;

/// A rollout that went to 20%, a freeze that was lifted, and back to 10% as the last line.
const JOURNAL_1: &[u8] = include_bytes!("fixtures/journal-format-1");
/// Three rollouts: aborted, rolled back, and at 10% when it was frozen. Two commands had idempotency keys.
const JOURNAL_2: &[u8] = include_bytes!("fixtures/journal-format-2");
/// What was beside it.
const WINDOWS_1: &[u8] = include_bytes!("fixtures/windows-format-1");
const STEPS: &str = "steps: [ { weight: 10%, hold: 10m }, { weight: 100%, hold: 10m } ]";

fn disk_with(journal: Vec<u8>) -> Disk {
    let disk = Disk::default();
    disk.put("journal", journal);
    disk
}

fn world() -> World {
    let sim = Sim::new(traffic(100.0), vec![healthy("v1"), healthy("v2")]);
    World::new(config(STEPS), sim)
}

#[test]
fn it_is_resumed_and_gone_on_with() {
    let mut world = world();
    world.restart_with(disk_with(JOURNAL_1.to_vec()), Duration::from_secs(60));
    world.run(Duration::from_secs(1));
    assert_eq!((world.weight(), world.state()), (1_000, "paused"));
    assert_eq!(world.handle().snapshot().freeze, None);
    let begun = world.handle().rollouts(None, 10);
    assert_eq!(begun.len(), 1);
    let weights = between(BasisPoints::new(3_000).unwrap());
    world.command(Command::Weights { weights, reason: "on".into() }).unwrap();
    let disk = world.disk.after_power_cut(|| false);
    let text = disk.bytes("journal");
    assert!(text.starts_with(JOURNAL_1), "old lines were touched");
    world.restart_with(disk, Duration::from_secs(60));
    world.run(Duration::from_secs(1));
    assert_eq!(world.weight(), 3_000);
    assert_eq!(world.handle().rollouts(None, 10)[0].id, begun[0].id);
    world.control.compact_from(1);
    world.command(Command::Abort { reason: "enough".into() }).unwrap();
    let disk = world.disk.after_power_cut(|| false);
    world.restart_with(disk, Duration::from_secs(60));
    assert_eq!((world.weight(), world.state()), (0, "rolledBack"));
}

fn rollouts_of(world: &World) -> Vec<RolloutRecord> {
    world.handle().rollouts(None, 10)
}

/// Of format 2, started a minute later.
fn resumed() -> World {
    const PLAN: &str = "steps: [ { weight: 10%, hold: 30s }, { weight: 50%, hold: 30s }, { weight: 100%, hold: 30s } ], evidence: { minRequests: 200 }, gates: [ { before: 100%, approval: true } ], guards: [ { name: errors, errorRate: \"> 5%\", over: 30s, for: 2s } ], harm: { failedRequests: 500, users: 500 }";
    let sim = Sim::new(traffic(200.0), vec![healthy("v1"), healthy("v2")]);
    let mut world = World::new(config(PLAN), sim);
    world.at = Duration::from_secs(234);
    let disk = disk_with(JOURNAL_2.to_vec());
    disk.put("windows", WINDOWS_1.to_vec());
    world.restart_with(disk, Duration::from_secs(60));
    world.run(TICK * 3);
    world
}

#[test]
fn a_rollout_of_format_2_goes_on_where_it_was() {
    let world = resumed();
    assert_eq!((world.weight(), world.state()), (1_000, "running"));
    let rollout = world.view().rollout.unwrap();
    // It had been held for 21 s, and what is kept beside the journal is 10 s old at most.
    assert!((11..=21).contains(&rollout.held_seconds), "held {}", rollout.held_seconds);
    let freeze = world.handle().snapshot().freeze.clone().unwrap();
    assert_eq!((freeze.by.as_str(), freeze.reason.as_str()), ("ops", "the weekend"));
    let states = rollouts_of(&world).into_iter().map(|r| (r.id, r.state.as_str()));
    let wanted = [("shop-3", "running"), ("shop-2", "rolledBack"), ("shop-1", "rolledBack")];
    assert_eq!(states.collect::<Vec<_>>(), wanted.map(|(id, state)| (id.to_owned(), state)));
}

#[test]
fn what_format_2_remembers_is_shown() {
    let world = resumed();
    for rollout in rollouts_of(&world) {
        let report = world.handle().report(&rollout.id).unwrap();
        assert!(report.contains(&format!("| Rollout | `{}` |", rollout.id)), "{report}");
        let decisions = world.handle().evidence(&rollout.id).unwrap();
        assert!(!decisions.is_empty());
        for decision in decisions {
            let again = world.handle().decide_again(&rollout.id, decision.at);
            assert!(again.is_some(), "{} at {}", rollout.id, decision.at);
        }
    }
    let text = String::from_utf8_lossy(JOURNAL_2);
    let events = text.matches("{\"event\":{\"id\":").count();
    let mut heard = world.handle().subscribe(Some(0));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for id in 1..=events as u64 {
        assert_eq!(runtime.block_on(heard.next()).map(|event| event.id), Some(id));
    }
}

#[test]
fn a_command_of_format_2_is_not_carried_out_again() {
    let mut world = resumed();
    let command = Command::Promote { reason: "looks well".into(), from_step: Some(1) };
    let key = "ana /v1/services/shop/rollout/promote once".to_owned();
    let order = Order::new(command, Actor("ana".into()));
    let outcome = world.order(Order { idempotency_key: Some(key), ..order }).unwrap();
    assert!(outcome.repeated && outcome.message == "promoted by ci", "{outcome:?}");
    assert_eq!(world.weight(), 1_000);
}

#[test]
fn a_compaction_forgets_nothing_of_format_2() {
    let mut world = resumed();
    let pause = Command::Pause { reason: "looking".into() };
    world.control.compact_from(1);
    world.command(pause).unwrap();
    let (before, disk) = (rollouts_of(&world), world.disk.after_power_cut(|| false));
    assert!(world.disk.replaced("journal") > 0, "it was not compacted");
    world.restart_with(disk, Duration::from_secs(1));
    assert_eq!(rollouts_of(&world), before);
    assert_eq!((world.weight(), world.state()), (1_000, "paused"));
}

#[test]
fn a_changed_bit_of_its_last_line_is_damage() {
    let last = JOURNAL_1[..JOURNAL_1.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    let world = world();
    let interesting = (last..last + 40).chain(JOURNAL_1.len() - 20..JOURNAL_1.len());
    for at in interesting {
        for bit in 0..8 {
            let mut bytes = JOURNAL_1.to_vec();
            bytes[at] ^= 1 << bit;
            bytes.resize(bytes.len() + 2_000, 0);
            let refused = start(&world.config, &world.sim, &disk_with(bytes), world.now());
            let refused = refused.err().map(|e| e.to_string()).unwrap_or_default();
            assert!(refused.contains("damaged"), "bit {bit} of byte {at}: {refused:?}");
        }
    }
}
