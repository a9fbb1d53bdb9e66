//! Cumulative counts remembered at five resolutions, so that any window up to three days is one
//! subtraction.
//!
//! A level holds what the count was at each multiple of its period. A window is the count now
//! minus the count at its beginning, read from the finest level that still reaches back so far;
//! it is rounded up by at most one period (0.33% at 5 min, 0.28% at 1 h). Sums over windows
//! would need as many additions as slots, and averages that decay forget at the wrong time.

use crate::measure::Part;
use crate::stored::{Reader, StoredError, Writer};

/// Period in milliseconds, and how many are kept: 32 s, 5.5 min, 65 min, 6.7 h, 75 h.
const LEVELS: [Level; 5] = [
    Level { period: 250, slots: 128, first: 0 },
    Level { period: 1_000, slots: 330, first: 128 },
    Level { period: 10_000, slots: 390, first: 458 },
    Level { period: 60_000, slots: 400, first: 848 },
    Level { period: 600_000, slots: 450, first: 1_248 },
];
const SLOTS: usize = 1_698;

#[derive(Debug, Clone, Copy)]
struct Level {
    period: u64,
    slots: u64,
    first: usize,
}

impl Level {
    fn place(self, number: u64) -> usize {
        self.first + (number % self.slots) as usize
    }
}

/// Two counts of 48 bits each: enough for a million requests a second over eight years, and a
/// quarter smaller than two words.
#[derive(Debug, Clone, Copy, Default)]
struct Slot([u32; 3]);

impl From<Part> for Slot {
    fn from(part: Part) -> Self {
        let high = (part.bad >> 32 << 16) as u32 | (part.of >> 32) as u32 & 0xffff;
        Self([part.bad as u32, part.of as u32, high])
    }
}

impl From<Slot> for Part {
    fn from(Slot([bad, of, high]): Slot) -> Self {
        let joined = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        Self { bad: joined(bad, high >> 16), of: joined(of, high & 0xffff) }
    }
}

/// Times are milliseconds on the owner's own line, which never goes back.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    slots: Box<[Slot]>,
    pub(super) born: u64,
    pub(super) at: u64,
    pub(super) total: Part,
}

impl Ring {
    pub(super) fn new(born: u64) -> Self {
        let slots = vec![Slot::default(); SLOTS].into_boxed_slice();
        Self { slots, born, at: born, total: Part::default() }
    }

    /// Counts `more` between the last observation and `at`. Where a tick came late, the counts
    /// are spread evenly over the time that it missed.
    pub(super) fn add(&mut self, at: u64, more: Part) {
        let total = Part { bad: self.total.bad + more.bad, of: self.total.of + more.of };
        if at > self.at {
            for level in LEVELS {
                let newest = at / level.period;
                let oldest =
                    (self.at / level.period + 1).max((newest + 1).saturating_sub(level.slots));
                for number in oldest..=newest {
                    let passed = number * level.period - self.at;
                    self.slots[level.place(number)] = Slot::from(Part {
                        bad: self.total.bad + part_of(more.bad, passed, at - self.at),
                        of: self.total.of + part_of(more.of, passed, at - self.at),
                    });
                }
            }
            self.at = at;
        }
        self.total = total;
    }

    /// What was counted in the `window` milliseconds before `now`.
    pub(super) fn within(&self, window: u64, now: u64) -> Part {
        let begin = now.saturating_sub(window);
        if begin >= self.at && window > 0 && now > self.at {
            return Part::default();
        }
        self.total.since(self.value_at(begin))
    }

    fn value_at(&self, begin: u64) -> Part {
        for level in LEVELS {
            let (wanted, newest) = (begin / level.period, self.at / level.period);
            if wanted + level.slots > newest {
                return self.slot(level, wanted);
            }
        }
        let coarsest = LEVELS[LEVELS.len() - 1];
        self.slot(coarsest, (self.at / coarsest.period + 1).saturating_sub(coarsest.slots))
    }

    fn slot(&self, level: Level, number: u64) -> Part {
        if number * level.period <= self.born {
            return Part::default();
        }
        Part::from(self.slots[level.place(number)])
    }

    /// The numbers of the slots of a level that hold something, oldest first.
    fn filled(&self, level: Level) -> std::ops::RangeInclusive<u64> {
        let newest = self.at / level.period;
        let since_birth = self.born / level.period + 1;
        since_birth.max((newest + 1).saturating_sub(level.slots))..=newest
    }

    pub(super) fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.slots)
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.u64(self.born);
        out.u64(self.at);
        out.u64(self.total.bad);
        out.u64(self.total.of);
        for level in LEVELS {
            let mut later = self.total;
            for number in self.filled(level).rev() {
                let here = Part::from(self.slots[level.place(number)]);
                out.u64(later.bad - here.bad);
                out.u64(later.of - here.of);
                later = here;
            }
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, StoredError> {
        let mut ring = Self::new(from.u64()?);
        ring.at = from.u64()?;
        if ring.at < ring.born || ring.at > u64::MAX / 4 {
            return Err(StoredError::Nonsense("a history ends before it begins"));
        }
        ring.total = Part { bad: from.u64()?, of: from.u64()? };
        if ring.total.bad >> 48 != 0 || ring.total.of >> 48 != 0 {
            return Err(StoredError::Nonsense("a count is past its bound"));
        }
        for level in LEVELS {
            let mut later = ring.total;
            for number in ring.filled(level).rev() {
                let here = |now: u64, less| {
                    now.checked_sub(less).ok_or(StoredError::Nonsense("a count runs backwards"))
                };
                later =
                    Part { bad: here(later.bad, from.u64()?)?, of: here(later.of, from.u64()?)? };
                ring.slots[level.place(number)] = Slot::from(later);
            }
        }
        Ok(ring)
    }
}

/// The share `passed / whole` of `count`, without overflow.
fn part_of(count: u64, passed: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(count) * u128::from(passed) / u128::from(whole)).unwrap_or(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_keeps_forty_eight_bits_of_each_count() {
        for part in [
            Part { bad: 0, of: 0 },
            Part { bad: 3, of: u64::from(u32::MAX) + 17 },
            Part { bad: (1 << 48) - 1, of: (1 << 48) - 1 },
            Part { bad: 1 << 40, of: (1 << 47) + 5 },
        ] {
            assert_eq!(Part::from(Slot::from(part)), part);
        }
    }
}
