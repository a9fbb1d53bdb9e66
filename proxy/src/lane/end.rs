//! The request is over: what it was is counted, and written down.

use super::fail;
use super::life::Life;
use super::trace;
use crate::accesslog::{AccessLog, Record};
use crate::meter::Answered;
use crate::route::Fields;
use crate::spans::Finished;
use crate::thread::random;
use serin_core::outcome::Ending;
use std::sync::Arc;
use std::time::SystemTime;

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
}

pub(super) fn end(log: &AccessLog, over: &Over<'_>, life: &mut Life) {
    life.tee.over(over.broken);
    let by = life.attempt.as_ref().map(|attempt| Arc::clone(&attempt.on));
    let endpoint = life.attempt.as_ref().and_then(|attempt| attempt.lease.as_ref());
    let endpoint = endpoint.map(|lease| lease.endpoint()).or(life.failed_on.as_ref()).cloned();
    let ending = ending(over.broken, life);
    if let Some(ending) = ending {
        life.what = life.what.or(fail::what(ending));
        fail::end_attempt(life, ending);
    }
    if life.status == 0 {
        life.status = over.written.unwrap_or(499);
    }
    let (received, sent) = (over.received, over.sent);
    let outcome = life.exchange.as_ref().and_then(|exchange| exchange.outcome());
    let version = life.exchange.as_ref().map(|exchange| Arc::clone(exchange.version()));
    if let Some(exchange) = life.exchange.take() {
        let by = by.as_ref().or(version.as_ref());
        if let Some(by) = by {
            exchange.finish(Answered { by, status: life.status, received, sent });
        }
    }
    let (logged, trace) = (log.wants(random()), life.trace.take());
    if !logged && trace.is_none() {
        return;
    }
    let mut record = Box::new(Record::new(life.asked.client));
    let lasted = life.began.elapsed();
    record.at = SystemTime::now().checked_sub(lasted).unwrap_or(SystemTime::UNIX_EPOCH);
    record.began = life.began;
    record.method = over.method.to_owned();
    record.scheme = life.scheme();
    record.host = life.asked.host.clone();
    record.target = life.asked.target.clone();
    record.protocol = over.protocol;
    record.status = life.status;
    record.bytes_in = received;
    record.bytes_out = sent;
    record.duration = lasted;
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
    record.request_id = Some(life.asked.request_id.clone());
    record.referer = text(over.fields, "referer");
    record.user_agent = text(over.fields, "user-agent");
    let tls = life.visit.as_ref().and_then(|visit| visit.tls.as_ref());
    record.tls = tls.map(|tls| tls.version);
    if let (Some(trace), Some(world)) = (trace, &life.world) {
        world.spans.write(Box::new(Finished { record: (*record).clone(), trace: *trace }));
    }
    if logged {
        log.write(record);
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
