//! Does this process see things when they happen?
//!
//! A host without processor time to spare makes everybody look slow: answers that have come lie unread,
//! timeouts pass while nobody looks, checks wait to be sent. None of that is a version's doing. So each
//! thread has a beat that is due every [`BEAT`], and how late it comes is the thread's own lag. What is
//! decided here is from when on so much of it is too much, until when, and what that spoils of what was
//! measured meanwhile. It knows no thread and reads no clock; moments are microseconds.

use std::time::Duration;

/// How often each thread's beat is due.
pub const BEAT: Duration = Duration::from_millis(100);
/// Of lag, in microseconds: from here on nothing is believed,
const TOO_MUCH: u64 = 250_000;
/// until no more than this is left. Some always is: a busy host's every beat comes somewhat late.
const USUAL: u64 = 50_000;
/// How late a beat may come that is on time: timers are coarse, and there is always somebody else.
const ON_TIME: u64 = 10_000;
/// A long freeze is not held against the thread for longer than this takes to work off.
const AT_MOST: u64 = 500_000;
/// A quarter of the time that passes works lag off: a thread that is late for less than that is usual.
const WORKED_OFF: u64 = 4;
/// A stretch that begins so soon after another is the same one.
const APART: u64 = 2_000_000;
/// A measurement is spoilt when so large a part of it is late: one in so many.
const SPOILT: u64 = 4;

/// One thread's lag, as its beats tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnLag {
    owed: u64,
    late: bool,
}

impl OwnLag {
    /// After a beat that came so late, and so long after the one before.
    #[must_use]
    pub fn beat(self, late_by: u64, passed: u64) -> Self {
        let late_by = late_by.saturating_sub(ON_TIME);
        let owed = self.owed.saturating_sub(passed / WORKED_OFF).saturating_add(late_by);
        let owed = owed.min(AT_MOST);
        Self { owed, late: owed >= TOO_MUCH || (self.late && owed > USUAL) }
    }

    /// Whether the thread is too late to be believed. `overdue` is how late its next beat is already: a
    /// frozen thread is late while it is frozen, and not only afterwards.
    pub fn is_late(self, overdue: u64) -> bool {
        self.late || self.owed.saturating_add(overdue) >= TOO_MUCH
    }

    /// For an atomic cell.
    pub fn to_bits(self) -> u64 {
        self.owed << 1 | u64::from(self.late)
    }

    pub fn from_bits(bits: u64) -> Self {
        Self { owed: bits >> 1, late: bits & 1 == 1 }
    }
}

/// A time in which nothing that this process measures is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stretch {
    pub from: u64,
    pub until: u64,
}

impl Stretch {
    /// The latest stretch, after another was noticed.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        let same = self.until > 0 && next.from <= self.until.saturating_add(APART);
        let from = if same { self.from.min(next.from) } else { next.from };
        Self { from, until: self.until.max(next.until) }
    }

    /// Whether what was measured from `began` to `now` says nothing. A timeout of half a minute stands
    /// although a second of it was late.
    pub fn spoils(self, began: u64, now: u64) -> bool {
        let late = self.until.min(now).saturating_sub(self.from.max(began));
        late > 0 && late.saturating_mul(SPOILT) >= now.saturating_sub(began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;
    const BEAT_US: u64 = 100 * MS;

    /// Beats that each come late by so many milliseconds; how many of them left the thread late.
    fn late(lag: &mut OwnLag, each: u64, beats: usize) -> usize {
        let beat = |_: &usize| {
            *lag = lag.beat(each * MS, BEAT_US + each * MS);
            lag.is_late(0)
        };
        (0..beats).filter(beat).count()
    }

    #[test]
    fn a_thread_that_is_a_little_late_is_as_usual_for_ever() {
        for each in [0, 2, 10, 30] {
            assert_eq!(late(&mut OwnLag::default(), each, 10_000), 0, "{each} ms");
        }
    }

    #[test]
    fn a_thread_that_is_late_for_half_of_its_time_is_believed_no_more_within_a_second() {
        let mut lag = OwnLag::default();
        assert_eq!(late(&mut lag, 100, 4), 0);
        assert_eq!(late(&mut lag, 100, 50), 50, "from the fifth beat on");
    }

    #[test]
    fn one_freeze_is_enough_and_a_short_one_is_not() {
        assert_eq!(late(&mut OwnLag::default(), 200, 1), 0);
        let mut lag = OwnLag::default();
        assert_eq!(late(&mut lag, 260, 1), 1);
        // It flickers not: nearly all of the lag has to be worked off first, 25 ms with each beat.
        assert_eq!(late(&mut lag, 0, 100), 7);
        let mut lag = OwnLag::default();
        assert_eq!(late(&mut lag, 60_000, 1), 1);
        assert_eq!(late(&mut lag, 0, 100), 17, "however long it lasted");
    }

    #[test]
    fn a_freeze_is_over_although_no_beat_ever_comes_at_its_moment() {
        for (each, until) in [(2, 17), (10, 16), (20, 22), (30, 35)] {
            let mut lag = OwnLag::default();
            assert_eq!(late(&mut lag, 60_000, 1), 1);
            assert_eq!(late(&mut lag, each, 1_000), until, "{each} ms");
        }
    }

    #[test]
    fn a_frozen_thread_is_late_while_it_is_frozen() {
        let lag = OwnLag::default();
        assert!(!lag.is_late(249 * MS) && lag.is_late(250 * MS));
        assert!(lag.beat(100 * MS, 200 * MS).is_late(160 * MS), "with what it owed before");
        assert_eq!(OwnLag::from_bits(lag.beat(400 * MS, 500 * MS).to_bits()).owed, 390 * MS);
    }

    #[test]
    fn what_was_measured_mostly_on_time_stands() {
        let stretch = Stretch { from: 1_000 * MS, until: 2_000 * MS };
        assert!(stretch.spoils(900 * MS, 1_900 * MS));
        assert!(stretch.spoils(1_950 * MS, 2_100 * MS), "a third of it");
        assert!(!stretch.spoils(1_990 * MS, 2_100 * MS));
        assert!(!stretch.spoils(0, 30_000 * MS), "a second of thirty");
        assert!(!stretch.spoils(0, 1_000 * MS) && !stretch.spoils(2_000 * MS, 2_001 * MS));
    }

    #[test]
    fn stretches_that_follow_each_other_soon_are_one() {
        let first = Stretch::default().then(Stretch { from: 5_000 * MS, until: 6_000 * MS });
        assert_eq!(first, Stretch { from: 5_000 * MS, until: 6_000 * MS });
        let soon = first.then(Stretch { from: 7_500 * MS, until: 8_000 * MS });
        assert_eq!(soon, Stretch { from: 5_000 * MS, until: 8_000 * MS });
        let later = soon.then(Stretch { from: 11_000 * MS, until: 12_000 * MS });
        assert_eq!(later, Stretch { from: 11_000 * MS, until: 12_000 * MS });
    }
}
