//! An attempt has failed: what that means for its version, and whether another is made.
//!
//! Whoever carries it only knows what went wrong with which connection. A version's failure
//! is counted before anything is done to save the client from it.

use crate::clock;
use crate::request::context::{RequestContext, about, status_of};
use crate::request::reply::Reply;
use crate::thread::random;
use crate::tunnel::Closed;
use crate::upstream::{Attempted, VersionRuntime, pause, trouble};
use serin_core::outcome::{Ending, Failure, Outcome, judge};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections that died while idle, and that one request may meet, before it counts.
const MOST_STALE: u32 = 3;
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

/// Nobody of the version is ready. Says whether another version stands in.
pub(crate) fn nobody_ready(
    context: &mut RequestContext,
    standing: ReplayState,
    on: &Arc<VersionRuntime>,
    failure: Failure,
) -> bool {
    let ending = Ending::Failed(failure);
    let attempted = attempted(standing, context, ending);
    let now = Instant::now();
    let (Some(meter), Some(service)) = (&mut context.meter, &context.service) else { return false };
    let about = about(&context.asked, context.route.as_ref(), context.attempt.as_ref());
    meter.attempt_ended(on, ending, about, now);
    context.verdict = Some(Reply::failure(failure));
    let stand_in = service.stand_in(meter, &attempted);
    context.stand_in |= stand_in.is_some();
    let found = stand_in.is_some();
    context.next = stand_in;
    found
}

/// The version answered with a status that may be worth another attempt.
pub(crate) fn try_again_after_answer(
    context: &mut RequestContext,
    standing: ReplayState,
    now: Instant,
) -> bool {
    let Some(attempt) = &context.attempt else { return false };
    let Some(status) = attempt.status else { return false };
    let ending = Ending::Answered { status, grpc: attempt.grpc };
    let attempted = attempted(standing, context, ending);
    let is_bad = judge(ending, &attempt.on.bad) == Outcome::Bad;
    let on = attempt.on.clone();
    if !choose_next(context, &attempted, &on, is_bad) {
        return false;
    }
    end_attempt(context, ending, now);
    true
}

/// A connection that had been kept and broke before a byte of an answer: its end was on its way
/// when the request was sent. Says nothing about the endpoint, and is not an attempt that counts;
/// says whether the request may go over another connection. What cannot be sent twice is not.
pub(crate) fn was_stale(context: &mut RequestContext, standing: ReplayState) -> bool {
    is_free(context, standing, MOST_STALE)
}

/// The same of a connection that takes no request any more, of which nothing was sent.
pub(crate) fn was_closed(context: &mut RequestContext, standing: ReplayState) -> bool {
    was_not_looked_at(context);
    is_free(context, standing, MOST_CLOSED)
}

/// The endpoint says that it has not looked at the request. Once that is the end of a connection under
/// way, and costs nobody anything; an endpoint that goes on so is asked again only as after any failure.
pub(crate) fn was_refused(context: &mut RequestContext, standing: ReplayState) -> bool {
    was_not_looked_at(context);
    !std::mem::replace(&mut context.refused, true) && is_free(context, standing, MOST_CLOSED)
}

fn was_not_looked_at(context: &mut RequestContext) {
    if let Some(attempt) = &mut context.attempt {
        attempt.sent = false;
    }
}

/// How long the retry waits that follows, of a request that was refused; no rescue waits.
pub(crate) fn pause_before_retry(context: &RequestContext) -> Option<Duration> {
    let made = context.attempts.saturating_sub(context.stale);
    (context.refused && context.permit.is_some()).then(|| pause(made, random()))
}

fn is_free(context: &mut RequestContext, standing: ReplayState, most: u32) -> bool {
    let Some(attempt) = &context.attempt else { return false };
    let may = attempt.status.is_none()
        && context.stale < most
        && (context.asked.idempotent || !attempt.sent)
        && attempted(standing, context, Ending::Failed(Failure::Reset)).replayable;
    if may {
        context.stale += 1;
        context.attempt = None;
    }
    may
}

pub(crate) fn upgraded(context: &RequestContext) -> Ending {
    let Some(attempt) = &context.attempt else { return Ending::Upgraded { close_code: None } };
    match attempt.closed {
        Some(Closed::BrokenOff) => Ending::Truncated { status: 101 },
        Some(Closed::ByBackend(code)) => Ending::Upgraded { close_code: Some(code) },
        Some(Closed::ByClient) | None => Ending::Upgraded { close_code: None },
    }
}

