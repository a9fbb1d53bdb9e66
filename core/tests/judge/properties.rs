//! What the judge never does, over every course of counts.

use crate::world::{CANDIDATE, STABLE, World, plan};
use proptest::prelude::*;
use serin_core::rollout::{Evidence, Harmed, Toll};
use serin_core::slo::Objectives;
use std::time::Duration;

/// What both versions did between two ticks, and how long that was.
#[derive(Debug, Clone)]
struct Tick {
    millis: u64,
    candidate: (u64, u64),
    stable: (u64, u64),
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let part = || (0u64..200, 0u64..20);
    let tick = (1u64..5_000, part(), part());
    let tick = tick.prop_map(|(millis, candidate, stable)| Tick { millis, candidate, stable });
    prop::collection::vec(tick, 1..80)
}

fn world() -> World {
    World::new(&plan(0.001), &Objectives::default(), 0.1)
}

fn play(world: &mut World, tick: &Tick) {
    for (which, (good, bad)) in [(CANDIDATE, tick.candidate), (STABLE, tick.stable)] {
        world.add(which, good + bad, bad, bad);
    }
    world.look_at_objectives();
    world.pass(tick.millis);
}

fn is_sound(evidence: &Evidence) -> Result<(), TestCaseError> {
    if let Some(test) = evidence.errors {
        prop_assert!(test.value.is_finite() && test.value >= 0.0, "{test:?}");
        prop_assert!(test.floor.is_finite() && test.needed >= 1_000.0, "{test:?}");
    }
    let bet = evidence.promotion.map_or(0.0, |bet| bet.value);
    prop_assert!(bet.is_finite() && bet >= 0.0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_candidate_that_never_fails_is_never_worse(ticks in ticks()) {
        let mut world = world();
        for tick in &ticks {
            play(&mut world, &Tick { candidate: (tick.candidate.0, 0), ..tick.clone() });
            prop_assert!(!world.worse());
        }
    }

    #[test]
    fn every_number_is_one_that_can_be_told(ticks in ticks(), times in 1u64..1_000_000) {
        let mut world = world();
        for tick in &ticks {
            let more = |(good, bad): (u64, u64)| (good * times, bad * times);
            let (candidate, stable) = (more(tick.candidate), more(tick.stable));
            play(&mut world, &Tick { candidate, stable, ..tick.clone() });
            is_sound(&world.evidence())?;
        }
    }

    /// Looking changes nothing, however often.
    #[test]
    fn the_same_evidence_is_told_twice(ticks in ticks()) {
        let mut world = world();
        for tick in &ticks {
            play(&mut world, tick);
            prop_assert_eq!(world.evidence(), world.evidence());
        }
    }

    /// A process that is killed and comes back at once has forgotten nothing that it weighs.
    #[test]
    fn a_restart_weighs_what_was_weighed_before(ticks in ticks(), at in 0usize..80) {
        let mut world = world();
        for tick in &ticks[..at.min(ticks.len())] {
            play(&mut world, tick);
        }
        let before = world.evidence();
        world.restart(Duration::ZERO);
        let after = world.evidence();
        prop_assert_eq!(before.errors.map(|t| t.value), after.errors.map(|t| t.value));
        prop_assert_eq!(before.promotion.map(|b| b.value), after.promotion.map(|b| b.value));
        let harm = after.harm;
        prop_assert_eq!(before.harm, Harmed { earlier: before.harm.earlier, ..harm });
        let all = Toll { requests: harm.failed_requests, users: harm.users };
        prop_assert_eq!(harm.earlier, all, "of the processes before");
        prop_assert_eq!(before.step, after.step);
    }

    /// One more failure of the candidate in the last tick is never an argument for it.
    #[test]
    fn a_failure_is_never_an_argument_for_the_candidate(ticks in ticks()) {
        let (mut one, mut more) = (world(), world());
        let (last, before) = ticks.split_last().expect("a tick");
        before.iter().for_each(|tick| {
            play(&mut one, tick);
            play(&mut more, tick);
        });
        let (good, bad) = last.candidate;
        let last = Tick { candidate: (good + 1, bad), ..last.clone() };
        play(&mut one, &last);
        play(&mut more, &Tick { candidate: (good, bad + 1), ..last.clone() });
        let bet = |world: &World| world.evidence().promotion.map_or(0.0, |bet| bet.value);
        prop_assert!(bet(&more) <= bet(&one) * (1.0 + 1e-9));
    }
}
