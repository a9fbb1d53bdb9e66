//! Whether a failed attempt is made again.
//!
//! A retry never sends a request twice that may have been processed: it is made when nothing of
//! the request was sent, or when the method says that twice is the same as once. And it never
//! multiplies an outage: retries in flight stay within a share of the requests in flight.

use serin_config::model::{Retries, RetryOn};
use serin_core::outcome::{Ending, Failure};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// A failed attempt, as far as it matters for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted {
    /// Attempts that were made, this one included.
    pub made: u32,
    pub ending: Ending,
    /// GET, HEAD, OPTIONS, PUT, DELETE (and TRACE, which is refused elsewhere).
    pub idempotent: bool,
    /// The request may have reached the endpoint, in whole or in part.
    pub sent: bool,
    /// What was sent of the body can be sent again.
    pub replayable: bool,
    /// Something of the answer has reached the client.
    pub answered: bool,
}

/// `retries`, as the request path asks it.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    retries: Retries,
}

impl RetryPolicy {
    pub fn new(retries: Retries) -> Self {
        Self { retries }
    }

    /// Whether this attempt may be followed by another; the budget is asked apart.
    pub fn wants(&self, attempted: &Attempted) -> bool {
        attempted.made <= self.retries.attempts
            && !attempted.answered
            && attempted.replayable
            && (attempted.idempotent || !attempted.sent)
            && self.retries.on.iter().any(|on| covers(*on, attempted.ending))
    }

    /// Retries that may be in flight beside so many requests.
    pub fn allowed(&self, in_flight: u64) -> u32 {
        if self.retries.attempts == 0 || self.retries.budget <= 0.0 {
            return 0;
        }
        let share = (self.retries.budget * in_flight as f64).floor();
        (share as u32).max(LEAST)
    }
}

/// A quiet service may always retry so many at once.
const LEAST: u32 = 3;

/// Before an endpoint that takes no requests is asked again.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a request waits that was refused for so many attempts: longer each time, and never as long as
/// all others that were refused with it. `random` is any number.
pub(crate) fn pause(made: u32, random: u64) -> Duration {
    let longest = PAUSE.saturating_mul(1 << made.saturating_sub(1).min(5)).min(LONGEST_PAUSE);
    let share = (random >> 32) as f64 / f64::from(u32::MAX);
    longest.mul_f64(0.5 + share / 2.0)
}

fn covers(on: RetryOn, ending: Ending) -> bool {
    match (on, ending) {
        // Of what was not looked at nothing has happened yet, as if there had been no connection.
        (RetryOn::ConnectFailure, Ending::Failed(failure)) => matches!(
            failure,
            Failure::Connect | Failure::ConnectTimeout | Failure::Tls(_) | Failure::RefusedStream
        ),
        (RetryOn::Reset, Ending::Failed(failure)) => {
            matches!(failure, Failure::Reset | Failure::RefusedStream)
        }
        (RetryOn::Timeout, Ending::Failed(failure)) => {
            matches!(failure, Failure::Timeout | Failure::ConnectTimeout)
        }
        (RetryOn::Status(expected), Ending::Answered { status, .. }) => status == expected,
        (
            RetryOn::ConnectFailure | RetryOn::Reset | RetryOn::Timeout | RetryOn::Status(_),
            Ending::Answered { .. }
            | Ending::Truncated { .. }
            | Ending::Upgraded { .. }
            | Ending::Failed(_)
            | Ending::ClientAborted,
        ) => false,
    }
}

/// The retries of one service that are in flight.
#[derive(Debug, Clone, Default)]
pub struct RetryBudget {
    in_flight: Arc<AtomicU32>,
}

impl RetryBudget {
    /// One more, if that stays within `allowed`.
    pub fn take(&self, allowed: u32) -> Option<RetryPermit> {
        let one_more = |now: u32| (now < allowed).then(|| now + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(RetryPermit { in_flight: Arc::clone(&self.in_flight) })
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }
}

/// A retry in flight; dropped when the attempt ends.
#[derive(Debug)]
pub struct RetryPermit {
    in_flight: Arc<AtomicU32>,
}

impl Drop for RetryPermit {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }
}
