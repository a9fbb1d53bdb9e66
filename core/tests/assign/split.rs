//! The exact split of requests without sessions.

use crate::common::{Random, two, weights};
use proptest::prelude::*;
use serin_core::assign::{Slots, Splitter};
use serin_core::weights::WHOLE;

const WINDOW: usize = 100;

/// The parts that so many requests in a row get.
fn run(splitter: &mut Splitter, slots: &Slots, random: &mut Random, count: usize) -> Vec<u16> {
    (0..count).map(|_| splitter.next(slots, random.word())).collect()
}

/// By how much any 100 in a row miss the weight of `part`, at most.
fn worst(picked: &[u16], part: u16, weight: u16) -> f64 {
    let share = f64::from(weight) * WINDOW as f64 / f64::from(WHOLE);
    let mut inside = picked[..WINDOW].iter().filter(|p| **p == part).count();
    let mut worst = (inside as f64 - share).abs();
    for (leaves, enters) in picked.iter().zip(&picked[WINDOW..]) {
        inside += usize::from(*enters == part);
        inside -= usize::from(*leaves == part);
        worst = worst.max((inside as f64 - share).abs());
    }
    worst
}

#[test]
fn any_hundred_of_a_million_requests_hold_the_weight_give_or_take_one() {
    for weight in [1, 50, 100, 125, 500, 1000, 1250, 3333, 3700, 3750, 5000, 6300, 9000, 9900] {
        let slots = Slots::new(&two(weight));
        let mut random = Random(u64::from(weight));
        let mut splitter = Splitter::new(random.next());
        let picked = run(&mut splitter, &slots, &mut random, 1_000_000);
        let worst = worst(&picked, 1, weight);
        assert!(worst <= 1.0, "{weight} basis points: {worst} off");
        let got = picked.iter().filter(|p| **p == 1).count() as i64;
        let owed = i64::from(weight) * 100;
        assert!((got - owed).abs() <= 1, "{weight} basis points: {got} of a million");
    }
}

#[test]
fn every_weight_there_is_keeps_the_promise() {
    for weight in 1..WHOLE {
        let slots = Slots::new(&two(weight));
        let mut random = Random(u64::from(weight) << 20);
        let mut splitter = Splitter::new(random.next());
        let picked = run(&mut splitter, &slots, &mut random, 1_000);
        let worst = worst(&picked, 1, weight);
        assert!(worst <= 1.0, "{weight} basis points: {worst} off");
    }
}

/// Were the place within the whole fixed, a client that asks for ten things in turn would be
/// split by what it asks for.
#[test]
fn a_periodic_client_is_split_by_chance_and_not_by_position() {
    for (weight, period) in
        [(100, 100), (500, 20), (1000, 10), (2000, 5), (3000, 10), (4000, 5), (5000, 2), (7500, 4)]
    {
        let slots = Slots::new(&two(weight));
        let mut random = Random(period as u64);
        let mut splitter = Splitter::new(random.next());
        let rounds = 20_000;
        let picked = run(&mut splitter, &slots, &mut random, rounds * period);
        for position in 0..period {
            let got = picked.iter().skip(position).step_by(period).filter(|p| **p == 1).count();
            let share = got as f64 / rounds as f64;
            let due = f64::from(weight) / f64::from(WHOLE);
            assert!(
                (share / due - 1.0).abs() < 0.35,
                "{weight} basis points: position {position} of {period} gets {share}"
            );
        }
    }
}

#[test]
fn threads_do_not_send_their_rare_requests_together() {
    let slots = Slots::new(&two(100));
    let mut random = Random(7);
    let first = |_| {
        let mut splitter = Splitter::new(random.next());
        run(&mut splitter, &slots, &mut random, 200).iter().position(|p| *p == 1).unwrap()
    };
    let firsts: std::collections::BTreeSet<usize> = (0..50).map(first).collect();
    assert!(firsts.len() > 25, "{firsts:?}");
}

#[test]
fn nothing_and_everything_are_exact() {
    let mut random = Random(3);
    for (weight, part) in [(0, 0), (WHOLE, 1)] {
        let slots = Slots::new(&two(weight));
        let picked = run(&mut Splitter::new(random.next()), &slots, &mut random, 1_000);
        assert!(picked.iter().all(|p| *p == part));
    }
}

proptest! {
    /// A thread keeps it as one word between requests.
    #[test]
    fn a_splitter_lives_in_one_word(seed: u64, weight in 1..WHOLE) {
        let slots = Slots::new(&two(weight));
        let mut random = Random(seed);
        let mut whole = Splitter::new(random.next());
        let mut bits = whole.to_bits();
        for _ in 0..500 {
            let word = random.word();
            let mut stored = Splitter::from_bits(bits);
            prop_assert_eq!(stored.next(&slots, word), whole.next(&slots, word));
            bits = stored.to_bits();
        }
    }

    /// From every phase, and whatever weights were in force before.
    #[test]
    fn a_change_of_weights_holds_from_its_first_request(
        seed: u64,
        changes in prop::collection::vec((0..=WHOLE, 1usize..300), 1..8),
        weight in 1..WHOLE,
    ) {
        let mut random = Random(seed);
        let mut splitter = Splitter::new(random.next());
        for (weight, requests) in changes {
            run(&mut splitter, &Slots::new(&two(weight)), &mut random, requests);
        }
        let picked = run(&mut splitter, &Slots::new(&two(weight)), &mut random, 2_000);
        prop_assert!(worst(&picked, 1, weight) <= 1.0);
    }

    /// A hundred requests that see two weights, in whole percents as rollouts have them, miss what
    /// both together owe by less than two.
    #[test]
    fn a_hundred_requests_across_a_change_miss_by_less_than_two(
        seed: u64,
        before in 1..100u16,
        after in 1..100u16,
    ) {
        let (before, after) = (before * 100, after * 100);
        let mut random = Random(seed);
        let mut splitter = Splitter::new(random.next());
        let mut picked = run(&mut splitter, &Slots::new(&two(before)), &mut random, 500);
        picked.extend(run(&mut splitter, &Slots::new(&two(after)), &mut random, 500));
        for start in 500 - WINDOW..=500 {
            let old = (500 - start) as f64;
            let owed = old * f64::from(before) + (WINDOW as f64 - old) * f64::from(after);
            let got = picked[start..start + WINDOW].iter().filter(|p| **p == 1).count() as f64;
            prop_assert!((got - owed / f64::from(WHOLE)).abs() < 2.0, "at {start}: {got}");
        }
    }

    #[test]
    fn many_versions_are_exact_over_a_period_and_close_at_any_time(
        seed: u64,
        cuts in prop::collection::btree_set(1..100u16, 2..8),
    ) {
        let edges: Vec<u16> = [0].into_iter().chain(cuts).chain([100]).collect();
        let parts: Vec<u16> = edges.windows(2).map(|e| (e[1] - e[0]) * 100).collect();
        let slots = Slots::new(&weights(&parts));
        let mut random = Random(seed);
        let mut splitter = Splitter::new(random.next());
        let period = usize::from(WHOLE);
        let picked = run(&mut splitter, &slots, &mut random, 2 * period);
        for (part, weight) in (0u16..).zip(&parts) {
            let got = picked[..period].iter().filter(|p| **p == part).count();
            prop_assert_eq!(got, usize::from(*weight), "part {} of {:?}", part, &parts);
            prop_assert!(worst(&picked, part, *weight) <= 1.0, "part {} of {:?}", part, &parts);
        }
    }
}
