//! Disks that fail and processes that die: whatever happens, a candidate never has more weight
//! than was committed, and what was going on goes on.

mod common;

use common::Dice;
use common::disk::{Disk, Mood};
use common::world::*;
use serin_control::journal::{Folder, Lock, LockError};
use serin_control::{Command, Refusal};
use serin_core::weights::BasisPoints;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const STEPS: &str = "steps: [ { weight: 10%, hold: 10m }, { weight: 100%, hold: 10m } ]";

fn world() -> World {
    let sim = Sim::new(traffic(100.0), vec![healthy("v1"), healthy("v2")]);
    World::new(config(STEPS), sim)
}

fn weight(points: u16) -> Command {
    let weight = BasisPoints::new(points).expect("a weight");
    Command::Weights { weights: between(weight), reason: String::new() }
}

/// Commands that raise and lower, pause and begin, until the disk dies. After each tick and command:
/// how many operations the disk had seen, and the weight in force.
fn story(world: &mut World) -> Vec<(u64, u16)> {
    let acts = [
        begin(),
        weight(500),
        weight(2_000),
        Command::Pause { reason: "look".into() },
        Command::Resume { reason: String::new() },
        weight(1_000),
        weight(4_000),
        Command::Abort { reason: "enough".into() },
        Command::Retry { reason: "again".into() },
        weight(3_000),
        weight(500),
        weight(7_000),
        Command::Abort { reason: "enough".into() },
    ];
    let mut rollout = vec![(0, 0)];
    let note = |world: &World| (world.disk.operations(), world.weight());
    for act in acts {
        // The answer does not matter: a command whose record was lost is refused.
        let _ = world.command(act);
        rollout.push(note(world));
        for _ in 0..4 {
            if world.disk.is_dead() {
                return rollout;
            }
            world.tick();
            rollout.push(note(world));
        }
    }
    rollout
}

#[test]
fn a_crash_at_any_write_resumes_what_was_committed_or_was_just_being_committed() {
    let mut whole = world();
    let begun = whole.disk.operations();
    let rollout = story(&mut whole);
    assert!(rollout.iter().any(|(_, weight)| *weight == 7_000), "{rollout:?}");
    let total = whole.disk.operations();
    let (mut cases, mut between) = (0, 0);
    for at in begun + 1..=total {
        let committed = rollout.iter().rfind(|(ops, _)| *ops < at).unwrap().1;
        let committing = rollout.iter().find(|(ops, _)| *ops >= at).unwrap().1;
        for seed in 0..6 {
            let mut world = world();
            world.disk.dies_at(at);
            story(&mut world);
            assert!(world.disk.is_dead());
            let mut dice = Dice(at * 100 + seed);
            let disk = if seed == 0 {
                world.disk.after_kill()
            } else {
                world.disk.after_power_cut(|| dice.coin())
            };
            world.restart_with(disk, SECOND);
            let resumed = world.weight();
            assert!(
                resumed == committed || resumed == committing,
                "at {at}/{seed}: {committed} or {committing} committed, {resumed} resumed"
            );
            // A rollout that was asked for and durable may begin its first step; none goes further.
            world.run(SECOND * 2);
            assert!(world.weight() <= resumed.max(1_000), "at {at}/{seed}: raised by restarting");
            cases += 1;
            between += u32::from(committed != committing);
        }
    }
    println!(
        "{cases} crashes at {} operations of the disk, {between} of them between two weights: 0 unsafe states",
        total - begun
    );
    assert!(cases >= 200, "{cases}");
}

#[test]
fn a_kill_resumes_the_same_step_with_the_hold_that_was_left() {
    let mut world = world();
    world.start().unwrap();
    world.command(weight(1_000)).unwrap();
    world.run(SECOND * 25);
    let before = world.view();
    let rollout = before.rollout.clone().unwrap();
    let disk = world.disk.after_kill();
    world.restart_with(disk, SECOND * 3600);
    let after = world.view();
    let resumed = after.rollout.clone().unwrap();
    assert_eq!(
        (resumed.id, resumed.step, resumed.state),
        (rollout.id, rollout.step, rollout.state)
    );
    assert_eq!(after.weights, before.weights);
    assert_eq!(after.revision, before.revision);
    let lost = rollout.held_seconds.saturating_sub(resumed.held_seconds);
    assert!(resumed.held_seconds <= rollout.held_seconds && lost <= 10, "{lost} s of hold lost");
}

