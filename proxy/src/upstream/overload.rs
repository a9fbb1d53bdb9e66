//! How many requests an endpoint is given at once, when it is offered more than it can answer.
//!
//! An overloaded endpoint answers everything too late: each request waits behind others whose clients
//! have stopped waiting, and what it does is done for nobody. So when requests time out *and* those
//! that are answered take long, it is given fewer at once; the rest is refused at once, or goes to
//! other endpoints. With fewer it answers in time again, and is given more until it becomes slow.
//!
//! Requests that hang while others are answered quickly are no overload: whoever can make them hang
//! must not take the endpoint from everybody else. Nothing is counted for an answer that came quickly.

use serin_core::time::Mono;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How long it is watched before something is concluded.
const WATCHED: Duration = Duration::from_secs(1);
/// What was seen longer ago says nothing about now.
const STALE: Duration = Duration::from_secs(10);
/// Fewer that time out are no overload.
const FEWEST_LATE: u32 = 5;
/// Everybody gets some, or it would never be known that it is better.
const LOWEST: u32 = 4;
/// An answer is slow when it took more than this part of what it may take.
pub(super) const SLOW_PART: u32 = 4;

/// What is learned about one endpoint. Shared by all threads; written only while answers are slow or
/// requests are refused.
#[derive(Debug, Default)]
pub(super) struct Overload {
    /// 0 while nothing was learned.
    limit: AtomicU32,
    slow: AtomicU32,
    late: AtomicU32,
    /// Attempts that had ended when the watch began.
    base: AtomicU32,
    /// Milliseconds.
    watch_began: AtomicU64,
    /// Milliseconds. Until then requests that were begun under the limit before still come to their end.
    settled_at: AtomicU64,
}

/// Attempts of an endpoint by now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempts {
    pub(super) in_flight: u32,
    /// Modulo 2^32.
    pub(super) ended: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    in_time: u32,
    /// Of those in time.
    slow: u32,
    late: u32,
}

impl Seen {
    fn is_overload(self) -> bool {
        let many = self.late >= FEWEST_LATE && self.late >= self.in_time / 9;
        many && 2 * self.slow >= self.in_time
    }

    /// The limit that follows when requests were refused under this one.
    fn raised(self, limit: u32) -> u32 {
        match (8 * self.slow, 2 * self.slow) {
            (few, _) if few < self.in_time => limit.saturating_mul(2),
            (_, some) if some < self.in_time => limit.saturating_add(limit.div_ceil(8)),
            _ => limit,
        }
    }
}

impl Overload {
    /// 0 is no limit.
    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// An answer came in time, and late in that time.
    pub(super) fn slow(&self) {
        self.slow.fetch_add(1, Relaxed);
    }

    /// A request timed out. Gives the limit, when that becomes lower by it. Called by one at a time.
    pub(super) fn late(&self, attempts: Attempts, timeout: Duration, now: Mono) -> Option<u32> {
        self.late.fetch_add(1, Relaxed);
        if now.0 < self.settled_at.load(Relaxed) {
            self.watch(attempts, now);
            return None;
        }
        let seen = self.seen(attempts, now)?;
        if !seen.is_overload() {
            return None;
        }
        let all = match self.limit() {
            0 => attempts.in_flight,
            limit => limit.min(attempts.in_flight),
        };
        let lower = (all / 4).max(LOWEST);
        self.limit.store(lower, Relaxed);
        self.settled_at.store(now.plus(timeout).0, Relaxed);
        self.watch(attempts, now);
        Some(lower)
    }

    /// A request was refused because of the limit.
    pub(super) fn refused(&self, attempts: Attempts, now: Mono) {
        let limit = self.limit();
        if limit == 0 || now.0 < self.settled_at.load(Relaxed) {
            return;
        }
        if let Some(seen) = self.seen(attempts, now) {
            self.limit.store(seen.raised(limit), Relaxed);
            self.watch(attempts, now);
        }
    }

    /// `None` while the watch is too young; one that is too old begins anew.
    fn seen(&self, attempts: Attempts, now: Mono) -> Option<Seen> {
        let watched = now.since(Mono(self.watch_began.load(Relaxed)));
        if watched > STALE {
            self.watch(attempts, now);
        }
        if watched < WATCHED || watched > STALE {
            return None;
        }
        let late = self.late.load(Relaxed);
        let ended = attempts.ended.wrapping_sub(self.base.load(Relaxed));
        let in_time = ended.saturating_sub(late);
        Some(Seen { in_time, slow: self.slow.load(Relaxed).min(in_time), late })
    }

