//! Two clocks, and why both.
//!
//! A hold is measured on a clock that only runs forward ([`Mono`]); a deploy window asks
//! what day it is ([`Wall`]). A wall clock that jumps can therefore open or close a window,
//! but it can neither shorten a hold nor age an error rate.

use std::time::Duration;

/// Milliseconds on a clock that never goes back. Its zero has no meaning, and it is never
/// stored: what survives a restart are durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// How long ago `earlier` was; zero if it is not earlier.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    #[must_use]
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Milliseconds since the Unix epoch, as the machine believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Wall(pub i64);

/// The moment of a decision, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    pub mono: Mono,
    pub wall: Wall,
}

impl Now {
    #[must_use]
    pub fn plus(self, d: Duration) -> Self {
        Self {
            mono: self.mono.plus(d),
            wall: Wall(
                self.wall.0.saturating_add(i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
            ),
        }
    }
}
