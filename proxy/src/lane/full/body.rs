//! The request's body on its way: counted, never kept.

use crate::lane::life::Life;
use crate::lane::reply::Reply;
use bytes::Bytes;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::time::Instant;

pub(super) fn pass(
    session: &Session,
    body: Option<&Bytes>,
    end: bool,
    life: &mut Life,
) -> Result<()> {
    if let Some(attempt) = &mut life.attempt {
        attempt.body_began = true;
    }
    if session.was_upgraded() {
        return Ok(());
    }
    let Some(body) = body else {
        if end {
            life.tee.ended(Instant::now);
        }
        return Ok(());
    };
    // A retry replays what was read before; what counts is what the client has sent.
    let received = (session.body_bytes_read() as u64).max(body.len() as u64);
    life.body_received = received;
    let most = life.route.as_ref().and_then(|route| route.max_body);
    if most.is_some_and(|most| received > most) {
        life.verdict = Some(Reply::refused(413, "the request body is too large"));
        return Error::e_explain(ErrorType::HTTPStatus(413), "body over limit");
    }
    if is_too_slow(session, life, received) {
        life.verdict = Some(Reply::refused(408, "the request body came too slowly"));
        return Error::e_explain(ErrorType::HTTPStatus(408), "body too slow");
    }
    life.tee.body(body);
    if end {
        life.tee.ended(Instant::now);
    }
    Ok(())
}

/// HTTP/1 is watched by its stream. Of HTTP/2 only what comes can be watched from here.
fn is_too_slow(session: &Session, life: &Life, received: u64) -> bool {
    let Some(visit) = life.visit.as_ref().filter(|_| session.is_http2()) else { return false };
    let limits = &visit.listener.limits;
    let beyond_grace = life.began.elapsed().saturating_sub(limits.header_timeout);
    let least = beyond_grace.as_secs_f64() * limits.min_body_rate as f64;
    !life.asked.grpc && (received as f64) < least
}
