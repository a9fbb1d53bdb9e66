//! What assigning one request costs. The goal is 15 ns for every kind of client.

#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serin_core::assign::{Client, Session, Slots, Splitter, Token, bucket, choose, key_of};
use serin_core::ids::{Epoch, RolloutId, ServiceName, VersionName};
use serin_core::split::{HarmCeiling, InForce, Scope, Sessions, Split};
use serin_core::weights::{BasisPoints, Weights};
use std::hint::black_box;

fn version(name: &str) -> VersionName {
    VersionName::new(name).expect("a name")
}

fn split_of(weight: u16) -> Split {
    let service = ServiceName::new("checkout").expect("a name");
    let weight = BasisPoints::new(weight).expect("a weight");
    let epoch = Epoch(17);
    let in_force = InForce {
        id: RolloutId::new(&service, epoch),
        epoch,
        salt: 0x5e81,
        candidate: version("v42"),
        weight,
        of: Scope::All,
        sessions: Sessions::Honour,
        tripwire: None,
        harm_ceiling: HarmCeiling::default(),
        rescue: false,
    };
    Split {
        service,
        stable: version("v41"),
        weights: Weights::two(version("v41"), version("v42"), weight),
        rollout: Some(in_force),
    }
}

/// A cheap stand-in for the caller's randomness, whose cost is part of the figure.
fn xorshift(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

fn unkeyed(c: &mut Criterion) {
    for (name, weight) in [("10%", 1_000), ("37%", 3_700), ("12.5%", 1_250), ("50%", 5_000)] {
        let split = split_of(weight);
        let slots = Slots::new(&split.weights);
        let (mut splitter, mut random) = (Splitter::new(7), 1);
        c.bench_function(&format!("assign/unkeyed {name}"), |b| {
            b.iter(|| {
                let random = xorshift(&mut random);
                let client = Client::Unkeyed { splitter: &mut splitter, slots: &slots, random };
                choose(black_box(&split), client)
            });
        });
    }
    let part = |name, weight| (version(name), BasisPoints::new(weight).expect("a weight"));
    let weights = Weights::new(vec![part("a", 5_000), part("b", 3_000), part("c", 2_000)]);
    let slots = Slots::new(&weights.expect("the whole"));
    let (mut splitter, mut random) = (Splitter::new(7), 1);
    c.bench_function("assign/unkeyed, three versions", |b| {
        b.iter(|| splitter.next(black_box(&slots), xorshift(&mut random)));
    });
}

fn keyed(c: &mut Criterion) {
    let split = split_of(1_000);
    let mut key = 0u64;
    c.bench_function("assign/keyed", |b| {
        b.iter(|| {
            key = key.wrapping_add(0x9e37_79b9);
            choose(black_box(&split), Client::Keyed { key })
        });
    });
    let stable = version("v41");
    let token = Token { version: &stable, epoch: Epoch(17), key: 5 };
    c.bench_function("assign/cookie", |b| {
        b.iter(|| choose(black_box(&split), Client::Cookie(Session::Token(black_box(token)))));
    });
    c.bench_function("assign/bucket", |b| b.iter(|| bucket(black_box(1), black_box(2))));
    c.bench_function("assign/key of an IPv6 address", |b| {
        b.iter(|| key_of(black_box(&[7; 16])));
    });
}

fn publishing(c: &mut Criterion) {
    let split = split_of(3_700);
    c.bench_function("assign/slots of a split", |b| {
        b.iter_batched(|| split.weights.clone(), |w| Slots::new(&w), BatchSize::SmallInput);
    });
}

criterion_group!(benches, unkeyed, keyed, publishing);
criterion_main!(benches);
