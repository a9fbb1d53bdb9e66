//! The request is over: what it was is counted, and written down.

use crate::accesslog::{AccessLog, Record};
use crate::meter::Answered;
use crate::request::context::RequestContext;
use crate::request::fail;
use crate::request::trace;
use crate::route::Fields;
use crate::spans::{Finished, Sampled};
use crate::thread::random;
use crate::trial::Ended;
use serin_core::outcome::{Ending, Outcome};
use std::time::{Instant, SystemTime};

/// What whoever carried it knows of a request that is over.
pub(crate) struct RequestSummary<'a> {
    pub(crate) method: &'a str,
    pub(crate) protocol: &'static str,
    pub(crate) fields: &'a dyn Fields,
    /// The status that was sent, if one was.
    pub(crate) written: Option<u16>,
    /// It did not come to its proper end.
    pub(crate) broken: bool,
    /// Bytes of the bodies.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) at: Instant,
}

pub(crate) fn end(log: &AccessLog, summary: &RequestSummary<'_>, context: &mut RequestContext) {
    context.tap.over(summary.broken);
    let ending = ending(summary.broken, context);
    if let Some(ending) = ending {
        context.what = context.what.or(fail::what(ending));
        fail::end_attempt(context, ending, summary.at);
    }
    if context.status == 0 {
        context.status = summary.written.unwrap_or(499);
    }
    let (received, sent) = (summary.received, summary.sent);
    let by = context.attempt.as_ref().map(|attempt| &attempt.on);
    if let Some(meter) = &context.meter {
        let by = by.unwrap_or(meter.version());
        meter.answered(Answered { by, status: context.status, received, sent });
    }
    if let Some(ticket) = context.ticket.take() {
        ticket.tell(ended(context));
    }
    let logged = log.wants(random());
    if logged || context.trace.is_some() {
        write(log, logged, summary, context);
    }
    context.meter = None;
}

/// Puts on record what the request was.
#[cold]
fn write(
    log: &AccessLog,
    logged: bool,
    summary: &RequestSummary<'_>,
    context: &mut RequestContext,
) {
    let attempt = context.attempt.as_ref();
    // An attempt that has ended has given its endpoint back.
    let lent = attempt.and_then(|attempt| attempt.lease.as_ref()).map(|lease| lease.endpoint());
    let endpoint = lent.or(context.failed_on.as_ref());
    let by = attempt.map(|attempt| &attempt.on);
    let version = context.meter.as_ref().map(|meter| meter.version());
    let outcome = context.meter.as_ref().and_then(|meter| meter.outcome());
    let mut record = Box::new(Record::new(context.asked.client));
    let lasted = summary.at.saturating_duration_since(context.began);
    record.at = SystemTime::now().checked_sub(lasted).unwrap_or(SystemTime::UNIX_EPOCH);
    record.began = context.began;
    record.method = summary.method.to_owned();
    record.scheme = context.scheme();
    record.host = context.asked.host.clone();
    record.target = context.asked.target.clone();
    record.protocol = summary.protocol;
    record.status = context.status;
    record.bytes_in = summary.received;
    record.bytes_out = summary.sent;
    record.duration = lasted;
    record.first_byte = context.first_byte.map(|at| at.saturating_duration_since(context.began));
    record.route = context.route.as_ref().map(|route| route.name.to_string());
    record.service = context.service.as_ref().map(|service| service.name.to_string());
    record.version = version.map(|version| version.name.to_string());
    record.endpoint = endpoint.map(|endpoint| endpoint.address.to_string());
    record.outcome = outcome.map(|outcome| outcome.as_str());
    record.what = context.what;
    record.attempts = context.attempts;
    record.rescued_by = by.filter(|_| context.stand_in).map(|by| by.name.to_string());
    record.trace_id = trace::trace_id(&context.asked.traceparent).map(str::to_owned);
    record.request_id = Some(context.asked.request_id.clone());
    record.referer = text(summary.fields, "referer");
    record.user_agent = text(summary.fields, "user-agent");
    let tls = context.info.as_ref().and_then(|info| info.tls.as_ref());
    record.tls = tls.map(|tls| tls.version);
    if let (Some(trace), Some(generation)) = (context.trace.take(), &context.generation) {
        let finished = Finished { record: (*record).clone(), trace: *trace };
        generation.spans.write(Sampled::Request(Box::new(finished)));
    }
    if logged {
        log.write(record);
    }
}

/// What a request says about the configuration that served it. Requests are dealt to both at random,
/// so what clients do wrong is alike in both; what Serin itself refused, and what a backend
/// refused because it was asked wrongly, is not.
fn ended(context: &RequestContext) -> Ended {
    match context.meter.as_ref().and_then(|meter| meter.outcome()) {
        Some(Outcome::Bad) => Ended::Badly,
        Some(Outcome::Excluded) => Ended::Untold,
        Some(Outcome::Good) | None if context.status == 499 => Ended::Untold,
        // Refused before any route was looked for.
        None if context.route.is_none() && context.status != 404 => Ended::Untold,
        Some(Outcome::Good) | None if context.status >= 400 => Ended::Badly,
        Some(Outcome::Good) | None => Ended::Well,
    }
}

/// What came of the attempt under way, unless that is known already.
fn ending(broken: bool, context: &RequestContext) -> Option<Ending> {
    let attempt = context.attempt.as_ref().filter(|attempt| !attempt.ended)?;
    Some(match attempt.status {
        Some(101) => fail::upgraded(context),
        Some(status) if !broken => Ending::Answered { status, grpc: attempt.grpc },
        Some(_) | None => Ending::ClientAborted,
    })
}

fn text(fields: &dyn Fields, name: &str) -> Option<String> {
    fields.first(name).map(|value| String::from_utf8_lossy(value).into_owned())
}
