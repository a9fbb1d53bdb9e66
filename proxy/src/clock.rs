//! The data plane's clock: monotonic time as small integers.
//!
//! An `Instant` cannot stand in an atomic cell. Everything that threads share (ejections, slow
//! starts, heartbeats, the ages of waiting requests) is therefore kept as time since one origin,
//! fixed when the process first asks. Nothing in this crate but its outermost callers reads a
//! clock: a moment is an argument.

use serin_core::time::{Mono, Wall};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment on the monotonic clock, in milliseconds.
pub fn mono(at: Instant) -> Mono {
    Mono(micros(at) / 1_000)
}

/// A moment on the monotonic clock, in microseconds since the process's origin; never 0, so that
/// 0 can mean "not yet".
pub fn micros(at: Instant) -> u64 {
    let since = at.saturating_duration_since(*origin()).as_micros();
    u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
}

/// The moment that [`micros`] makes this number of.
pub(crate) fn instant(micros: u64) -> Instant {
    *origin() + Duration::from_micros(micros.saturating_sub(1))
}

/// What the machine believes the time is.
pub fn wall() -> Wall {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

fn origin() -> &'static Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now)
}
