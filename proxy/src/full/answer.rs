//! The version's answer: what it says about the version, whether the client gets to see it, and in
//! which shape.

use crate::full::body::{answer_ended, is_bodiless, is_early};
use crate::full::fail::standing;
use crate::full::is_http2;
use crate::request::answer::{VERSION, grpc_status, head_came as note_head};
use crate::request::context::RequestContext;
use crate::request::{copy, hop};
use crate::tunnel::{CloseCode, Upgrade, agrees};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, Version, header};
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use std::time::Instant;

/// Marks an error that only means: try again.
pub(crate) const AGAIN: ErrorType = ErrorType::Custom("again");

/// A head has come, informational or final, and nothing of it has been sent.
pub(crate) fn head_came(
    session: &mut Session,
    response: &ResponseHeader,
    context: &mut RequestContext,
) -> Result<()> {
    let status = response.status;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    let changes = status == StatusCode::SWITCHING_PROTOCOLS;
    let as_asked =
        context.asked.upgrade.is_some() && agrees(&context.asked.protocol, &response.headers);
    let unasked = changes && !as_asked;
    if unasked || !is_framed_soundly(response) {
        let why = "an answer that was not asked for, or whose end nobody knows";
        return Err(Error::explain(ErrorType::InvalidHTTPHeader, why).into_up());
    }
    let standing = standing(session, context);
    let grpc = grpc_status(&response.headers);
    if note_head(context, status.as_u16(), grpc, standing, Instant::now()) {
        let mut e = Error::new(AGAIN);
        e.set_retry(true);
        return Err(e);
    }
    copy::answer_came(context, status.as_u16(), &response.headers, Instant::now);
    let http1 = response.version != Version::HTTP_2;
    if let Some(attempt) = &mut context.attempt {
        attempt.http1 = http1;
    }
    if !changes && is_bodiless(session, response) {
        answer_ended(session, context);
    }
    let Some(attempt) = &mut context.attempt else { return Ok(()) };
    if let Some(signals) = &context.signals {
        signals.response_came(attempt.on.timeouts.idle);
        if status == StatusCode::SWITCHING_PROTOCOLS && context.asked.upgrade.is_some() {
            signals.open_tunnel();
            if context.asked.upgrade == Some(Upgrade::WebSocket) {
                attempt.close_code = Some(CloseCode::default());
            }
        }
    }
    Ok(())
}

/// What pingora leaves to whoever reads next: a coding that is none, or of a version that knows none.
fn is_framed_soundly(response: &ResponseHeader) -> bool {
    let mut codings = response.headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return true };
    codings.next().is_none()
        && response.version == Version::HTTP_11
        && coding.as_bytes().eq_ignore_ascii_case(b"chunked")
}

pub(crate) fn body_came(body: Option<&Bytes>, context: &mut RequestContext) {
    if let Some(body) = body {
        context.tap.answer_body(body);
    }
    if let (Some(body), Some(attempt)) = (body, &mut context.attempt)
        && let Some(code) = &mut attempt.close_code
    {
        code.watch(body);
    }
}

/// The head as the client gets it.
pub(crate) fn shape(
    session: &mut Session,
    response: &mut ResponseHeader,
    context: &mut RequestContext,
) -> Result<()> {
    if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    let http2 = session.req_header().version == Version::HTTP_2;
    if !http2 || response.version != Version::HTTP_2 {
        // Trailers pass between HTTP/2 and HTTP/2 alone.
        response.remove_header(&header::TRAILER);
    }
    strip(response);
    name_length_once(response)?;
    if !http2 {
        // Serin speaks for itself: a backend's older version is between the two of them.
        response.set_version(Version::HTTP_11);
    }
    if session.req_header().version == Version::HTTP_10 {
        // It cannot read chunks: the connection's end is the body's.
        if response.remove_header(&header::TRANSFER_ENCODING).is_some() {
            session.set_keepalive(None);
        }
    }
    if is_early(context) && !is_http2(session) {
        // Its connection ends with the answer, should that end first, and the client is told so now.
        session.set_keepalive(None);
    }
    if context.asked.upgrade.is_some() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        // Whatever the client sent in hope of a tunnel must not be read as a request.
        session.set_keepalive(None);
    }
    let Some(route) = &context.route else { return Ok(()) };
    let edits = &route.response;
    for name in &edits.remove {
        response.remove_header(name);
    }
    for (name, value) in &edits.set {
        response.insert_header(name.clone(), value.clone())?;
    }
    for (name, value) in &edits.add {
        response.append_header(name.clone(), value.clone())?;
    }
    let Some(attempt) = &context.attempt else { return Ok(()) };
    if route.expose_version {
        response.insert_header(VERSION, attempt.on.name.as_str())?;
    }
    // A version that answers in another's place does not get the user.
    if let Some(cookie) = context.set_cookie.take().filter(|_| !context.stand_in) {
        response.append_header(header::SET_COOKIE, cookie)?;
    }
    context.status = response.status.as_u16();
    Ok(())
}

/// One length, however often it was said, and none where the status has no body.
fn name_length_once(response: &mut ResponseHeader) -> Result<()> {
    if response.status.is_informational() || matches!(response.status.as_u16(), 204 | 304) {
        response.remove_header(&header::CONTENT_LENGTH);
        response.remove_header(&header::TRANSFER_ENCODING);
        return Ok(());
    }
    let mut lines = response.headers.get_all(header::CONTENT_LENGTH).iter();
    let (Some(first), second) = (lines.next(), lines.next()) else { return Ok(()) };
    let mut items = first.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let (Some(length), again) = (items.next(), items.next()) else { return Ok(()) };
    if second.is_none() && again.is_none() {
        return Ok(());
    }
    // pingora has seen to it that all of them are equal.
    let length = HeaderValue::from_bytes(length)
        .or_err_with(ErrorType::InvalidHTTPHeader, || "a length that is none")?;
    response.insert_header(header::CONTENT_LENGTH, length)
}

fn strip(response: &mut ResponseHeader) {
    let switching = response.status == StatusCode::SWITCHING_PROTOCOLS;
    let listed = hop::Listed::of(&response.headers);
    let ends = |name: &&header::HeaderName| {
        hop::response_ends_here(name.as_str().as_bytes(), switching, &listed)
    };
    let gone: Vec<header::HeaderName> = response.headers.keys().filter(ends).cloned().collect();
    for name in gone {
        response.remove_header(&name);
    }
}
