//! What pingora's errors mean.
//!
//! pingora only says what went wrong with which connection. Whose fault that is decides
//! everything: a client that left marks nobody.

use crate::downstream::signals::StreamFault;
use crate::full::answer::AGAIN;
use crate::full::body::ANSWERED_FIRST;
use crate::full::is_http2;
use crate::full::reply::send;
use crate::request::answer as meaning;
use crate::request::context::{Attempt, RequestContext};
use crate::request::fail::{ReplayState, failed, upgraded, was_stale};
use crate::request::reply::Reply;
use crate::upstream::failure_of;
use pingora_core::{Error, ErrorSource, ErrorType};
use pingora_proxy::{FailToProxy, Session};
use serin_core::outcome::{Ending, Failure};

/// A connection was made, and given back: see [`crate::exhaustion`].
pub(crate) const EXHAUSTED: ErrorType = ErrorType::Custom("exhausted");

pub(crate) fn standing(session: &Session, context: &RequestContext) -> ReplayState {
    ReplayState {
        replayable: context.asked.upgrade.is_none() && !session.as_ref().retry_buffer_truncated(),
        answered: session.response_written().is_some_and(|r| !r.status.is_informational()),
    }
}

pub(crate) fn not_connected(
    session: &mut Session,
    context: &mut RequestContext,
    mut e: Box<Error>,
) -> Box<Error> {
    let failure = failure_of(&e);
    let again = failed(context, standing(session, context), Ending::Failed(failure));
    e.set_retry(again);
    e
}

pub(crate) fn broke_off(
    session: &mut Session,
    context: &mut RequestContext,
    mut e: Box<Error>,
    reused: bool,
) -> Box<Error> {
    if *e.etype() == AGAIN {
        return e;
    }
    if *e.etype() == ANSWERED_FIRST {
        e.set_retry(false);
        return e;
    }
    let ending = ending_of(session, context, &e);
    if let Some(attempt) = &mut context.attempt {
        attempt.sent &= !never_arrived(attempt, &e);
    }
    let standing = standing(session, context);
    if reused && looks_stale(ending, &e) && was_stale(context, standing) {
        e.set_retry(true);
        return e;
    }
    let again = failed(context, standing, ending);
    e.set_retry(again);
    e
}

fn looks_stale(ending: Ending, e: &Error) -> bool {
    matches!(ending, Ending::Failed(Failure::Reset))
        && matches!(
            e.etype(),
            ErrorType::ConnectionClosed
                | ErrorType::ReadError
                | ErrorType::WriteError
                | ErrorType::H2Error
        )
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

fn ending_of(session: &mut Session, context: &mut RequestContext, e: &Error) -> Ending {
    let status = context.attempt.as_ref().and_then(|attempt| attempt.status);
    let failed = |failure| match status {
        Some(status) => Ending::Truncated { status },
        None => Ending::Failed(failure),
    };
    if context.verdict.is_some() {
        return Ending::ClientAborted;
    }
    match (e.esource(), context.signals.as_ref().and_then(|signals| signals.fault())) {
        (_, Some(StreamFault::ResponseOverdue)) => failed(Failure::Timeout),
        (_, Some(StreamFault::Idle)) => idle(context, status),
        (_, Some(StreamFault::BodyTooSlow)) => {
            context.verdict = Some(Reply::refused(408, "the request body came too slowly"));
            Ending::ClientAborted
        }
        (_, Some(StreamFault::BodyInvalid)) => {
            context.verdict = Some(Reply::refused(400, "the request body is not framed soundly"));
            Ending::ClientAborted
        }
        (_, Some(StreamFault::WriteStalled)) | (ErrorSource::Downstream, None) => match status {
            Some(101) => upgraded(context),
            Some(_) | None => Ending::ClientAborted,
        },
        (ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset, None) => {
            match (e.etype(), status) {
                (etype, _) if *etype == EXHAUSTED => failed(Failure::Exhausted),
                (_, Some(101)) => upgraded(context),
                (ErrorType::ReadTimedout, None) if !session.is_body_done() => {
                    context.verdict = Some(Reply::refused(408, "the request body came too slowly"));
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
fn idle(context: &RequestContext, status: Option<u16>) -> Ending {
    match status {
        Some(101) => upgraded(context),
        Some(status) => Ending::Truncated { status },
        None => Ending::Failed(Failure::Timeout),
    }
}

/// The last word, if the client can still hear one.
pub(crate) async fn tell_client(
    session: &mut Session,
    context: &mut RequestContext,
    e: &Error,
) -> FailToProxy {
    let begun =
        session.response_written().is_some_and(|r| !r.status.is_informational() || r.status == 101);
    let gone = *e.esource() == ErrorSource::Downstream && context.verdict.is_none();
    let mut code = 0;
    if begun && !gone && context.asked.grpc && is_http2(session) {
        break_off_grpc(session).await;
    } else if !begun && !gone {
        let reply = context.verdict.take().unwrap_or_else(|| reply_to(e));
        code = reply.status();
        let _ = send(reply.closing(), session, context).await;
    } else if gone && !begun {
        context.status = 499;
    }
    FailToProxy { error_code: code, can_reuse_downstream: false }
}

async fn break_off_grpc(session: &mut Session) {
    // A client that cannot be told any more is reset.
    let _ = session.as_mut().write_response_trailers(meaning::broken_off(None)).await;
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
