//! The version's answer: what it says about the version, whether the client gets to see it, and in
//! which shape.

use super::fail::standing;
use super::websocket::CloseCode;
use crate::lane::answer::{VERSION, grpc_status, head_came as note_head};
use crate::lane::life::{Life, Upgrade};
use crate::lane::{copy, hop};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version, header};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use std::time::Instant;

/// Marks an error that only means: try again.
pub(super) const AGAIN: ErrorType = ErrorType::Custom("again");

/// A head has come, informational or final, and nothing of it has been sent.
pub(super) fn head_came(
    session: &mut Session,
    response: &ResponseHeader,
    life: &mut Life,
) -> Result<()> {
    let status = response.status;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    let changes = status == StatusCode::SWITCHING_PROTOCOLS;
    if changes && life.asked.upgrade.is_none() || !is_framed_soundly(response) {
        let why = "an answer that was not asked for, or whose end nobody knows";
        return Err(Error::explain(ErrorType::InvalidHTTPHeader, why).into_up());
    }
    let standing = standing(session, life);
    let grpc = grpc_status(&response.headers);
    if note_head(life, status.as_u16(), grpc, standing, Instant::now()) {
        let mut e = Error::new(AGAIN);
        e.set_retry(true);
        return Err(e);
    }
    copy::answer_came(life, status.as_u16(), &response.headers, Instant::now);
    let Some(attempt) = &mut life.attempt else { return Ok(()) };
    if let Some(signals) = &life.signals {
        signals.response_came(attempt.on.timeouts.idle);
        if status == StatusCode::SWITCHING_PROTOCOLS && life.asked.upgrade.is_some() {
            signals.open_tunnel();
            if life.asked.upgrade == Some(Upgrade::WebSocket) {
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

pub(super) fn body_came(body: Option<&Bytes>, life: &mut Life) {
    if let Some(body) = body {
        life.tee.answer_body(body);
    }
    if let (Some(body), Some(attempt)) = (body, &mut life.attempt)
        && let Some(code) = &mut attempt.close_code
    {
        code.watch(body);
    }
}

pub(super) fn trailers_came(trailers: &HeaderMap, life: &mut Life) {
    if let (Some(status), Some(attempt)) = (grpc_status(trailers), &mut life.attempt) {
        attempt.grpc = Some(status);
    }
}

/// The head as the client gets it.
pub(super) fn shape(
    session: &mut Session,
    response: &mut ResponseHeader,
    life: &mut Life,
) -> Result<()> {
    if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    strip(response);
    if session.req_header().version != Version::HTTP_2 {
        // Serin speaks for itself: a backend's older version is between the two of them.
        response.set_version(Version::HTTP_11);
    }
    if session.req_header().version == Version::HTTP_10 {
        // It cannot read chunks: the connection's end is the body's.
        if response.remove_header(&header::TRANSFER_ENCODING).is_some() {
            session.set_keepalive(None);
        }
    }
    if life.asked.upgrade.is_some() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        // Whatever the client sent in hope of a tunnel must not be read as a request.
        session.set_keepalive(None);
    }
    let Some(route) = &life.route else { return Ok(()) };
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
    let Some(attempt) = &life.attempt else { return Ok(()) };
    if route.expose_version {
        response.insert_header(VERSION, attempt.on.name.as_str())?;
    }
    // A version that answers in another's place does not get the user.
    if let Some(cookie) = life.set_cookie.take().filter(|_| !life.stand_in) {
        response.append_header(header::SET_COOKIE, cookie)?;
    }
    life.status = response.status.as_u16();
    Ok(())
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
