//! Which of the data plane's threads this is, and its randomness.
//!
//! Each thread that serves requests has a number below the count it was built with, and writes
//! only the cells of that number: meters and splitters need no lock and no locked
//! instruction. A thread that never entered counts as thread 0; its counts may then race with
//! those of thread 0 and lose some, so only tests and tools may leave it at that.

use std::cell::Cell;

/// A data-plane thread, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ThreadId(pub u16);

thread_local! {
    static CURRENT: Cell<ThreadId> = const { Cell::new(ThreadId(0)) };
    static STATE: Cell<u64> = Cell::new(seed());
}

impl ThreadId {
    /// Called once by each serving thread, before its first request.
    pub fn enter(self) {
        CURRENT.set(self);
    }

    pub fn current() -> Self {
        CURRENT.get()
    }

    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// 64 random bits from this thread's generator: fast, and not for secrets.
pub fn random() -> u64 {
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mut z = next;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// 64 bits as 16 hexadecimal digits: every request gets some, and formatting them by the general
/// way costs more than routing it.
pub fn hex(bits: u64) -> [u8; 16] {
    let mut all = [0; 16];
    all[..8].copy_from_slice(&digits(bits >> 32));
    all[8..].copy_from_slice(&digits(bits & 0xffff_ffff));
    all
}

/// The lower 32 bits as digits, all eight at once: each nibble goes to a byte of its own.
fn digits(bits: u64) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let pairs = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (bytes | bytes << 4) & (0x0f * ONES);
    let letters = ((nibbles + 6 * ONES) >> 4) & ONES;
    (nibbles + u64::from(b'0') * ONES + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

/// From the system's source; where that fails, the address of a thread's own cell still differs
/// between threads and, by address space randomisation, between processes.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        CURRENT.with(|cell| std::ptr::from_ref(cell) as u64) ^ 0x2545_f491_4f6c_dd1d
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_formatting() {
        for bits in [0, 9, 10, u64::MAX, 0x0123_4567_89ab_cdef, 0xf0e0_d0c0_b0a0_9080, random()] {
            assert_eq!(hex(bits), format!("{bits:016x}").as_bytes());
        }
    }
}