/// Counts the failed attempt and says whether another follows.
pub(crate) fn failed(context: &mut RequestContext, standing: ReplayState, ending: Ending) -> bool {
    let attempted = attempted(standing, context, ending);
    let on = context.attempt.as_ref().map(|attempt| attempt.on.clone());
    end_attempt(context, ending, Instant::now());
    if let Ending::Failed(failure) = ending {
        context.verdict = Some(Reply::failure(failure));
    }
    context.what = what(ending);
    // What this process has run out of, another attempt would lack, too.
    let may = matches!(ending, Ending::Failed(failure) if failure != Failure::Exhausted);
    let again = may && on.is_some_and(|on| choose_next(context, &attempted, &on, true));
    if again {
        context.verdict = None;
    }
    again
}

/// A rollback has taken the candidate back while this request still waited for it: stable is asked in
/// its stead. Says nothing about the version, which may have answered yet. Only what may be sent
/// twice is withdrawn.
pub(crate) fn withdraw(context: &mut RequestContext, standing: ReplayState, now: Instant) -> bool {
    if !standing.replayable || !context.asked.idempotent || context.stand_in {
        return false;
    }
    let Some(service) = &context.service else { return false };
    let stable = service.stable();
    context.what = Some("withdrawn");
    end_attempt(context, Ending::ClientAborted, now);
    (context.stand_in, context.failed_on, context.next) = (true, None, Some(stable));
    true
}

/// Another attempt on the same version, or one on the version that stands in.
fn choose_next(
    context: &mut RequestContext,
    attempted: &Attempted,
    on: &Arc<VersionRuntime>,
    is_bad: bool,
) -> bool {
    let (Some(service), Some(meter)) = (&context.service, &context.meter) else { return false };
    if let Some(permit) = service.retry(attempted) {
        context.permit = Some(permit);
        context.next = Some(Arc::clone(on));
        return true;
    }
    if !is_bad || context.stand_in {
        return false;
    }
    let Some(stable) = service.stand_in(meter, attempted) else { return false };
    context.stand_in = true;
    context.failed_on = None;
    context.next = Some(stable);
    true
}

fn attempted(standing: ReplayState, context: &RequestContext, ending: Ending) -> Attempted {
    let attempt = context.attempt.as_ref();
    Attempted {
        made: context.attempts.saturating_sub(context.stale),
        ending,
        idempotent: context.asked.idempotent,
        sent: attempt.is_some_and(|attempt| attempt.connected && attempt.sent),
        replayable: standing.replayable,
        answered: standing.answered,
    }
}

/// What came of the attempt goes to its version's meter and to its endpoint.
pub(crate) fn end_attempt(context: &mut RequestContext, ending: Ending, now: Instant) {
    let Some(attempt) = context.attempt.as_mut().filter(|attempt| !attempt.ended) else { return };
    attempt.ended = true;
    if let Some(meter) = &mut context.meter {
        let about = about(&context.asked, context.route.as_ref(), Some(&*attempt));
        meter.attempt_ended(&attempt.on, ending, about, now);
    }
    if let Some(trace) = &mut context.trace {
        trace.attempt_ended(attempt.status, what(ending), now);
    }
    if let Some(lease) = attempt.lease.take() {
        if let Ending::Failed(failure @ (Failure::Connect | Failure::Tls(_))) = ending {
            lease.endpoint().in_trouble(trouble(failure));
        }
        context.failed_on = Some(Arc::clone(lease.endpoint()));
        let excused = context.meter.as_ref().is_some_and(|e| e.excuses(ending, now));
        if !excused {
            let waited = lease.waited(clock::mono(context.first_byte.unwrap_or(now)));
            lease.finish(ending, waited, clock::mono(now));
        }
    }
    context.permit = None;
}

pub(crate) fn what(ending: Ending) -> Option<&'static str> {
    match ending {
        Ending::Failed(failure) => Some(status_of(failure).1),
        Ending::Truncated { .. } => Some("truncated"),
        Ending::ClientAborted => Some("clientAborted"),
        Ending::Answered { .. } | Ending::Upgraded { .. } => None,
    }
}
