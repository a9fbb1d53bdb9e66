//! The request's body on its way: counted, never kept.
//!
//! Two of pingora's habits are answered here, both of which would make one client's bytes a part of
//! another's request. An empty last piece is written as the end of a chunked body, and then the end is
//! written once more: such a piece is taken out. And a connection to the backend is kept when the
//! answer had ended before the body had: what is left of that body goes nowhere, and its end breaks
//! the exchange off, whose answer the client has.

use crate::full::is_http2;
use crate::request::context::RequestContext;
use crate::request::reply::Reply;
use bytes::Bytes;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use std::time::Instant;

/// Marks an error that only means: the answer ended first, and its connection must not be kept.
pub(crate) const ANSWERED_FIRST: ErrorType = ErrorType::Custom("answered first");

pub(crate) fn pass(
    session: &Session,
    body: &mut Option<Bytes>,
    end: bool,
    context: &mut RequestContext,
) -> Result<()> {
    watch(session, body.as_ref(), end, context)?;
    context.body_ended |= end;
    if session.was_upgraded() {
        return Ok(());
    }
    if context.answered_first {
        if end {
            return Err(Error::new(ANSWERED_FIRST));
        }
        *body = Some(Bytes::new());
    }
    if end && body.as_ref().is_some_and(Bytes::is_empty) {
        *body = None;
    }
    Ok(())
}

/// The answer has ended. From here on nothing of the request may reach its backend, unless each
/// request has a stream of its own there.
pub(crate) fn answer_ended(session: &Session, context: &mut RequestContext) {
    context.answered_first = is_early(context) && !session.was_upgraded();
}

/// An answer came over HTTP/1 before the request has ended.
pub(crate) fn is_early(context: &RequestContext) -> bool {
    !context.body_ended && context.attempt.as_ref().is_some_and(|attempt| attempt.http1)
}

/// Whether an answer is its head alone.
pub(crate) fn is_bodiless(session: &Session, response: &ResponseHeader) -> bool {
    let length = response.headers.get(http::header::CONTENT_LENGTH);
    let chunked = response.headers.contains_key(http::header::TRANSFER_ENCODING);
    session.req_header().method == http::Method::HEAD
        || matches!(response.status.as_u16(), 204 | 304)
        || !chunked && length.is_some_and(|length| length.as_bytes() == b"0")
}

fn watch(
    session: &Session,
    body: Option<&Bytes>,
    end: bool,
    context: &mut RequestContext,
) -> Result<()> {
    if let Some(attempt) = &mut context.attempt {
        attempt.body_began = true;
    }
    if session.was_upgraded() {
        return Ok(());
    }
    let Some(body) = body else {
        if end {
            context.tap.ended(Instant::now);
        }
        return Ok(());
    };
    // A retry replays what was read before; what counts is what the client has sent.
    let received = (session.body_bytes_read() as u64).max(body.len() as u64);
    context.body_received = received;
    let most = context.route.as_ref().and_then(|route| route.max_body);
    if most.is_some_and(|most| received > most) {
        context.verdict = Some(Reply::refused(413, "the request body is too large"));
        return Error::e_explain(ErrorType::HTTPStatus(413), "body over limit");
    }
    if is_too_slow(session, context, received) {
        context.verdict = Some(Reply::refused(408, "the request body came too slowly"));
        return Error::e_explain(ErrorType::HTTPStatus(408), "body too slow");
    }
    context.tap.body(body);
    if end {
        context.tap.ended(Instant::now);
    }
    Ok(())
}

/// HTTP/1 is watched by its stream. Of HTTP/2 only what comes can be watched from here.
fn is_too_slow(session: &Session, context: &RequestContext, received: u64) -> bool {
    let Some(info) = context.info.as_ref().filter(|_| is_http2(session)) else { return false };
    let limits = &info.listener.limits;
    let beyond_grace = context.began.elapsed().saturating_sub(limits.header_timeout);
    let least = beyond_grace.as_secs_f64() * limits.min_body_rate as f64;
    !context.asked.grpc && (received as f64) < least
}
