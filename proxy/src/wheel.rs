//! The deadlines of a thread's connections, kept coarsely.
//!
//! Nearly no deadline ever comes: each request moves its connection's further away. So a deadline
//! that moves away costs a comparison and touches nothing shared; when the old moment comes its
//! owner is woken, sees that it is early, and waits on. One task per thread turns the wheel, and
//! sleeps while nothing can be due. A deadline is met up to one tick late, never early.
//!
//! It never crosses threads: a deadline belongs to the thread that first waited on it.

use crate::clock;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Sixteen milliseconds, nearly.
const TICK_MICROS: u64 = 1 << 14;
const SLOTS: usize = 256;

thread_local! {
    static WHEEL: RefCell<Wheel> = RefCell::new(Wheel::default());
    /// The wheel's `next`, for whoever only asks whether it has passed.
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// One connection's deadline.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    /// Where it stands on the wheel, once it does.
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    entry: u32,
    /// When the wheel wakes its owner.
    tick: u64,
    /// What it was set for.
    due: Instant,
}

#[derive(Debug, Default)]
struct Wheel {
    entries: Vec<Entry>,
    free: Vec<u32>,
    slots: Vec<Vec<Mark>>,
    /// All ticks before it were looked at.
    next: u64,
    /// The task that turns the wheel, and until when it sleeps.
    driver: Option<Waker>,
    sleeps_until: u64,
}

#[derive(Debug, Default)]
struct Entry {
    generation: u32,
    tick: u64,
    waker: Option<Waker>,
}

/// An entry as a slot remembers it. One that is of another generation by now means nothing.
#[derive(Debug, Clone, Copy)]
struct Mark {
    entry: u32,
    generation: u32,
}

impl Deadline {
    /// Whether `due` has come; if not, the task is woken by then. Always to be asked by the same
    /// task, and again whenever it is woken.
    pub(crate) fn has_come(&mut self, due: Instant, cx: &mut Context<'_>) -> bool {
        // The wheel has yet to come to a place that is early enough: no clock is read for that.
        if self.place.is_some_and(|place| place.due <= due && place.tick >= NEXT.get()) {
            return false;
        }
        if Instant::now() >= due {
            return true;
        }
        let tick = tick_after(due);
        WHEEL.with_borrow_mut(|wheel| {
            let entry = match self.place {
                Some(place) => place.entry,
                None => wheel.enter(),
            };
            wheel.set(entry, tick, cx.waker());
            self.place = Some(Place { entry, tick, due });
        });
        false
    }
}

impl Deadline {
    /// What `work` comes to, or `None` when `due` comes first.
    pub(crate) async fn limit<T>(
        &mut self,
        due: Instant,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        let limited = poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.has_come(due, cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        limited.await
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            leave(place.entry);
        }
    }
}

fn leave(entry: u32) {
    // A thread that ends has no wheel left.
    let _ = WHEEL.try_with(|wheel| wheel.borrow_mut().remove(entry));
}

/// Wakes everyone who waits on this thread's wheel.
pub(crate) fn wake_all() {
    let wakers: Vec<Waker> = WHEEL.with_borrow(|wheel| {
        wheel.entries.iter().filter_map(|entry| entry.waker.clone()).collect()
    });
    wakers.into_iter().for_each(Waker::wake);
}

