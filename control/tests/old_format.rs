//! A journal that an earlier Serin has written: it is read, damage in it is found, and what is
//! written from then on stands behind it.

mod common;

use common::disk::Disk;
use common::world::*;
use serin_control::Command;
use serin_core::weights::BasisPoints;
use std::time::Duration;

/// A rollout that went to 20%, a freeze that was lifted, and back to 10% as the last line.
const JOURNAL: &[u8] = include_bytes!("fixtures/journal-format-1");
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
    world.restart_with(disk_with(JOURNAL.to_vec()), Duration::from_secs(60));
    world.run(Duration::from_secs(1));
    assert_eq!((world.weight(), world.state()), (1_000, "paused"));
    assert_eq!(world.handle().snapshot().freeze, None);
    let begun = world.handle().rollouts(None, 10);
    assert_eq!(begun.len(), 1);
    let weights = between(BasisPoints::new(3_000).unwrap());
    world.command(Command::Weights { weights, reason: "on".into() }).unwrap();
    let disk = world.disk.after_power_cut(|| false);
    let text = disk.bytes("journal");
    assert!(text.starts_with(JOURNAL), "old lines were touched");
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

#[test]
fn a_changed_bit_of_its_last_line_is_damage() {
    let last = JOURNAL[..JOURNAL.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    let world = world();
    let interesting = (last..last + 40).chain(JOURNAL.len() - 20..JOURNAL.len());
    for at in interesting {
        for bit in 0..8 {
            let mut bytes = JOURNAL.to_vec();
            bytes[at] ^= 1 << bit;
            bytes.resize(bytes.len() + 2_000, 0);
            let refused = start(&world.config, &world.sim, &disk_with(bytes), world.now());
            let refused = refused.err().map(|e| e.to_string()).unwrap_or_default();
            assert!(refused.contains("damaged"), "bit {bit} of byte {at}: {refused:?}");
        }
    }
}
