//! Buckets of users.

use crate::common::{Random, rollout, service, version, weights};
use serin_core::assign::{Client, bucket, choose, key_of, salt_of};
use serin_core::ids::{Epoch, RolloutId};
use serin_core::split::Split;
use serin_core::weights::WHOLE;
use std::collections::BTreeSet;

const USERS: u64 = 100_000;

fn keys() -> impl Iterator<Item = u64> {
    let mut random = Random(11);
    (0..USERS).map(move |_| random.next())
}

#[test]
fn raising_a_weight_keeps_candidate_users_on_the_candidate() {
    let mut before: BTreeSet<u64> = BTreeSet::new();
    for weight in [100, 1_000, 5_000, WHOLE] {
        let split = rollout(weight);
        let on_candidate = |key: &u64| choose(&split, Client::Keyed { key: *key }).part == 1;
        let now: BTreeSet<u64> = keys().filter(on_candidate).collect();
        assert_eq!(before.difference(&now).count(), 0, "moved back at {weight} basis points");
        let share = now.len() as f64 / USERS as f64;
        let due = f64::from(weight) / f64::from(WHOLE);
        assert!((share - due).abs() < 0.005, "{share} of the users at {due}");
        before = now;
    }
}

#[test]
fn lowering_a_weight_moves_only_those_it_must() {
    let at = |weight, key| choose(&rollout(weight), Client::Keyed { key }).part;
    for key in keys().take(10_000) {
        assert!(at(1_000, key) <= at(5_000, key));
    }
}

/// Weights without a rollout, such as an operator sets by hand, are sticky too.
#[test]
fn users_keep_to_weights_that_no_rollout_set() {
    let split_of = |parts: &[u16]| Split {
        weights: weights(parts),
        ..Split::at_rest(service(), version("v0"))
    };
    let at = |split: &Split, key| choose(split, Client::Keyed { key }).part;
    let (before, after) = (split_of(&[7_000, 2_000, 1_000]), split_of(&[5_000, 2_000, 3_000]));
    let mut got = [0u32; 3];
    for key in keys() {
        let part = at(&before, key);
        got[usize::from(part)] += 1;
        assert!(at(&after, key) >= part, "moved back");
    }
    for (got, due) in got.iter().zip([70_000.0, 20_000.0, 10_000.0]) {
        assert!((f64::from(*got) / due - 1.0).abs() < 0.05, "{got} of {due}");
    }
}

/// Chi-square over 100 groups of buckets: 99 degrees of freedom, mean 99, deviation 14.
#[test]
fn users_fall_evenly_into_the_buckets() {
    let sequential = (0..USERS).map(|n| key_of(format!("user-{n}").as_bytes()));
    for keys in [keys().collect::<Vec<_>>(), (0..USERS).collect(), sequential.collect()] {
        let mut groups = [0u32; 100];
        keys.iter().for_each(|key| groups[usize::from(bucket(0x5e81, *key) / 100)] += 1);
        let due = USERS as f64 / 100.0;
        let chi: f64 = groups.iter().map(|n| (f64::from(*n) - due).powi(2) / due).sum();
        assert!((40.0..180.0).contains(&chi), "chi-square {chi}");
    }
}

/// Of the tenth that one rollout takes first, another one takes a tenth: 1% of all, and a
/// table of two by ten groups shows no dependence (9 degrees of freedom).
#[test]
fn each_rollout_picks_other_users_first() {
    let salt = |epoch| salt_of(&RolloutId::new(&service(), Epoch(epoch)));
    for epoch in 1..50 {
        let (one, other) = (salt(epoch), salt(epoch + 1));
        let first = |key: &u64| bucket(one, *key) < WHOLE / 10;
        let mut groups = [0u32; 10];
        let chosen = keys().filter(first).map(|key| bucket(other, key) / 1_000);
        chosen.for_each(|group| groups[usize::from(group)] += 1);
        let due = f64::from(groups.iter().sum::<u32>()) / 10.0;
        let chi: f64 = groups.iter().map(|n| (f64::from(*n) - due).powi(2) / due).sum();
        assert!(chi < 35.0, "rollouts {epoch} and {}: chi-square {chi}", epoch + 1);
    }
}

/// A fleet's proxies of different builds must agree; these values may never change.
#[test]
fn the_functions_are_a_contract_between_proxies() {
    assert_eq!(key_of(b""), 0xc381_7c01_6ba4_ff30);
    assert_eq!(key_of(b"user-1"), 0xf16d_8d44_0fbb_25d5);
    assert_eq!(salt_of(&RolloutId::new(&service(), Epoch(17))), 0xcc40_daf9_402d_b43f);
    let buckets = [bucket(0, 0), bucket(1, 0), bucket(0, 1), bucket(7, u64::MAX)];
    assert_eq!(buckets, [6524, 1663, 3681, 1013]);
}