/// Turns this thread's wheel for as long as it is polled.
pub(crate) async fn turn() {
    let mut sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
    poll_fn(|cx| {
        loop {
            let now = tick_at(Instant::now());
            let due = WHEEL.with_borrow_mut(|wheel| {
                let due = wheel.pass(now);
                NEXT.set(wheel.next);
                due
            });
            due.into_iter().for_each(Waker::wake);
            let next = WHEEL.with_borrow_mut(|wheel| {
                wheel.driver = Some(cx.waker().clone());
                wheel.sleeps_until = wheel.earliest().unwrap_or(u64::MAX);
                wheel.sleeps_until
            });
            if next == u64::MAX {
                return Poll::<()>::Pending;
            }
            sleep.as_mut().reset(instant_of(next).into());
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

impl Wheel {
    fn enter(&mut self) -> u32 {
        if let Some(entry) = self.free.pop() {
            return entry;
        }
        self.entries.push(Entry::default());
        (self.entries.len() - 1) as u32
    }

    fn remove(&mut self, at: u32) {
        let entry = &mut self.entries[at as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.waker = None;
        self.free.push(at);
    }

    fn set(&mut self, at: u32, tick: u64, waker: &Waker) {
        let entry = &mut self.entries[at as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.tick = tick;
        match &mut entry.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        let mark = Mark { entry: at, generation: entry.generation };
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Vec::new);
        }
        // What is due already is looked at next.
        let slot = tick.max(self.next);
        self.slots[slot_of(slot)].push(mark);
        if tick < self.sleeps_until {
            self.sleeps_until = tick;
            if let Some(driver) = &self.driver {
                driver.wake_by_ref();
            }
        }
    }

    /// Everyone whose moment has come.
    fn pass(&mut self, now: u64) -> Vec<Waker> {
        let mut due = Vec::new();
        if self.slots.is_empty() {
            self.next = now + 1;
            return due;
        }
        let first = self.next.max((now + 1).saturating_sub(SLOTS as u64));
        for tick in first..=now {
            let entries = &mut self.entries;
            self.slots[slot_of(tick)].retain(|mark| {
                let entry = &mut entries[mark.entry as usize];
                if entry.generation != mark.generation {
                    return false;
                }
                if entry.tick <= now {
                    due.extend(entry.waker.take());
                    return false;
                }
                true
            });
        }
        self.next = now + 1;
        due
    }

    /// The next tick at which there may be something to do; at most a turn ahead.
    fn earliest(&self) -> Option<u64> {
        if self.slots.is_empty() || self.entries.len() == self.free.len() {
            return None;
        }
        let turn = self.next..self.next + SLOTS as u64;
        let last = turn.end;
        let is_due = |tick: &u64| {
            self.slots[slot_of(*tick)].iter().any(|mark| {
                let entry = &self.entries[mark.entry as usize];
                entry.generation == mark.generation && entry.tick <= *tick
            })
        };
        Some(turn.into_iter().find(is_due).unwrap_or(last))
    }
}

fn slot_of(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

/// The first tick that does not begin before `due`.
fn tick_after(due: Instant) -> u64 {
    clock::micros(due).div_ceil(TICK_MICROS)
}

fn tick_at(now: Instant) -> u64 {
    clock::micros(now) / TICK_MICROS
}

fn instant_of(tick: u64) -> Instant {
    clock::instant(tick * TICK_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl std::task::Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn wheel() -> (Wheel, Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(counter.clone());
        (Wheel::default(), counter, waker)
    }

    #[test]
    fn a_deadline_is_met_in_its_turn_and_not_before() {
        let (mut wheel, _, waker) = wheel();
        for tick in [3, 200, 300, 1000, 5000] {
            let entry = wheel.enter();
            wheel.set(entry, tick, &waker);
        }
        let mut met = Vec::new();
        for now in 0..6000 {
            let due = wheel.pass(now).len();
            met.extend(std::iter::repeat_n(now, due));
        }
        assert_eq!(met, [3, 200, 300, 1000, 5000]);
    }

    #[test]
    fn a_deadline_that_was_moved_or_left_is_not_met_where_it_was() {
        let (mut wheel, _, waker) = wheel();
        let (moved, left) = (wheel.enter(), wheel.enter());
        wheel.set(moved, 50, &waker);
        wheel.set(left, 50, &waker);
        wheel.set(moved, 20, &waker);
        wheel.remove(left);
        assert_eq!(wheel.pass(19).len(), 0);
        assert_eq!(wheel.pass(20).len(), 1);
        assert_eq!(wheel.pass(400).len(), 0);
    }

    #[test]
    fn a_wheel_that_stood_still_for_long_misses_nothing() {
        let (mut wheel, _, waker) = wheel();
        for tick in 1..600 {
            let entry = wheel.enter();
            wheel.set(entry, tick, &waker);
        }
        assert_eq!(wheel.pass(100_000).len(), 599);
        assert!(wheel.slots.iter().all(Vec::is_empty));
    }

    #[tokio::test]
    async fn a_deadline_wakes_its_task_and_not_too_early() {
        let turning = turn();
        let waiting = async {
            let begun = Instant::now();
            let (mut deadline, due) = (Deadline::default(), begun + Duration::from_millis(30));
            assert_eq!(deadline.limit(due, async { 7 }).await, Some(7));
            assert_eq!(deadline.limit(due, pending::<()>()).await, None);
            begun.elapsed()
        };
        let elapsed = tokio::select! {
            () = turning => Duration::ZERO,
            elapsed = waiting => elapsed,
        };
        assert!(elapsed >= Duration::from_millis(30));
    }
}
