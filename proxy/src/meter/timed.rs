//! How long judged requests of a rollout took, and which network asked: of each octave of time the latest.
//!
//! The slowest are what a verdict is about, and the rarest; a ring for each octave keeps them whatever
//! comes in the others. Cells are atomic, so noting takes no lock, and the memory is made with the first.

use serin_core::measure::{BUCKETS, Network, TIMED_EACH, Timed, bucket_of, upper_edge};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Of a bucket's number the lower bits are its place within the octave.
const SUB_BITS: u32 = 6;
const OCTAVES: usize = BUCKETS >> SUB_BITS;
/// Where a network's bits leave room for them.
const SUB_AT: u32 = 48;
const SUB: u64 = (1 << SUB_BITS) - 1;

#[derive(Debug, Default)]
pub(super) struct TimedSample {
    rings: OnceLock<Box<[AtomicU64]>>,
    next: [AtomicU32; OCTAVES],
}

impl TimedSample {
    pub(super) fn note(&self, took: Duration, network: Network) {
        let bucket = bucket_of(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let octave = bucket >> SUB_BITS;
        let cells = || (0..OCTAVES * TIMED_EACH).map(|_| AtomicU64::new(0)).collect();
        let place = self.next[octave].fetch_add(1, Relaxed) as usize % TIMED_EACH;
        let cell = &self.rings.get_or_init(cells)[octave * TIMED_EACH + place];
        cell.store(network.to_bits() | ((bucket as u64 & SUB) << SUB_AT), Relaxed);
    }

    /// Of each octave the newest first.
    pub(super) fn read(&self) -> Vec<Timed> {
        let rings = self.rings.get().into_iter().flat_map(|cells| cells.chunks(TIMED_EACH));
        let timed = rings.enumerate().flat_map(|(octave, ring)| {
            let next = self.next[octave].load(Relaxed) as usize;
            (1..=TIMED_EACH).filter_map(move |back| {
                let bits = ring[(next + TIMED_EACH - back) % TIMED_EACH].load(Relaxed);
                let network = Network::from_bits(bits & !(SUB << SUB_AT))?;
                let bucket = (octave << SUB_BITS) | ((bits >> SUB_AT) & SUB) as usize;
                Some(Timed { network, took: Duration::from_micros(upper_edge(bucket) - 1) })
            })
        });
        timed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    #[test]
    fn the_slowest_stay_whatever_else_comes() {
        let sample = TimedSample::default();
        let v6 = Network::of(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 1)));
        let v4 = Network::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
        assert!(sample.read().is_empty());
        (0..3).for_each(|_| sample.note(Duration::from_secs(7), v6));
        (0..10_000).for_each(|n| sample.note(Duration::from_micros(900 + n % 100), v4));
        let slow = sample.read().into_iter().filter(|timed| timed.took > Duration::from_secs(1));
        let slow: Vec<_> = slow.collect();
        assert_eq!(slow.len(), 3);
        assert!(slow.iter().all(|timed| timed.network == v6), "{slow:?}");
        let off = slow[0].took.as_secs_f64() / 7.0;
        assert!((0.98..1.02).contains(&off), "{off}");
        assert_eq!(sample.read().len(), 3 + TIMED_EACH);
    }
}
