//! An attempt has failed: what it was, whether another is made, and what the client is told.
//!
//! pingora only says what went wrong with which connection. Whose fault that is decides
//! everything: a client that left marks nobody, and a version's failure is counted before
//! anything is done to save the client from it.

use super::answer::AGAIN;
use super::life::{Attempt, Life, status_of};
use super::reply::Reply;
use crate::clock;
use crate::ingress::StreamFault;
use crate::upstream::{Attempted, VersionRuntime};
use pingora_core::{Error, ErrorSource, ErrorType};
use pingora_proxy::{FailToProxy, Session};
use serin_core::outcome::{Ending, Failure, Outcome, judge};
use std::sync::Arc;
use std::time::Instant;

/// Connections that died while idle, and that one request may meet, before it counts.
const MOST_STALE: u32 = 3;

pub(super) fn not_connected(
    session: &mut Session,
    life: &mut Life,
    mut e: Box<Error>,
) -> Box<Error> {
    let late = matches!(e.etype(), ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout);
    let failure = if late { Failure::ConnectTimeout } else { Failure::Connect };
    let again = failed(session, life, Ending::Failed(failure));
    e.set_retry(again);
    e
}

/// Nobody of the version is ready. Says whether another version stands in.
pub(super) fn nobody_ready(
    session: &Session,
    life: &mut Life,
    on: &Arc<VersionRuntime>,
    failure: Failure,
) -> bool {
    let ending = Ending::Failed(failure);
    let attempted = attempted(session, life, ending);
    let now = Instant::now();
    let (Some(exchange), Some(service)) = (&mut life.exchange, &life.service) else { return false };
    exchange.attempt_ended(on, ending, &life.asked.request_id, now);
    life.verdict = Some(Reply::failure(failure));
    let stand_in = service.stand_in(exchange, &attempted);
    life.stand_in |= stand_in.is_some();
    let found = stand_in.is_some();
    life.next = stand_in;
    found
}

/// The version answered with a status that may be worth another attempt.
pub(super) fn try_again_after_answer(session: &mut Session, life: &mut Life) -> bool {
    let Some(attempt) = &life.attempt else { return false };
    let Some(status) = attempt.status else { return false };
    let ending = Ending::Answered { status, grpc: attempt.grpc };
    let attempted = attempted(session, life, ending);
    let is_bad = judge(ending, &attempt.on.bad) == Outcome::Bad;
    let on = attempt.on.clone();
    if !choose_next(life, &attempted, &on, is_bad) {
        return false;
    }
    end_attempt(life, ending);
    true
}

pub(super) fn broke_off(
    session: &mut Session,
    life: &mut Life,
    mut e: Box<Error>,
    reused: bool,
) -> Box<Error> {
    if *e.etype() == AGAIN {
        return e;
    }
    let ending = ending_of(session, life, &e);
    if let Some(attempt) = &mut life.attempt {
        attempt.sent &= !never_arrived(attempt, &e);
    }
    if reused && is_stale(life, ending, &e) && attempted(session, life, ending).replayable {
        life.stale += 1;
        // Says nothing about the endpoint, and is not an attempt that counts.
        life.attempt = None;
        e.set_retry(true);
        return e;
    }
    let again = failed(session, life, ending);
    e.set_retry(again);
    e
}

/// A connection that had been kept and broke before a byte of an answer: its end was on its way
/// when the request was sent. What cannot be sent twice is not.
fn is_stale(life: &Life, ending: Ending, e: &Error) -> bool {
    let Some(attempt) = &life.attempt else { return false };
    let early = matches!(ending, Ending::Failed(Failure::Reset)) && attempt.status.is_none();
    let closed = matches!(
        e.etype(),
        ErrorType::ConnectionClosed
            | ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::H2Error
    );
    early && closed && life.stale < MOST_STALE && (life.asked.idempotent || !attempt.sent)
}

/// Whether the endpoint cannot have acted on the request: the head could not be written whole, or
/// an HTTP/2 endpoint says that it did not look at the stream.
fn never_arrived(attempt: &Attempt, e: &Error) -> bool {
    if *e.etype() == ErrorType::WriteError && !attempt.body_began {
        return true;
    }
    let Some(e) = e.root_cause().downcast_ref::<h2::Error>() else { return false };
    let refused = e.is_reset() && e.reason() == Some(h2::Reason::REFUSED_STREAM);
    e.is_remote() && (refused || e.is_go_away())
}