#[test]
fn what_raises_is_refused_on_a_full_disk_and_what_lowers_is_done() {
    for mood in [Mood::ReadOnly, Mood::Full] {
        let mut world = world();
        world.start().unwrap();
        world.command(weight(2_000)).unwrap();
        world.disk.mood(mood);
        // A full disk still takes what fits into the first half of the reserve.
        let raised = |w: &World| w.sim.splits().last().unwrap().weights.of(&version("v2")).get();
        let mut refused = None;
        for step in 0..3_000 {
            match world.command(weight(2_001 + step)) {
                Ok(_) => {}
                Err(refusal) => {
                    refused = Some(refusal);
                    break;
                }
            }
        }
        assert!(matches!(refused, Some(Refusal::NotDurable(_))), "{mood:?}: {refused:?}");
        let stuck = raised(&world);
        world.run(SECOND);
        assert_eq!(raised(&world), stuck, "{mood:?}");
        let health = world.handle().snapshot().health.journal.clone();
        assert!(health.is_some(), "{mood:?}: the snapshot says nothing");
        let outcome = world.command(Command::Abort { reason: "now".into() }).unwrap();
        // A full disk has room for it: what raises has left that.
        assert_eq!(outcome.durable, mood == Mood::Full, "{mood:?}: {}", outcome.message);
        assert_eq!(world.weight(), 0, "{mood:?}");
        // Once the disk is well, what was done is written, and a restart knows it.
        world.disk.mood(Mood::Well);
        world.run(SECOND * 2);
        world.run(SECOND);
        assert_eq!(world.handle().snapshot().health.journal, None, "{mood:?}");
        let disk = world.disk.after_kill();
        world.restart_with(disk, SECOND);
        assert_eq!((world.weight(), world.state()), (0, "rolledBack"), "{mood:?}");
    }
}

#[test]
fn a_wall_clock_that_jumps_moves_no_weight_and_ends_no_hold() {
    for jump in [3_600_000, -3_600_000, 86_400_000, -86_400_000_i64] {
        let mut world = world();
        world.start().unwrap();
        world.command(weight(1_000)).unwrap();
        world.run(SECOND * 5);
        let before = world.view().rollout.unwrap();
        world.skew = jump;
        world.run(SECOND * 5);
        let after = world.view().rollout.unwrap();
        assert_eq!((after.state, after.step, after.weight), (before.state, before.step, 1_000));
        assert!(after.held_seconds <= before.held_seconds + 6, "jump {jump}");
        let disk = world.disk.after_kill();
        world.skew = 0;
        world.restart_with(disk, SECOND);
        world.run(SECOND * 5);
        assert_eq!(world.weight(), 1_000, "jump {jump}, then back over a restart");
    }
}

#[test]
fn a_damaged_journal_is_refused_and_left_alone() {
    let mut world = world();
    world.start().unwrap();
    world.command(weight(1_000)).unwrap();
    let mut bytes = world.disk.bytes("journal");
    bytes[40] ^= 1;
    let disk = Disk::default();
    disk.put("journal", bytes.clone());
    let refused = start(&world.config, &world.sim, &disk, world.now()).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("damaged") && text.contains("line 1") && text.contains("backup"),
        "{text}"
    );
    assert_eq!(disk.bytes("journal"), bytes);
}

#[test]
fn a_copy_of_the_journal_is_a_backup_at_any_moment() {
    let mut world = world();
    world.start().unwrap();
    world.command(weight(1_000)).unwrap();
    let copy = world.disk.bytes("journal");
    world.command(Command::Abort { reason: "x".into() }).unwrap();
    let disk = Disk::default();
    disk.put("journal", copy);
    world.restart_with(disk, SECOND);
    assert_eq!(world.weight(), 1_000);
}

#[test]
fn windows_that_are_damaged_begin_anew_and_stop_nothing() {
    let mut world = world();
    world.start().unwrap();
    world.run(SECOND * 12);
    let disk = world.disk.after_kill();
    disk.put("windows", b"{\"format\":1,\"at\":0".to_vec());
    world.restart_with(disk, SECOND);
    world.run(SECOND);
    assert_eq!(world.view().revision, world.handle().snapshot().services[0].revision);
}

#[test]
fn one_process_writes_a_state_folder_and_the_next_is_told_which() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("state");
    let _made = Folder::create(&folder).unwrap();
    let held = Lock::take(&folder, Duration::ZERO).unwrap();
    let refused = Lock::take(&folder, Duration::from_millis(50)).unwrap_err();
    let LockError::Held { pid, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*pid, std::process::id().to_string());
    drop(held);
    Lock::take(&folder, Duration::ZERO).unwrap();
}
