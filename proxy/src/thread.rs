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
pub fn push_hex(bits: u64, into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for nibble in (0..16).rev() {
        into.push(char::from(DIGITS[(bits >> (4 * nibble)) as usize & 15]));
    }
}

/// From the system's source; where that fails, the address of a thread's own cell still differs
/// between threads and, by address space randomisation, between processes.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        CURRENT.with(|cell| std::ptr::from_ref(cell) as u64) ^ 0x2545_f491_4f6c_dd1d
    })
}
