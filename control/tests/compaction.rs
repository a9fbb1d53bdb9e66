//! A journal that grows too large is rewritten, and nothing that was acknowledged is lost by it,
//! whenever the power goes.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod common;

use common::Dice;
use common::world::*;
use serin_control::{Command, FreezeView, Timestamp};
use serin_core::weights::BasisPoints;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const STEPS: &str = "steps: [ { weight: 10%, hold: 10m }, { weight: 100%, hold: 10m } ]";

/// Small enough for several compactions in one story. Different ones meet different commits.
const SIZES: [u64; 2] = [2_000, 12_000];

fn world(size: u64) -> World {
    let sim = Sim::new(traffic(100.0), vec![healthy("v1"), healthy("v2")]);
    let mut world = World::new(config(STEPS), sim);
    world.control.compact_from(size);
    world
}

#[derive(Debug, Clone)]
enum Act {
    Order(Command),
    Freeze(bool),
}

fn weight(points: u16) -> Act {
    let weights = between(BasisPoints::new(points).unwrap());
    Act::Order(Command::Weights { weights, reason: String::new() })
}

fn abort() -> Act {
    Act::Order(Command::Abort { reason: "enough".into() })
}

/// What a restart must find again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    operations: u64,
    weight: u16,
    frozen: bool,
    revision: u64,
    events: usize,
}

fn look(world: &World) -> Seen {
    let snapshot = world.handle().snapshot();
    Seen {
        operations: world.disk.operations(),
        weight: world.weight(),
        frozen: snapshot.freeze.is_some(),
        revision: world.view().revision,
        events: world.handle().rollouts(None, 100).iter().map(|r| r.timeline.len()).sum(),
    }
}

/// What was so after each acknowledged act, until the disk dies.
fn story(world: &mut World) -> Vec<Seen> {
    let acts = [
        Act::Order(begin()),
        weight(500),
        Act::Freeze(true),
        weight(2_000),
        Act::Freeze(false),
        weight(4_000),
        abort(),
        Act::Order(Command::Retry { reason: "again".into() }),
        weight(3_000),
        weight(7_000),
        Act::Freeze(true),
        Act::Freeze(false),
        abort(),
    ];
    let mut seen = vec![look(world)];
    for act in acts {
        // The answer does not matter: what could not be recorded is refused.
        match act {
            Act::Order(command) => drop(world.command(command)),
            Act::Freeze(on) => {
                let freeze = on.then(|| FreezeView {
                    since: Timestamp(world.now().wall),
                    reason: "a test".into(),
                    by: "test".into(),
                });
                let now = world.now();
                let _ = world.control.freeze(freeze, "test".into(), now);
            }
        }
        seen.push(look(world));
        for _ in 0..2 {
            if world.disk.is_dead() {
                return seen;
            }
            world.tick();
            seen.push(look(world));
        }
    }
    seen
}

#[test]
fn a_crash_at_any_operation_of_a_compaction_loses_nothing_that_was_acknowledged() {
    let (mut cases, mut compactions) = (0, 0);
    for size in SIZES {
        let mut whole = world(size);
        let begun = whole.disk.operations();
        let rollout = story(&mut whole);
        let total = whole.disk.operations();
        compactions += whole.disk.replaced("journal");
        for at in begun + 1..=total + 1 {
            let committed = rollout.iter().rfind(|seen| seen.operations < at).unwrap();
            let committing = rollout.iter().find(|seen| seen.operations >= at);
            let committing = committing.unwrap_or(committed);
            for seed in 0..2 {
                let mut world = world(size);
                world.disk.dies_at(at);
                story(&mut world);
                let mut dice = Dice(at * 100 + seed);
                let disk = if seed == 0 {
                    world.disk.after_kill()
                } else {
                    world.disk.after_power_cut(|| dice.coin())
                };
                world.restart_with(disk, SECOND);
                let found = look(&world);
                for (name, is, either, or) in [
                    ("weight", found.weight, committed.weight, committing.weight),
                    (
                        "freeze",
                        found.frozen.into(),
                        committed.frozen.into(),
                        committing.frozen.into(),
                    ),
                ] {
                    assert!(
                        is == either || is == or,
                        "{size}/{at}/{seed}: {name} {either} or {or} was acknowledged, {is} is found"
                    );
                }
                assert!(found.revision >= committed.revision, "{size}/{at}/{seed}");
                assert!(found.events >= committed.events, "{size}/{at}/{seed}");
                // And it goes on from there.
                let again = world.disk.after_kill();
                world.restart_with(again, SECOND);
                assert_eq!(look(&world).revision, found.revision, "{size}/{at}/{seed}");
                cases += 1;
            }
        }
    }
    println!(
        "{cases} crashes in {compactions} compactions and around them: nothing acknowledged was lost"
    );
    assert!(compactions >= 6 && cases >= 100, "{compactions}, {cases}");
}
