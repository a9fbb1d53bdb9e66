//! The request is over: what it was is counted, and written down.

use super::fail;
use super::life::Life;
use super::trace;
use crate::accesslog::{AccessLog, Record};
use crate::meter::Answered;
use crate::route::Fields;
use crate::spans::{Finished, Sampled};
use crate::thread::random;
use crate::trial::Ended;
use serin_core::outcome::{Ending, Outcome};
use std::time::{Instant, SystemTime};

/// What the lane knows of a request that is over.
pub(super) struct Over<'a> {
    pub(super) method: &'a str,
    pub(super) protocol: &'static str,
    pub(super) fields: &'a dyn Fields,
    /// The status that was sent, if one was.
    pub(super) written: Option<u16>,
    /// It did not come to its proper end.
    pub(super) broken: bool,
    /// Bytes of the bodies.
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) at: Instant,
}

pub(super) fn end(log: &AccessLog, over: &Over<'_>, life: &mut Life) {
    life.tee.over(over.broken);
    let ending = ending(over.broken, life);
    if let Some(ending) = ending {
        life.what = life.what.or(fail::what(ending));
        fail::end_attempt(life, ending, over.at);
    }
    if life.status == 0 {
        life.status = over.written.unwrap_or(499);
    }
    let (received, sent) = (over.received, over.sent);
    let by = life.attempt.as_ref().map(|attempt| &attempt.on);
    if let Some(exchange) = &life.exchange {
        let by = by.unwrap_or(exchange.version());
        exchange.answered(Answered { by, status: life.status, received, sent });
    }
    if let Some(ticket) = life.ticket.take() {
        ticket.tell(ended(life));
    }
    let logged = log.wants(random());
    if logged || life.trace.is_some() {
        write(log, logged, over, life);
    }
    life.exchange = None;
}

/// Puts on record what the request was.
#[cold]
fn write(log: &AccessLog, logged: bool, over: &Over<'_>, life: &mut Life) {
    let attempt = life.attempt.as_ref();
    // An attempt that has ended has given its endpoint back.
    let lent = attempt.and_then(|attempt| attempt.lease.as_ref()).map(|lease| lease.endpoint());
    let endpoint = lent.or(life.failed_on.as_ref());
    let by = attempt.map(|attempt| &attempt.on);
    let version = life.exchange.as_ref().map(|exchange| exchange.version());
    let outcome = life.exchange.as_ref().and_then(|exchange| exchange.outcome());
    let mut record = Box::new(Record::new(life.asked.client));
    let lasted = over.at.saturating_duration_since(life.began);
    record.at = SystemTime::now().checked_sub(lasted).unwrap_or(SystemTime::UNIX_EPOCH);
    record.began = life.began;
    record.method = over.method.to_owned();
    record.scheme = life.scheme();
    record.host = life.asked.host.clone();
    record.target = life.asked.target.clone();
    record.protocol = over.protocol;
    record.status = life.status;
    record.bytes_in = over.received;
    record.bytes_out = over.sent;
    record.duration = lasted;
    record.first_byte = life.first_byte.map(|at| at.saturating_duration_since(life.began));
    record.route = life.route.as_ref().map(|route| route.name.to_string());
    record.service = life.service.as_ref().map(|service| service.name.to_string());
    record.version = version.map(|version| version.name.to_string());
    record.endpoint = endpoint.map(|endpoint| endpoint.address.to_string());
    record.outcome = outcome.map(|outcome| outcome.as_str());
    record.what = life.what;
    record.attempts = life.attempts;
    record.rescued_by = by.filter(|_| life.stand_in).map(|by| by.name.to_string());
    record.trace_id = trace::trace_id(&life.asked.traceparent).map(str::to_owned);
    record.request_id = Some(life.asked.request_id.clone());
    record.referer = text(over.fields, "referer");
    record.user_agent = text(over.fields, "user-agent");
    let tls = life.visit.as_ref().and_then(|visit| visit.tls.as_ref());
    record.tls = tls.map(|tls| tls.version);
    if let (Some(trace), Some(world)) = (life.trace.take(), &life.world) {
        let finished = Finished { record: (*record).clone(), trace: *trace };
        world.spans.write(Sampled::Request(Box::new(finished)));
    }
    if logged {
        log.write(record);
    }
}

/// What a request says about the configuration that served it. Requests are dealt to both at random,
/// so what clients do wrong is alike in both; what Serin itself refused, and what a backend
/// refused because it was asked wrongly, is not.
fn ended(life: &Life) -> Ended {
    match life.exchange.as_ref().and_then(|exchange| exchange.outcome()) {
        Some(Outcome::Bad) => Ended::Badly,
        Some(Outcome::Excluded) => Ended::Untold,
        Some(Outcome::Good) | None if life.status == 499 => Ended::Untold,
        // Refused before any route was looked for.
        None if life.route.is_none() && life.status != 404 => Ended::Untold,
        Some(Outcome::Good) | None if life.status >= 400 => Ended::Badly,
        Some(Outcome::Good) | None => Ended::Well,
    }
}

/// What came of the attempt under way, unless that is known already.
fn ending(broken: bool, life: &Life) -> Option<Ending> {
    let attempt = life.attempt.as_ref().filter(|attempt| !attempt.ended)?;
    Some(match attempt.status {
        Some(101) => fail::upgraded(life),
        Some(status) if !broken => Ending::Answered { status, grpc: attempt.grpc },
        Some(_) | None => Ending::ClientAborted,
    })
}

fn text(fields: &dyn Fields, name: &str) -> Option<String> {
    fields.first(name).map(|value| String::from_utf8_lossy(value).into_owned())
}
