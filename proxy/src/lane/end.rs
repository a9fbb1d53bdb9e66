//! The request is over: what it was is counted, and written down.

use super::fail;
use super::life::Life;
use super::trace;
use crate::accesslog::{AccessLog, Record};
use crate::meter::Answered;
use crate::thread::random;
use http::{HeaderMap, Version, header};
use pingora_core::Error;
use pingora_proxy::Session;
use serin_core::outcome::Ending;
use std::sync::Arc;
use std::time::Instant;

pub(super) fn end(log: &AccessLog, session: &Session, e: Option<&Error>, life: &mut Life) {
    let by = life.attempt.as_ref().map(|attempt| Arc::clone(&attempt.on));
    let endpoint = life.attempt.as_ref().and_then(|attempt| attempt.lease.as_ref());
    let endpoint = endpoint.map(|lease| lease.endpoint()).or(life.failed_on.as_ref()).cloned();
    let ending = ending(e, life);
    if let Some(ending) = ending {
        life.what = life.what.or(fail::what(ending));
        fail::end_attempt(life, ending);
    }
    if life.status == 0 {
        life.status = session.response_written().map_or(499, |r| r.status.as_u16());
    }
    let (received, sent) = (session.body_bytes_read() as u64, session.body_bytes_sent() as u64);
    let outcome = life.exchange.as_ref().and_then(|exchange| exchange.outcome());
    let version = life.exchange.as_ref().map(|exchange| Arc::clone(exchange.version()));
    if let Some(exchange) = life.exchange.take() {
        let by = by.as_ref().or(version.as_ref());
        if let Some(by) = by {
            exchange.finish(Answered { by, status: life.status, received, sent });
        }
    }
    if !log.wants(random()) {
        return;
    }
    let mut record = Box::new(Record::new(life.asked.client));
    let request = session.req_header();
    record.at = life.at;
    record.method = request.method.to_string();
    record.scheme = life.scheme();
    record.host = std::mem::take(&mut life.asked.host);
    record.target = std::mem::take(&mut life.asked.target);
    record.protocol = protocol(request.version);
    record.status = life.status;
    record.bytes_in = received;
    record.bytes_out = sent;
    record.duration = Instant::now().saturating_duration_since(life.began);
    record.first_byte = life.first_byte.map(|at| at.saturating_duration_since(life.began));
    record.route = life.route.as_ref().map(|route| route.name.to_string());
    record.service = life.service.as_ref().map(|service| service.name.to_string());
    record.version = version.as_ref().map(|version| version.name.to_string());
    record.endpoint = endpoint.map(|endpoint| endpoint.address.to_string());
    record.outcome = outcome.map(|outcome| outcome.as_str());
    record.what = life.what;
    record.attempts = life.attempts;
    record.rescued_by = by.filter(|_| life.stand_in).map(|by| by.name.to_string());
    record.trace_id = trace::trace_id(&life.asked.traceparent).map(str::to_owned);
    record.request_id = Some(std::mem::take(&mut life.asked.request_id));
    record.referer = text(&request.headers, &header::REFERER);
    record.user_agent = text(&request.headers, &header::USER_AGENT);
    let tls = life.visit.as_ref().and_then(|visit| visit.tls.as_ref());
    record.tls = tls.map(|tls| tls.version);
    log.write(record);
}

/// What came of the attempt under way, unless that is known already.
fn ending(e: Option<&Error>, life: &Life) -> Option<Ending> {
    let attempt = life.attempt.as_ref().filter(|attempt| !attempt.ended)?;
    Some(match (attempt.status, e) {
        (Some(101), _) => fail::upgraded(life),
        (Some(status), None) => Ending::Answered { status, grpc: attempt.grpc },
        (_, Some(_)) | (None, None) => Ending::ClientAborted,
    })
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
