//! The requests of one thread that wait for a response head, so that a hang is seen before it
//! ends.
//!
//! A place holds the moment since when its request waits, or, when free, the next free place. The
//! owning thread enters and leaves with plain stores; the reader walks over the places and takes
//! what it sees. Places come in chunks that are made when first needed and kept; beyond the last
//! chunk a request waits unseen, which is counted.

use serin_core::lag::Stretch;
use serin_core::measure::Histogram;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const CHUNK: u32 = 256;
const CHUNKS: u32 = 64;

#[derive(Debug)]
pub(super) struct Waiting {
    chunks: [OnceLock<Box<[AtomicU64]>>; CHUNKS as usize],
    /// The first free place below `used`, plus 1; 0 when there is none.
    free: AtomicU32,
    /// Places that were ever taken.
    used: AtomicU32,
    overflowed: AtomicU64,
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
    pub(super) fn enter(&self, since_micros: u64) -> Option<u32> {
        let place = match self.free.load(Relaxed) {
            0 => self.fresh()?,
            first => {
                let next = self.cell(first - 1)?.load(Relaxed) >> 1;
                self.free.store(next as u32, Relaxed);
                first - 1
            }
        };
        self.cell(place)?.store(since_micros << 1 | TAKEN, Relaxed);
        Some(place)
    }

    /// Gives it back. Only the owning thread calls this.
    pub(super) fn leave(&self, place: u32) {
        if let Some(cell) = self.cell(place) {
            cell.store(u64::from(self.free.load(Relaxed)) << 1, Relaxed);
            self.free.store(place + 1, Relaxed);
        }
    }

    pub(super) fn ages(&self, now_micros: u64, late: Stretch, ages: &mut Histogram) {
        for place in 0..self.used.load(Relaxed) {
            let word = self.cell(place).map_or(0, |cell| cell.load(Relaxed));
            if word & TAKEN == TAKEN && !late.spoils(word >> 1, now_micros) {
                ages.record(Duration::from_micros(now_micros.saturating_sub(word >> 1)));
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
        chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        self.used.store(place + 1, Relaxed);
        Some(place)
    }

    fn cell(&self, place: u32) -> Option<&AtomicU64> {
        self.chunks.get((place / CHUNK) as usize)?.get()?.get((place % CHUNK) as usize)
    }
}
