//! An attempt has failed: what that means for its version, and whether another is made.
//!
//! Whoever carries it only knows what went wrong with which connection. A version's failure
//! is counted before anything is done to save the client from it.

use crate::clock;
use crate::request::attempt::{Answer, Attempt};
use crate::request::attempts::{Attempts, about};
use crate::thread::random;
use crate::tunnel::Closed;
use crate::upstream::{Attempted, VersionRuntime, pause, trouble};
use serin_core::outcome::{Ending, Failure, Outcome, judge};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections that took no request any more when it was to be sent.
const MOST_CLOSED: u32 = 10;

/// What only whoever carries it knows: how far the request has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplayState {
    /// What was sent of the body can be sent again.
    pub(crate) replayable: bool,
    /// Something of the final answer has reached the client.
    pub(crate) answered: bool,
}

impl Attempts {
    /// Nobody of the version is ready. Says whether another version stands in.
    pub(super) fn nobody_ready(
        &mut self,
        standing: ReplayState,
        on: &Arc<VersionRuntime>,
        failure: Failure,
    ) -> bool {
        let ending = Ending::Failed(failure);
        let attempted = self.attempted(standing, None, ending);
        let assigned = &mut self.assigned;
        let about = about(&assigned.request, &assigned.route, None);
        assigned.meter.attempt_ended(on, ending, about, Instant::now());
        let Some(stand_in) = assigned.service.stand_in(&assigned.meter, &attempted) else {
            return false;
        };
        self.next = stand_in;
        self.stand_in = true;
        true
    }

    /// The version answered with a status that may be worth another attempt.
    pub(super) fn tries_again_after(
        &mut self,
        attempt: &Attempt,
        answer: Answer,
        standing: ReplayState,
    ) -> bool {
        let ending = answer.ending();
        let attempted = self.attempted(standing, Some(attempt), ending);
        let is_bad = judge(ending, &attempt.on.bad) == Outcome::Bad;
        self.choose_next(&attempted, &attempt.on, is_bad)
    }

    /// A connection that had been kept and broke before a byte of an answer: its end was on its way
    /// when the request was sent. Says nothing about the endpoint, and is not an attempt that counts;
    /// says whether the request may go over another connection, which is a new one: who breaks that off
    /// has read the request. What cannot be sent twice is not.
    pub(crate) fn was_stale(&mut self, attempt: &mut Attempt, standing: ReplayState) -> bool {
        !std::mem::replace(&mut self.met_stale, true)
            && self.is_free(attempt, standing, MOST_CLOSED)
    }

    /// A connection that waits could be as stale as the last.
    pub(crate) fn connects_anew(&self) -> bool {
        self.met_stale
    }

    /// The same of a connection of HTTP/2. What its endpoint has not looked at it could have said when it
    /// ended, so the request goes out again only as after any failure, as often as `retries` allow.
    pub(crate) fn was_lost(&mut self, attempt: &mut Attempt, standing: ReplayState) -> bool {
        let ending = Ending::Failed(Failure::Reset);
        let attempted = self.attempted(standing, Some(attempt), ending);
        let Some(permit) = self.assigned.service.retry(&attempted) else { return false };
        self.permit = Some(permit);
        true
    }

    /// Perhaps another's answer ended the connection. It goes out once more in any case, which counts as an
    /// attempt: it may have been processed.
    pub(crate) fn was_anothers(&mut self, attempt: &mut Attempt, standing: ReplayState) -> bool {
        let before = self.stale;
        let may = self.is_free(attempt, standing, MOST_CLOSED);
        self.stale = before;
        may
    }

    /// The same of a connection that takes no request any more, of which nothing was sent.
    pub(crate) fn was_closed(&mut self, attempt: &mut Attempt, standing: ReplayState) -> bool {
        attempt.sent = false;
        self.is_free(attempt, standing, MOST_CLOSED)
    }

    /// The endpoint says that it has not looked at the request. Once that is the end of a connection under
    /// way, and costs nobody anything; an endpoint that goes on so is asked again only as after any failure.
    pub(crate) fn was_refused(&mut self, attempt: &mut Attempt, standing: ReplayState) -> bool {
        attempt.sent = false;
        !std::mem::replace(&mut self.refused, true) && self.is_free(attempt, standing, MOST_CLOSED)
    }

    /// How long the retry waits that follows, of a request that was refused; no rescue waits.
    pub(crate) fn pause_before_retry(&self) -> Option<Duration> {
        let made = self.made.saturating_sub(self.stale);
        (self.refused && self.permit.is_some()).then(|| pause(made, random()))
    }

    fn is_free(&mut self, attempt: &mut Attempt, standing: ReplayState, most: u32) -> bool {
        let may = self.stale < most
            && (self.request().idempotent || !attempt.sent)
            && standing.replayable;
        if may {
            self.stale += 1;
            self.permit = attempt.permit.take();
        }
        may
    }

