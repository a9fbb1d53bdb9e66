//! What copies may hold, counted before it is held: bytes over all services, copies per service. And
//! memory that goes back to where it came from.

use super::mirror::MirrorState;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Over all services: heads and bodies of copies, and answers that wait for their counterpart.
pub(super) const MOST_BYTES: u64 = 64 << 20;
/// Beside its bodies, a copy's own weight.
const WEIGHT: u64 = 1024;
/// Beside its bytes, a piece's own: a body that comes byte by byte is held for what it takes.
const PIECE: u64 = 64;

#[derive(Debug, Default)]
pub(super) struct Memory(AtomicU64);

impl Memory {
    pub(super) fn held(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Bytes that were given room; they give it back when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Held {
    /// Room for one copy and so many bytes; `None` when there is none.
    pub(super) fn new(memory: &Arc<Memory>, bytes: usize) -> Option<Self> {
        let mut held = Self { memory: Arc::clone(memory), bytes: 0 };
        (held.grow(bytes) && held.take(WEIGHT)).then_some(held)
    }

    /// Whether there was room for one more piece of so many bytes.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        self.take(PIECE + bytes as u64)
    }

    fn take(&mut self, bytes: u64) -> bool {
        let before = self.memory.0.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) > MOST_BYTES {
            self.memory.0.fetch_sub(bytes, Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.0.fetch_sub(self.bytes, Relaxed);
    }
}

/// One of the copies that a service may have in flight, from the decision to copy to the end of
/// the shadow's answer.
#[derive(Debug)]
pub(super) struct Slot(Arc<MirrorState>);

impl Slot {
    pub(super) fn take(standing: &Arc<MirrorState>, most: u32) -> Option<Self> {
        let in_flight: &AtomicU32 = &standing.in_flight;
        if in_flight.fetch_add(1, Relaxed) >= most {
            in_flight.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Self(Arc::clone(standing)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// The memory of heads that were sent, for the next: what one thread allocates and another frees costs
/// both of them more than writing the head does. Whoever finds the other there does without.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Vec<Vec<u8>>>);

const MOST_SPARE: usize = 256;
const LONGEST_SPARE: usize = 4096;

impl Spare {
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.try_lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default()
    }

    pub(super) fn give(&self, head: Vec<u8>) {
        if let Ok(mut spare) = self.0.try_lock()
            && head.capacity() <= LONGEST_SPARE
            && spare.len() < MOST_SPARE
        {
            spare.push(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_refused_over_the_cap_and_come_back() {
        let memory = Arc::new(Memory::default());
        let mut held = Held::new(&memory, 10).expect("room");
        assert_eq!(memory.held(), 10 + PIECE + WEIGHT);
        assert!(held.grow(1 << 20));
        assert!(!held.grow(MOST_BYTES as usize), "no room for everything");
        assert!(Held::new(&memory, MOST_BYTES as usize).is_none());
        drop(held);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_body_of_single_bytes_is_held_for_more_than_its_bytes() {
        let memory = Arc::new(Memory::default());
        let mut held = Held::new(&memory, 0).expect("room");
        let pieces = (0..MOST_BYTES).take_while(|_| held.grow(1)).count() as u64;
        assert!(pieces * 40 < MOST_BYTES, "{pieces} pieces, each with a pointer and a length");
    }
}
