//! What the histogram promises: edges that leave no gap, and an error that is bounded.

use proptest::prelude::*;
use serin_core::measure::{BUCKETS, Cells, Histogram, bucket_of, upper_edge};
use std::time::Duration;

/// Half of a sub-bucket, of which an octave has 64.
const ERROR: f64 = 1.0 / 128.0;
const TOP: u64 = 1 << 27;

fn of(micros: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    micros.iter().for_each(|m| histogram.record(Duration::from_micros(*m)));
    histogram
}

#[test]
fn buckets_join_without_gap_or_overlap() {
    assert_eq!(BUCKETS, 1_408);
    assert_eq!(bucket_of(0), 0);
    for bucket in 0..BUCKETS - 1 {
        let edge = upper_edge(bucket);
        assert_eq!(bucket_of(edge - 1), bucket, "below {edge} µs");
        assert_eq!(bucket_of(edge), bucket + 1, "from {edge} µs");
    }
    assert_eq!(upper_edge(BUCKETS - 1), TOP);
}

#[test]
fn what_is_longer_than_the_top_shares_the_last_bucket() {
    for micros in [TOP - 1, TOP, TOP + 1, u64::MAX] {
        assert_eq!(bucket_of(micros), BUCKETS - 1);
    }
    let mut histogram = of(&[u64::MAX]);
    histogram.record(Duration::MAX);
    assert_eq!(histogram.total(), 2);
    assert_eq!(histogram.above(Duration::from_secs(60)), 2);
}

#[test]
fn an_empty_histogram_has_no_quantile() {
    assert_eq!(Histogram::default().quantile(0.5), None);
    assert_eq!(Histogram::default().above(Duration::ZERO), 0);
}

#[test]
fn cells_sum_up_to_what_their_threads_recorded() {
    let (one, two) = (Cells::default(), Cells::default());
    one.record(Duration::from_millis(1));
    two.record(Duration::from_millis(1));
    two.record(Duration::from_secs(1));
    let mut sum = Histogram::default();
    one.add_to(&mut sum);
    two.add_to(&mut sum);
    assert_eq!(sum, of(&[1_000, 1_000, 1_000_000]));
}

fn latencies() -> impl Strategy<Value = Vec<u64>> {
    // Evenly over the octaves, as latencies are.
    let one = (0u32..27).prop_flat_map(|octave| (1u64 << octave)..(2 << octave));
    prop::collection::vec(one, 1..200)
}

proptest! {
    #[test]
    fn buckets_are_monotone(a: u64, b: u64) {
        prop_assert!(bucket_of(a.min(b)) <= bucket_of(a.max(b)));
    }

    #[test]
    fn a_quantile_is_off_by_half_a_sub_bucket(mut micros in latencies(), q in 0.0..=1.0f64) {
        let measured = of(&micros).quantile(q).unwrap().as_micros() as f64;
        micros.sort_unstable();
        let rank = ((micros.len() as f64 * q).ceil() as usize).max(1);
        let exact = micros[rank - 1] as f64;
        prop_assert!((measured - exact).abs() <= exact * ERROR, "{measured} for {exact} µs");
    }

    #[test]
    fn quantiles_rise(micros in latencies(), a in 0.0..=1.0f64, b in 0.0..=1.0f64) {
        let histogram = of(&micros);
        prop_assert!(histogram.quantile(a.min(b)) <= histogram.quantile(a.max(b)));
    }

    /// Whatever is above the limit by more than the error is counted, and nothing that is
    /// below it by more than the error.
    #[test]
    fn what_is_above_a_limit_is_counted_to_within_the_error(
        micros in latencies(),
        limit in 1u64..130_000_000,
    ) {
        let above = of(&micros).above(Duration::from_micros(limit));
        let count = |over: f64| micros.iter().filter(|m| **m as f64 > over).count() as u64;
        let limit = limit as f64;
        prop_assert!(above >= count(limit * (1.0 + ERROR)));
        prop_assert!(above <= count(limit * (1.0 - ERROR) - 1.0));
    }

    #[test]
    fn since_undoes_add(before in latencies(), later in latencies()) {
        let (before, later) = (of(&before), of(&later));
        let mut sum = before.clone();
        sum.add(&later);
        prop_assert_eq!(sum.since(&before), later);
    }
}
