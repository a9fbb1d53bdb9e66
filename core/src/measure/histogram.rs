//! A log-linear latency histogram: 64 sub-buckets per octave, microseconds to 134 seconds.
//!
//! A quantile is off by at most 0.78% (half a sub-bucket), and 1,408 buckets of eight bytes
//! are small enough to keep one per version and thread. [`Cells`] is written by one thread
//! with plain loads and stores on atomics, so recording costs no locked instruction and the
//! tick can read at any time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;
/// Values from here on share the last bucket: 2^27 µs are 134 s.
const TOP_BIT: u32 = 27;
pub const BUCKETS: usize = (SUB as usize) * (TOP_BIT - SUB_BITS + 1) as usize;

/// The bucket that counts a value.
pub fn bucket_of(micros: u64) -> usize {
    if micros < SUB {
        return micros as usize;
    }
    let octave = 63 - micros.leading_zeros();
    if octave >= TOP_BIT {
        return BUCKETS - 1;
    }
    let sub = (micros >> (octave - SUB_BITS)) - SUB;
    ((u64::from(octave - SUB_BITS + 1) << SUB_BITS) + sub) as usize
}

/// The first value in microseconds that is past a bucket.
pub fn upper_edge(bucket: usize) -> u64 {
    let (octave, sub) = ((bucket as u64) >> SUB_BITS, (bucket as u64) & (SUB - 1));
    match octave {
        0 => sub + 1,
        o => (SUB + sub + 1) << (o - 1),
    }
}

/// Cumulative counts, read at one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice() }
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram").field("total", &self.total()).finish_non_exhaustive()
    }
}

impl Histogram {
    pub fn record(&mut self, latency: Duration) {
        self.counts[bucket_of(micros(latency))] += 1;
    }

    pub fn buckets(&self) -> &[u64] {
        &self.counts
    }

    pub fn buckets_mut(&mut self) -> &mut [u64] {
        &mut self.counts
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many were recorded above `limit`. A bucket that straddles the limit counts as above
    /// when its midpoint is.
    pub fn above(&self, limit: Duration) -> u64 {
        self.counts[first_above(limit)..].iter().sum()
    }

    /// How many were recorded above `limit`, and how many at all, in one pass.
    pub fn above_of(&self, limit: Duration) -> (u64, u64) {
        let (below, above) = self.counts.split_at(first_above(limit));
        let above = above.iter().sum::<u64>();
        (above, above + below.iter().sum::<u64>())
    }

    /// The same for many limits: everything is added up once.
    pub fn tails(&self) -> Tails {
        let (mut tails, mut sum) = (vec![0; BUCKETS + 1], 0);
        for (tail, count) in tails[..BUCKETS].iter_mut().zip(&self.counts).rev() {
            sum += count;
            *tail = sum;
        }
        Tails(tails.into_boxed_slice())
    }

    /// The value below which the share `q` of the recorded ones lie; `None` when empty.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = ((total as f64) * q.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                let low = if bucket == 0 { 0 } else { upper_edge(bucket - 1) };
                return Some(Duration::from_micros((low + upper_edge(bucket)) / 2));
            }
        }
        None
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// What was recorded since `earlier`, which is a former state of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts);
        Self { counts: counts.map(|(now, then)| now.saturating_sub(*then)).collect() }
    }
}

/// How many of a histogram's values are above each bucket's lower edge.
#[derive(Debug, Clone)]
pub struct Tails(Box<[u64]>);

impl Tails {
    pub fn total(&self) -> u64 {
        self.0[0]
    }

    /// As [`Histogram::above`].
    pub fn above(&self, limit: Duration) -> u64 {
        self.0[first_above(limit)]
    }
}

fn first_above(limit: Duration) -> usize {
    let limit = micros(limit);
    let at = bucket_of(limit);
    let middle = if at == 0 { 0 } else { (upper_edge(at - 1) + upper_edge(at)) / 2 };
    let first = if middle > limit { at } else { at + 1 };
    first.min(BUCKETS)
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// The histogram as one thread writes it. One that was never written takes no room.
#[derive(Debug, Default)]
pub struct Cells(OnceLock<Box<[AtomicU64]>>);

impl Cells {
    /// Only ever called by the one thread that owns these cells.
    pub fn record(&self, latency: Duration) {
        let cells = self.0.get_or_init(|| (0..BUCKETS).map(|_| AtomicU64::new(0)).collect());
        let cell = &cells[bucket_of(micros(latency))];
        cell.store(cell.load(Relaxed) + 1, Relaxed);
    }

    pub fn add_to(&self, sum: &mut Histogram) {
        for (total, cell) in sum.counts.iter_mut().zip(self.0.get().into_iter().flatten()) {
            *total += cell.load(Relaxed);
        }
    }
}