    fn watch(&self, attempts: Attempts, now: Mono) {
        self.watch_began.store(now.0, Relaxed);
        self.base.store(attempts.ended, Relaxed);
        self.slow.store(0, Relaxed);
        self.late.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    const TIMEOUT: Duration = Duration::from_secs(3);

    /// A backend with a queue, in steps of a millisecond.
    #[derive(Default)]
    struct Backend {
        /// Answers at once, and how long one takes.
        workers: usize,
        takes: u64,
        /// Does not notice that nobody waits any more.
        stubborn: bool,
        queue: VecDeque<u64>,
        /// When each began and will be done, with when it came.
        busy: Vec<(u64, u64)>,
    }

    /// Good answers a second over the last third, and refused ones.
    fn goodput(mut backend: Backend, per_second: u64, seconds: u64, learns: bool) -> (u64, u64) {
        let overload = Overload::default();
        let (mut in_flight, mut ended, mut good, mut refused) = (0_u32, 0_u32, 0, 0);
        let timeout = TIMEOUT.as_millis() as u64;
        let mut waiting: VecDeque<u64> = VecDeque::new();
        for ms in 1..seconds * 1000 {
            let now = Mono(ms);
            let late_part = ms > seconds * 1000 * 2 / 3;
            // Done.
            let done: Vec<u64> =
                backend.busy.iter().filter(|(_, at)| *at <= ms).map(|(came, _)| *came).collect();
            backend.busy.retain(|(_, at)| *at > ms);
            for came in done {
                let took = ms - came;
                if took < timeout {
                    let at = waiting.iter().position(|w| *w == came).unwrap();
                    waiting.remove(at);
                    in_flight -= 1;
                    ended += 1;
                    if took > timeout / u64::from(SLOW_PART) {
                        overload.slow();
                    }
                    good += u64::from(late_part);
                }
            }
            // Timed out.
            while waiting.front().is_some_and(|came| ms - came >= timeout) {
                let came = waiting.pop_front().unwrap();
                if !backend.stubborn {
                    backend.queue.retain(|c| *c != came);
                    backend.busy.retain(|(c, _)| *c != came);
                }
                in_flight -= 1;
                ended += 1;
                if learns {
                    overload.late(Attempts { in_flight, ended }, TIMEOUT, now);
                }
            }
            // New ones, at most one a millisecond.
            if ms * per_second / 1000 != (ms - 1) * per_second / 1000 {
                let limit = overload.limit();
                if limit > 0 && in_flight >= limit {
                    overload.refused(Attempts { in_flight, ended }, now);
                    refused += u64::from(late_part);
                } else {
                    in_flight += 1;
                    waiting.push_back(ms);
                    backend.queue.push_back(ms);
                }
            }
            while backend.busy.len() < backend.workers {
                let Some(came) = backend.queue.pop_front() else { break };
                backend.busy.push((came, ms + backend.takes));
            }
        }
        (good / (seconds / 3), refused / (seconds / 3))
    }

    fn backend(stubborn: bool) -> Backend {
        // A hundred a second.
        Backend { workers: 10, takes: 100, stubborn, ..Backend::default() }
    }

    #[test]
    fn at_twice_its_capacity_an_endpoint_answers_four_in_five_of_what_it_can() {
        for stubborn in [false, true] {
            let (without, _) = goodput(backend(stubborn), 200, 90, false);
            let (with, refused) = goodput(backend(stubborn), 200, 90, true);
            assert!(with >= 80, "{with} a second, {without} without, stubborn: {stubborn}");
            assert!((80..=120).contains(&refused), "{refused}");
        }
        let (stubborn, _) = goodput(backend(true), 200, 90, false);
        assert!(stubborn < 20, "else there is nothing to mend: {stubborn}");
    }

    #[test]
    fn below_its_capacity_nothing_is_refused() {
        let (good, refused) = goodput(backend(true), 90, 30, true);
        assert_eq!(refused, 0);
        assert!(good >= 89, "{good}");
    }

    fn seen(in_time: u32, slow: u32, late: u32) -> Seen {
        Seen { in_time, slow, late }
    }

    #[test]
    fn requests_that_hang_while_others_are_quick_are_no_overload() {
        assert!(!seen(1_000, 20, 900).is_overload(), "somebody makes them hang");
        assert!(!seen(1_000, 900, 20).is_overload(), "slow, and in time but for a few");
        assert!(!seen(4, 4, 4).is_overload(), "too few");
        assert!(seen(100, 80, 40).is_overload());
        assert!(seen(0, 0, 40).is_overload(), "nothing is answered");
    }

    #[test]
    fn an_endpoint_that_is_quick_again_has_all_of_its_requests_within_seconds() {
        let overload = Overload::default();
        let mut attempts = Attempts { in_flight: 400, ended: 0 };
        let mut limit = None;
        for ms in (20_000..22_000).step_by(10) {
            attempts.ended += 1;
            limit = limit.or(overload.late(attempts, TIMEOUT, Mono(ms)));
        }
        assert_eq!(limit, Some(100));
        for second in 26..30 {
            attempts.ended += 1_000;
            overload.refused(attempts, Mono(second * 1_000));
        }
        assert!(overload.limit() >= 800, "{}", overload.limit());
    }
}
