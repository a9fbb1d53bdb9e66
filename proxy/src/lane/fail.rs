//! An attempt has failed: what that means for its version, and whether another is made.
//!
//! Both lanes ask here; they only know what went wrong with which connection. A version's failure
//! is counted before anything is done to save the client from it.

use super::life::{Life, about, status_of};
use super::reply::Reply;
use crate::clock;
use crate::upstream::{Attempted, VersionRuntime, trouble};
use serin_core::outcome::{Ending, Failure, Outcome, judge};
use std::sync::Arc;
use std::time::Instant;

/// Connections that died while idle, and that one request may meet, before it counts.
const MOST_STALE: u32 = 3;
/// Streams of one request that endpoints have not looked at.
const MOST_UNSEEN: u32 = 10;

/// What only the lane knows: how far the request has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// What was sent of the body can be sent again.
    pub(super) replayable: bool,
    /// Something of the final answer has reached the client.
    pub(super) answered: bool,
}

/// Nobody of the version is ready. Says whether another version stands in.
pub(super) fn nobody_ready(
    life: &mut Life,
    standing: Standing,
    on: &Arc<VersionRuntime>,
    failure: Failure,
) -> bool {
    let ending = Ending::Failed(failure);
    let attempted = attempted(standing, life, ending);
    let now = Instant::now();
    let (Some(exchange), Some(service)) = (&mut life.exchange, &life.service) else { return false };
    let about = about(&life.asked, life.route.as_ref(), life.attempt.as_ref());
    exchange.attempt_ended(on, ending, about, now);
    life.verdict = Some(Reply::failure(failure));
    let stand_in = service.stand_in(exchange, &attempted);
    life.stand_in |= stand_in.is_some();
    let found = stand_in.is_some();
    life.next = stand_in;
    found
}

/// The version answered with a status that may be worth another attempt.
pub(super) fn try_again_after_answer(life: &mut Life, standing: Standing, now: Instant) -> bool {
    let Some(attempt) = &life.attempt else { return false };
    let Some(status) = attempt.status else { return false };
    let ending = Ending::Answered { status, grpc: attempt.grpc };
    let attempted = attempted(standing, life, ending);
    let is_bad = judge(ending, &attempt.on.bad) == Outcome::Bad;
    let on = attempt.on.clone();
    if !choose_next(life, &attempted, &on, is_bad) {
        return false;
    }
    end_attempt(life, ending, now);
    true
}

/// A connection that had been kept and broke before a byte of an answer: its end was on its way
/// when the request was sent. Says nothing about the endpoint, and is not an attempt that counts;
/// says whether the request may go over another connection. What cannot be sent twice is not.
pub(super) fn was_stale(life: &mut Life, standing: Standing) -> bool {
    is_free(life, standing, MOST_STALE)
}

/// The same of a request that the endpoint says it has not looked at.
pub(super) fn was_unseen(life: &mut Life, standing: Standing) -> bool {
    if let Some(attempt) = &mut life.attempt {
        attempt.sent = false;
    }
    is_free(life, standing, MOST_UNSEEN)
}

fn is_free(life: &mut Life, standing: Standing, most: u32) -> bool {
    let Some(attempt) = &life.attempt else { return false };
    let may = attempt.status.is_none()
        && life.stale < most
        && (life.asked.idempotent || !attempt.sent)
        && attempted(standing, life, Ending::Failed(Failure::Reset)).replayable;
    if may {
        life.stale += 1;
        life.attempt = None;
    }
    may
}

pub(super) fn upgraded(life: &Life) -> Ending {
    let code = life.attempt.as_ref().and_then(|attempt| attempt.close_code.as_ref());
    Ending::Upgraded { close_code: code.and_then(|code| code.seen()) }
}

/// Counts the failed attempt and says whether another follows.
pub(super) fn failed(life: &mut Life, standing: Standing, ending: Ending) -> bool {
    let attempted = attempted(standing, life, ending);
    let on = life.attempt.as_ref().map(|attempt| attempt.on.clone());
    end_attempt(life, ending, Instant::now());
    if let Ending::Failed(failure) = ending {
        life.verdict = Some(Reply::failure(failure));
    }
    life.what = what(ending);
    // What this process has run out of, another attempt would lack, too.
    let may = matches!(ending, Ending::Failed(failure) if failure != Failure::Exhausted);
    let again = may && on.is_some_and(|on| choose_next(life, &attempted, &on, true));
    if again {
        life.verdict = None;
    }
    again
}

/// A rollback has taken the candidate back while this request still waited for it: stable is asked in
/// its stead. Says nothing about the version, which may have answered yet. Only what may be sent
/// twice is withdrawn.
pub(super) fn withdraw(life: &mut Life, standing: Standing, now: Instant) -> bool {
    if !standing.replayable || !life.asked.idempotent || life.stand_in {
        return false;
    }
    let Some(service) = &life.service else { return false };
    let stable = service.stable();
    life.what = Some("withdrawn");
    end_attempt(life, Ending::ClientAborted, now);
    (life.stand_in, life.failed_on, life.next) = (true, None, Some(stable));
    true
}

/// Another attempt on the same version, or one on the version that stands in.
fn choose_next(
    life: &mut Life,
    attempted: &Attempted,
    on: &Arc<VersionRuntime>,
    is_bad: bool,
) -> bool {
    let (Some(service), Some(exchange)) = (&life.service, &life.exchange) else { return false };
    if let Some(permit) = service.retry(attempted) {
        life.permit = Some(permit);
        life.next = Some(Arc::clone(on));
        return true;
    }
    if !is_bad || life.stand_in {
        return false;
    }
    let Some(stable) = service.stand_in(exchange, attempted) else { return false };
    life.stand_in = true;
    life.failed_on = None;
    life.next = Some(stable);
    true
}

fn attempted(standing: Standing, life: &Life, ending: Ending) -> Attempted {
    let attempt = life.attempt.as_ref();
    Attempted {
        made: life.attempts.saturating_sub(life.stale),
        ending,
        idempotent: life.asked.idempotent,
        sent: attempt.is_some_and(|attempt| attempt.connected && attempt.sent),
        replayable: standing.replayable,
        answered: standing.answered,
    }
}

/// What came of the attempt goes to its version's meter and to its endpoint.
pub(super) fn end_attempt(life: &mut Life, ending: Ending, now: Instant) {
    let Some(attempt) = life.attempt.as_mut().filter(|attempt| !attempt.ended) else { return };
    attempt.ended = true;
    if let Some(exchange) = &mut life.exchange {
        let about = about(&life.asked, life.route.as_ref(), Some(&*attempt));
        exchange.attempt_ended(&attempt.on, ending, about, now);
    }
    if let Some(trace) = &mut life.trace {
        trace.attempt_ended(attempt.status, what(ending), now);
    }
    if let Some(lease) = attempt.lease.take() {
        if let Ending::Failed(failure @ (Failure::Connect | Failure::Tls(_))) = ending {
            lease.endpoint().in_trouble(trouble(failure));
        }
        life.failed_on = Some(Arc::clone(lease.endpoint()));
        let excused = life.exchange.as_ref().is_some_and(|e| e.excuses(ending, now));
        if !excused {
            lease.finish(ending, clock::mono(now));
        }
    }
    life.permit = None;
}

pub(super) fn what(ending: Ending) -> Option<&'static str> {
    match ending {
        Ending::Failed(failure) => Some(status_of(failure).1),
        Ending::Truncated { .. } => Some("truncated"),
        Ending::ClientAborted => Some("clientAborted"),
        Ending::Answered { .. } | Ending::Upgraded { .. } => None,
    }
}
