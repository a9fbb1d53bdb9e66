//! The requests of one thread that wait for a response head, so that a hang is seen before it
//! ends.
//!
//! A place holds the moment since when its request waits, or, when free, the next free place; and during a
//! rollout the client's network. The
//! owning thread enters and leaves with plain stores; the reader walks over the places and takes
//! what it sees. Places come in chunks that are made when first needed and kept; beyond the last
//! chunk a request waits unseen, which is counted.

use serin_core::lag::Stretch;
use serin_core::measure::{Histogram, Network, TIMED_EACH, Timed, bucket_of};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const CHUNK: u32 = 256;
const CHUNKS: u32 = 64;

#[derive(Debug)]
pub(super) struct Waiting {
    chunks: [OnceLock<Box<[Place]>>; CHUNKS as usize],
    /// The first free place below `used`, plus 1; 0 when there is none.
    free: AtomicU32,
    /// Places that were ever taken.
    used: AtomicU32,
    overflowed: AtomicU64,
}

#[derive(Debug, Default)]
struct Place {
    since: AtomicU64,
    /// 0 where nobody asks.
    network: AtomicU64,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS as usize],
            free: AtomicU32::new(0),
            used: AtomicU32::new(0),
            overflowed: AtomicU64::new(0),
        }
    }
}

/// The low bit says that a place is taken.
const TAKEN: u64 = 1;

impl Waiting {
    /// Takes a place. Only the owning thread calls this.
    pub(super) fn enter(&self, since_micros: u64, network: Option<Network>) -> Option<u32> {
        let place = match self.free.load(Relaxed) {
            0 => self.fresh()?,
            first => {
                let next = self.place(first - 1)?.since.load(Relaxed) >> 1;
                self.free.store(next as u32, Relaxed);
                first - 1
            }
        };
        let taken = self.place(place)?;
        taken.network.store(network.map_or(0, Network::to_bits), Relaxed);
        taken.since.store(since_micros << 1 | TAKEN, Relaxed);
        Some(place)
    }

    /// Gives it back. Only the owning thread calls this.
    pub(super) fn leave(&self, place: u32) {
        if let Some(taken) = self.place(place) {
            taken.since.store(u64::from(self.free.load(Relaxed)) << 1, Relaxed);
            self.free.store(place + 1, Relaxed);
        }
    }

    pub(super) fn ages(&self, now_micros: u64, late: Stretch, ages: &mut Ages) {
        for place in 0..self.used.load(Relaxed) {
            let Some(place) = self.place(place) else { continue };
            let word = place.since.load(Relaxed);
            if word & TAKEN == TAKEN && !late.spoils(word >> 1, now_micros) {
                let age = now_micros.saturating_sub(word >> 1);
                ages.note(age, Network::from_bits(place.network.load(Relaxed)), now_micros);
            }
        }
    }

    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Relaxed)
    }

    fn fresh(&self) -> Option<u32> {
        let place = self.used.load(Relaxed);
        let Some(chunk) = self.chunks.get((place / CHUNK) as usize) else {
            self.overflowed.store(self.overflowed.load(Relaxed) + 1, Relaxed);
            return None;
        };
        chunk.get_or_init(|| (0..CHUNK).map(|_| Place::default()).collect());
        self.used.store(place + 1, Relaxed);
        Some(place)
    }

    fn place(&self, place: u32) -> Option<&Place> {
        self.chunks.get((place / CHUNK) as usize)?.get()?.get((place % CHUNK) as usize)
    }
}

/// How long everybody has waited, and who some of them are.
#[derive(Debug, Default)]
pub(super) struct Ages {
    pub(super) all: Histogram,
    /// Of each octave of time a few, drawn at random.
    octaves: BTreeMap<usize, (u64, Vec<Timed>)>,
}

const OCTAVE: usize = 64;

impl Ages {
    fn note(&mut self, age_micros: u64, network: Option<Network>, chance: u64) {
        let took = Duration::from_micros(age_micros);
        self.all.record(took);
        let Some(network) = network else { return };
        let (seen, kept) = self.octaves.entry(bucket_of(age_micros) / OCTAVE).or_default();
        *seen += 1;
        let timed = Timed { network, took };
        if kept.len() < TIMED_EACH {
            kept.push(timed);
            return;
        }
        // The n-th takes an earlier one's place with a chance of 32 in n.
        let drawn = (chance ^ *seen).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        if let Some(place) = kept.get_mut((drawn % *seen) as usize) {
            *place = timed;
        }
    }

    pub(super) fn timed(self) -> Vec<Timed> {
        self.octaves.into_values().flat_map(|(_, kept)| kept).collect()
    }
}