    /// Counts the failed attempt and says whether another follows.
    pub(crate) fn failed(
        &mut self,
        attempt: Attempt,
        standing: ReplayState,
        failure: Failure,
    ) -> bool {
        let ending = Ending::Failed(failure);
        let attempted = self.attempted(standing, Some(&attempt), ending);
        let on = Arc::clone(&attempt.on);
        self.end_attempt(attempt, ending, Instant::now());
        self.what = what(ending);
        // What this process has run out of, another attempt would lack, too.
        failure != Failure::Exhausted && self.choose_next(&attempted, &on, true)
    }

    /// A rollback has taken the candidate back while this request still waited for it. Only what may be sent
    /// twice is withdrawn.
    pub(crate) fn may_withdraw(&self, standing: ReplayState) -> bool {
        standing.replayable && self.request().idempotent && !self.stand_in
    }

    /// Stable is asked in the candidate's stead. Says nothing about the version, which may have answered yet.
    pub(crate) fn withdraw(&mut self, attempt: Attempt, now: Instant) {
        self.what = Some("withdrawn");
        self.end_attempt(attempt, Ending::ClientAborted, now);
        let stable = self.assigned.service.stable();
        (self.stand_in, self.endpoint, self.next) = (true, None, stable);
    }

    /// The attempt is over, and the request with it: it broke off for good.
    pub(crate) fn broke_off(&mut self, attempt: Attempt, ending: Ending) {
        self.what = what(ending);
        self.end_attempt(attempt, ending, Instant::now());
    }

    /// The attempt was a tunnel, and the request is over with it.
    pub(crate) fn tunnel_ended(&mut self, attempt: Attempt, closed: Option<Closed>, now: Instant) {
        let ending = match closed {
            Some(Closed::BrokenOff) => Ending::Truncated { status: 101 },
            Some(Closed::ByBackend(code)) => Ending::Upgraded { close_code: Some(code) },
            Some(Closed::ByClient) | None => Ending::Upgraded { close_code: None },
        };
        self.what = self.what.or(what(ending));
        self.end_attempt(attempt, ending, now);
    }

    /// Another attempt on the same version, or one on the version that stands in.
    fn choose_next(
        &mut self,
        attempted: &Attempted,
        on: &Arc<VersionRuntime>,
        is_bad: bool,
    ) -> bool {
        let service = &self.assigned.service;
        if let Some(permit) = service.retry(attempted) {
            self.permit = Some(permit);
            self.next = Arc::clone(on);
            return true;
        }
        if !is_bad || self.stand_in {
            return false;
        }
        let Some(stable) = service.stand_in(&self.assigned.meter, attempted) else { return false };
        self.stand_in = true;
        self.endpoint = None;
        self.next = stable;
        true
    }

    fn attempted(
        &self,
        standing: ReplayState,
        attempt: Option<&Attempt>,
        ending: Ending,
    ) -> Attempted {
        Attempted {
            made: self.made.saturating_sub(self.stale),
            ending,
            idempotent: self.request().idempotent,
            sent: attempt.is_some_and(|attempt| attempt.connected && attempt.sent),
            replayable: standing.replayable,
            answered: standing.answered,
        }
    }

    /// What came of the attempt goes to its version's meter and to its endpoint.
    pub(crate) fn end_attempt(&mut self, attempt: Attempt, ending: Ending, now: Instant) {
        let Attempt { on, lease, status, permit: _over, .. } = attempt;
        let endpoint = Arc::clone(lease.endpoint());
        let assigned = &mut self.assigned;
        let about = about(&assigned.request, &assigned.route, Some(endpoint.address));
        assigned.meter.attempt_ended(&on, ending, about, now);
        if let Some(trace) = &mut assigned.request.trace {
            trace.attempt_ended(status, what(ending), now);
        }
        if let Ending::Failed(failure @ (Failure::Connect | Failure::Tls(_))) = ending {
            endpoint.in_trouble(trouble(failure));
        }
        if !assigned.meter.excuses(ending, now) {
            let waited = lease.waited(clock::mono(self.first_byte.unwrap_or(now)));
            lease.finish(ending, waited, clock::mono(now));
        }
        (self.by, self.endpoint) = (Some(on), Some(endpoint));
    }
}

pub(super) fn what(ending: Ending) -> Option<&'static str> {
    match ending {
        Ending::Failed(failure) => Some(status_of(failure).1),
        Ending::Truncated { .. } => Some("truncated"),
        Ending::ClientAborted => Some("clientAborted"),
        Ending::Answered { .. } | Ending::Upgraded { .. } => None,
    }
}

/// What a failure is answered with, and called.
pub(super) fn status_of(failure: Failure) -> (u16, &'static str) {
    match failure {
        Failure::Connect | Failure::Tls(_) | Failure::Reset | Failure::Invalid => {
            (502, failure.as_str())
        }
        Failure::ConnectTimeout | Failure::Timeout => (504, failure.as_str()),
        Failure::RefusedStream | Failure::NoEndpoint | Failure::Exhausted => {
            (503, failure.as_str())
        }
    }
}