fn ending_of(session: &mut Session, life: &mut Life, e: &Error) -> Ending {
    let status = life.attempt.as_ref().and_then(|attempt| attempt.status);
    let failed = |failure| match status {
        Some(status) => Ending::Truncated { status },
        None => Ending::Failed(failure),
    };
    if life.verdict.is_some() {
        return Ending::ClientAborted;
    }
    match (e.esource(), life.signals.as_ref().and_then(|signals| signals.fault())) {
        (_, Some(StreamFault::ResponseOverdue)) => failed(Failure::Timeout),
        (_, Some(StreamFault::Idle)) => idle(life, status),
        (_, Some(StreamFault::BodyTooSlow)) => {
            life.verdict = Some(Reply::refused(408, "the request body came too slowly"));
            Ending::ClientAborted
        }
        (_, Some(StreamFault::BodyInvalid)) => {
            life.verdict = Some(Reply::refused(400, "the request body is not framed soundly"));
            Ending::ClientAborted
        }
        (_, Some(StreamFault::WriteStalled)) | (ErrorSource::Downstream, None) => match status {
            Some(101) => upgraded(life),
            Some(_) | None => Ending::ClientAborted,
        },
        (ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset, None) => {
            match (e.etype(), status) {
                (_, Some(101)) => upgraded(life),
                (ErrorType::ReadTimedout, None) if !session.is_body_done() => {
                    life.verdict = Some(Reply::refused(408, "the request body came too slowly"));
                    Ending::ClientAborted
                }
                (ErrorType::ReadTimedout | ErrorType::WriteTimedout, _) => failed(Failure::Timeout),
                (ErrorType::InvalidHTTPHeader | ErrorType::InvalidH2 | ErrorType::H1Error, _) => {
                    failed(Failure::Invalid)
                }
                _ => failed(Failure::Reset),
            }
        }
    }
}

/// A tunnel that went silent has ended; a body that did was broken off.
fn idle(life: &Life, status: Option<u16>) -> Ending {
    match status {
        Some(101) => upgraded(life),
        Some(status) => Ending::Truncated { status },
        None => Ending::Failed(Failure::Timeout),
    }
}

pub(super) fn upgraded(life: &Life) -> Ending {
    let code = life.attempt.as_ref().and_then(|attempt| attempt.close_code.as_ref());
    Ending::Upgraded { close_code: code.and_then(|code| code.seen()) }
}

/// Counts the failed attempt and says whether another follows.
fn failed(session: &Session, life: &mut Life, ending: Ending) -> bool {
    let attempted = attempted(session, life, ending);
    let on = life.attempt.as_ref().map(|attempt| attempt.on.clone());
    end_attempt(life, ending);
    if let Ending::Failed(failure) = ending {
        life.verdict = Some(Reply::failure(failure));
    }
    life.what = what(ending);
    let may = matches!(ending, Ending::Failed(_));
    let again = may && on.is_some_and(|on| choose_next(life, &attempted, &on, true));
    if again {
        life.verdict = None;
    }
    again
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

fn attempted(session: &Session, life: &Life, ending: Ending) -> Attempted {
    let attempt = life.attempt.as_ref();
    Attempted {
        made: life.attempts.saturating_sub(life.stale),
        ending,
        idempotent: life.asked.idempotent,
        sent: attempt.is_some_and(|attempt| attempt.connected && attempt.sent),
        replayable: life.asked.upgrade.is_none() && !session.as_ref().retry_buffer_truncated(),
        answered: session.response_written().is_some_and(|r| !r.status.is_informational()),
    }
}

/// What came of the attempt goes to its version's meter and to its endpoint.
pub(super) fn end_attempt(life: &mut Life, ending: Ending) {
    let Some(attempt) = life.attempt.as_mut().filter(|attempt| !attempt.ended) else { return };
    attempt.ended = true;
    let now = Instant::now();
    if let Some(exchange) = &mut life.exchange {
        exchange.attempt_ended(&attempt.on, ending, &life.asked.request_id, now);
    }
    if let Some(lease) = attempt.lease.take() {
        life.failed_on = Some(Arc::clone(lease.endpoint()));
        lease.finish(ending, clock::mono(now));
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

/// The last word, if the client can still hear one.
pub(super) async fn tell_client(session: &mut Session, life: &mut Life, e: &Error) -> FailToProxy {
    let begun =
        session.response_written().is_some_and(|r| !r.status.is_informational() || r.status == 101);
    let gone = *e.esource() == ErrorSource::Downstream && life.verdict.is_none();
    let mut code = 0;
    if !begun && !gone {
        let reply = life.verdict.take().unwrap_or_else(|| reply_to(e));
        code = reply.status();
        let _ = reply.closing().send(session, life).await;
    } else if gone && !begun {
        life.status = 499;
    }
    FailToProxy { error_code: code, can_reuse_downstream: false }
}

fn reply_to(e: &Error) -> Reply {
    match (e.etype(), e.esource()) {
        (ErrorType::HTTPStatus(status), _) => Reply::text(*status, "the request failed"),
        (_, ErrorSource::Downstream) => Reply::refused(400, "the request is invalid"),
        (_, ErrorSource::Upstream) => Reply::failure(Failure::Reset),
        (_, ErrorSource::Internal | ErrorSource::Unset) => {
            Reply::text(500, "the request could not be forwarded")
        }
    }
}
