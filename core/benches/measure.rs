//! What recording one latency costs, and what the tick pays for reading them.

#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use serin_core::measure::{Cells, Histogram};
use std::hint::black_box;
use std::time::Duration;

fn recording(c: &mut Criterion) {
    let cells = Cells::default();
    let mut micros = 1u64;
    c.bench_function("measure/record", |b| {
        b.iter(|| {
            micros = (micros * 5 + 1) & 0xf_ffff;
            cells.record(Duration::from_micros(black_box(micros)));
        });
    });
    let mut sum = Histogram::default();
    c.bench_function("measure/merge one thread", |b| b.iter(|| cells.add_to(&mut sum)));
    let (histogram, q) = (sum, 0.99);
    c.bench_function("measure/quantile", |b| b.iter(|| histogram.quantile(black_box(q))));
}

criterion_group!(benches, recording);
criterion_main!(benches);
