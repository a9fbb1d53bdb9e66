//! The beats of this process's threads, and what their lag spoils.
//!
//! Each thread that serves, the one that checks health, and control's have a place here. A thread writes
//! its own beat and nobody else's; whoever has measured something asks whether it was on time for it,
//! which costs four loads. A thread that was frozen may tell of a timeout before its beat comes, so a beat
//! that is overdue counts, too. What is too late, [`serin_core::lag`] decides; nothing is forgiven here.

use crate::clock;
use crate::thread::ThreadId;
use serin_core::lag::{BEAT, OwnLag, Stretch};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const BEAT_MICROS: u64 = BEAT.as_micros() as u64;
/// While threads are late the stretch is open: it ends at the earliest when their next beats come on time.
const AHEAD: u64 = 2 * BEAT_MICROS;
/// Places beside those of the threads that serve.
const OTHERS: usize = 2;

#[derive(Debug)]
pub(crate) struct Heartbeats {
    beats: Box<[Beat]>,
    /// The latest stretch in which some thread was late.
    from: AtomicU64,
    until: AtomicU64,
    /// The latest that a thread was in it.
    worst: AtomicU64,
    /// All such stretches, in microseconds.
    lost: AtomicU64,
    widening: Mutex<()>,
}

#[derive(Debug, Default)]
struct Beat {
    /// When the next one is due, in microseconds; 0 for a thread that has not begun, or has ended.
    due: AtomicU64,
    lag: AtomicU64,
}

/// A thread's place, until it ends.
#[derive(Debug)]
struct Place {
    heartbeats: Arc<Heartbeats>,
    at: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.heartbeats.beats[self.at].due.store(0, Relaxed);
    }
}

/// The beats of a thread that serves. For as long as it is polled.
pub(crate) async fn of_serving(heartbeats: Arc<Heartbeats>, thread: ThreadId) {
    let at = thread.index();
    keep(Place { heartbeats, at }).await;
}

/// Those of the thread that looks after backends.
pub(crate) async fn of_background(heartbeats: Arc<Heartbeats>) {
    let at = heartbeats.background();
    keep(Place { heartbeats, at }).await;
}

async fn keep(place: Place) {
    loop {
        place.heartbeats.beat(place.at, clock::micros(Instant::now()));
        tokio::time::sleep(BEAT).await;
    }
}

impl Heartbeats {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            beats: (0..threads + OTHERS).map(|_| Beat::default()).collect(),
            from: AtomicU64::new(0),
            until: AtomicU64::new(0),
            worst: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            widening: Mutex::default(),
        }
    }

    fn background(&self) -> usize {
        self.beats.len() - OTHERS
    }

    fn control(&self) -> usize {
        self.beats.len() - 1
    }

    /// All but control, which ticks.
    fn beating(&self) -> &[Beat] {
        &self.beats[..self.control()]
    }

    fn beat(&self, at: usize, now: u64) {
        let Some(beat) = self.beats.get(at) else { return };
        let due = beat.due.load(Relaxed);
        if due > 0 {
            let late_by = now.saturating_sub(due);
            self.note(beat, late_by, BEAT_MICROS + late_by, now);
        }
        beat.due.store(now + BEAT_MICROS, Relaxed);
    }

    fn note(&self, beat: &Beat, late_by: u64, passed: u64, now: u64) {
        let lag = OwnLag::from_bits(beat.lag.load(Relaxed)).beat(late_by, passed);
        beat.lag.store(lag.to_bits(), Relaxed);
        if lag.is_late(0) {
            self.widen(Stretch { from: now.saturating_sub(late_by), until: now }, late_by);
        }
    }

    #[cold]
    fn widen(&self, late: Stretch, late_by: u64) {
        let _one_at_a_time = self.widening.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.stretch();
        let lost = late.until.saturating_sub(late.from.max(before.until.saturating_sub(AHEAD)));
        self.lost.fetch_add(lost, Relaxed);
        let after = before.then(Stretch { until: late.until + AHEAD, ..late });
        if after.from != before.from {
            self.worst.store(0, Relaxed);
        }
        self.worst.fetch_max(late_by, Relaxed);
        self.from.store(after.from, Relaxed);
        self.until.store(after.until, Relaxed);
    }

    /// The latest stretch that says nothing about anybody.
    pub(crate) fn stretch(&self) -> Stretch {
        Stretch { from: self.from.load(Relaxed), until: self.until.load(Relaxed) }
    }

    /// Whether what a thread has measured from `began` to `now` is to be believed by nobody.
    pub(crate) fn spoil(&self, thread: ThreadId, began: Instant, now: Instant) -> bool {
        let (began, now) = (clock::micros(began), clock::micros(now));
        let overdue = self.beats.get(thread.index()).map(|beat| beat.overdue(now));
        self.stretch().spoils(began, now) || overdue.is_some_and(|late| late.spoils(began, now))
    }

    /// The same of what no serving thread has measured.
    pub(crate) fn spoil_check(&self, began: Instant, now: Instant) -> bool {
        let (began, now) = (clock::micros(began), clock::micros(now));
        let mut overdue = self.beating().iter().map(|beat| beat.overdue(now));
        self.stretch().spoils(began, now) || overdue.any(|late| late.spoils(began, now))
    }

    /// Control looks, whose own tick came so late: how late threads are, when that is too late. A thread
    /// that is frozen cannot say so itself.
    pub(crate) fn look(&self, ticked: Duration, now: Instant) -> Option<Duration> {
        let now = clock::micros(now);
        let control = &self.beats[self.control()];
        // Its place holds when it looked last; its ticks are not beats.
        let before = control.lag_seen(now);
        self.note(control, u64::try_from(ticked.as_micros()).unwrap_or(u64::MAX), before, now);
        for beat in self.beating() {
            let late = beat.overdue(now);
            if late.until > 0 {
                self.widen(late, late.until - late.from);
            }
        }
        self.lag(now)
    }

    /// How late threads are, when that is too late.
    pub(crate) fn lag(&self, now: u64) -> Option<Duration> {
        (now < self.until.load(Relaxed)).then(|| Duration::from_micros(self.worst.load(Relaxed)))
    }

    /// All the time in which nothing was to be believed.
    pub(crate) fn lost(&self) -> Duration {
        Duration::from_micros(self.lost.load(Relaxed))
    }
}

