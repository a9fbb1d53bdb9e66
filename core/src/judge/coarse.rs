//! Which latencies a version had lately, in little memory.
//!
//! A test's limit may be any latency, as long as it was chosen from earlier data; so sixteen
//! buckets an octave are fine enough, and a thousand services fit where the data plane's own
//! histograms would not. Two halves are kept, the last full minute and the one under way.

use crate::measure::{BUCKETS, Histogram, upper_edge};
use std::time::Duration;

const FINE: usize = 4;
const COARSE: usize = BUCKETS / FINE;

#[derive(Debug, Clone)]
pub(super) struct Coarse {
    /// What the data plane's histogram held when it was read last, modulo 2^32.
    read: Option<Box<[u32; COARSE]>>,
    filling: Box<[u32; COARSE]>,
    full: Box<[u32; COARSE]>,
}

impl Coarse {
    pub(super) fn new() -> Self {
        let empty = || Box::new([0; COARSE]);
        Self { read: None, filling: empty(), full: empty() }
    }

    /// The first reading is where it begins.
    pub(super) fn observe(&mut self, histogram: &Histogram) {
        let mut held = Box::new([0u32; COARSE]);
        for (bucket, fine) in held.iter_mut().zip(histogram.buckets().chunks_exact(FINE)) {
            *bucket = fine.iter().sum::<u64>() as u32;
        }
        if let Some(read) = &self.read {
            for (i, sum) in self.filling.iter_mut().enumerate() {
                let gained = held[i].wrapping_sub(read[i]);
                // A counter that went back has begun anew.
                *sum = sum.saturating_add(if gained > u32::MAX / 2 { held[i] } else { gained });
            }
        }
        self.read = Some(held);
    }

    /// A minute is over.
    pub(super) fn turn(&mut self) {
        std::mem::swap(&mut self.filling, &mut self.full);
        self.filling.fill(0);
    }

    fn sums(&self) -> impl Iterator<Item = u64> {
        self.filling.iter().zip(&self.full[..]).map(|(a, b)| u64::from(*a) + u64::from(*b))
    }

    /// How many there were in some buckets of a data plane's histogram, as near as is known.
    pub(super) fn within(&self, buckets: std::ops::Range<usize>) -> u64 {
        let coarse = buckets.start / FINE..buckets.end.div_ceil(FINE);
        let count = self.filling[coarse.clone()].iter().chain(&self.full[coarse]);
        count.map(|count| u64::from(*count)).sum()
    }

    pub(super) fn total(&self) -> u64 {
        self.sums().sum()
    }

    pub(super) fn quantile(&self, q: f64) -> Option<Duration> {
        let total = self.total();
        let rank = ((total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.sums().position(|count| {
            seen += count;
            seen >= rank
        })?;
        let low = if bucket == 0 { 0 } else { upper_edge(bucket * FINE - 1) };
        Some(Duration::from_micros((low + upper_edge(bucket * FINE + FINE - 1)) / 2))
    }

    pub(super) fn bytes() -> usize {
        3 * COARSE * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_last_two_minutes_and_within_a_thirtieth() {
        let (mut coarse, mut plane) = (Coarse::new(), Histogram::default());
        (0..1_000).for_each(|_| plane.record(Duration::from_secs(9)));
        coarse.observe(&plane);
        assert_eq!(coarse.quantile(0.5), None, "what came before is not its business");
        for us in 1..=100_000 {
            plane.record(Duration::from_micros(us));
        }
        coarse.observe(&plane);
        for (q, us) in [(0.5, 50_000.0), (0.95, 95_000.0), (0.99, 99_000.0)] {
            let found = coarse.quantile(q).unwrap().as_micros() as f64;
            assert!((found / us - 1.0).abs() < 1.0 / 30.0, "{found} for {us}");
        }
        coarse.turn();
        assert!(coarse.total() == 100_000);
        coarse.turn();
        assert_eq!(coarse.total(), 0);
    }
}