impl Beat {
    /// From when the beat was due until now, if that is too late already.
    fn overdue(&self, now: u64) -> Stretch {
        let due = self.due.load(Relaxed);
        let late_by = now.saturating_sub(due);
        let late = due > 0 && OwnLag::from_bits(self.lag.load(Relaxed)).is_late(late_by);
        if late && late_by > 0 { Stretch { from: due, until: now } } else { Stretch::default() }
    }

    /// For whoever has no beats of its own: how long ago it was here.
    fn lag_seen(&self, now: u64) -> u64 {
        let before = self.due.swap(now, Relaxed);
        if before == 0 { 0 } else { now.saturating_sub(before) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREAD: ThreadId = ThreadId(0);

    fn at(millis: u64) -> Instant {
        clock::instant(1 + 1_000 * (1_000 + millis))
    }

    fn beaten(millis: u64) -> Heartbeats {
        let heartbeats = Heartbeats::new(2);
        for moment in (0..=millis).step_by(100) {
            for thread in 0..2 {
                heartbeats.beat(thread, clock::micros(at(moment)));
            }
        }
        heartbeats
    }

    #[test]
    fn threads_that_beat_on_time_spoil_nothing() {
        let heartbeats = beaten(5_000);
        assert!(!heartbeats.spoil(THREAD, at(0), at(5_050)));
        assert!(!heartbeats.spoil_check(at(0), at(5_050)));
        assert_eq!(heartbeats.look(Duration::ZERO, at(5_050)), None);
        assert_eq!(heartbeats.lost(), Duration::ZERO);
    }

    #[test]
    fn a_timeout_that_a_frozen_thread_tells_before_its_beat_is_spoilt() {
        let heartbeats = beaten(1_000);
        assert!(heartbeats.spoil(THREAD, at(900), at(2_400)));
        assert!(!heartbeats.spoil(THREAD, at(0), at(1_200)));
        // Others know of it when somebody has looked.
        let lag = heartbeats.look(Duration::ZERO, at(2_400));
        assert_eq!(lag, Some(Duration::from_millis(1_300)));
        assert!(heartbeats.spoil(ThreadId(1), at(2_390), at(2_400)));
    }

    #[test]
    fn what_one_thread_was_late_for_is_told_to_all_until_it_is_over() {
        let heartbeats = beaten(1_000);
        heartbeats.beat(0, clock::micros(at(2_000)));
        for moment in (1_100..=2_000).step_by(100) {
            heartbeats.beat(1, clock::micros(at(moment)));
        }
        assert!(heartbeats.spoil(ThreadId(1), at(1_900), at(1_990)));
        assert!(heartbeats.lag(clock::micros(at(2_050))).is_some());
        for moment in (2_100..=6_000).step_by(100) {
            heartbeats.beat(0, clock::micros(at(moment)));
            heartbeats.beat(1, clock::micros(at(moment)));
        }
        assert_eq!(heartbeats.look(Duration::ZERO, at(6_000)), None);
        assert!(!heartbeats.spoil(ThreadId(1), at(5_900), at(6_000)));
        assert!(!heartbeats.spoil(THREAD, at(5_900), at(6_000)));
        let lost = heartbeats.lost().as_millis();
        assert!((900..3_500).contains(&lost), "{lost}");
    }

    #[test]
    fn control_that_ticks_late_is_a_thread_like_any() {
        let heartbeats = beaten(1_000);
        assert_eq!(heartbeats.look(Duration::from_millis(3), at(1_020)), None);
        assert!(heartbeats.look(Duration::from_millis(300), at(1_050)).is_some());
    }

    #[test]
    fn a_thread_that_has_ended_is_not_late() {
        let heartbeats = Arc::new(beaten(1_000));
        for at in 0..2 {
            drop(Place { heartbeats: heartbeats.clone(), at });
        }
        assert_eq!(heartbeats.look(Duration::ZERO, at(60_000)), None);
    }
}
