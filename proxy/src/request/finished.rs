//! The request is over: what it was is counted, and written down.

use crate::accesslog::{AccessLog, Record};
use crate::meter::{Answered, RequestMeter};
use crate::request::admit::Declined;
use crate::request::arrived::Arrived;
use crate::request::assigned::Assigned;
use crate::request::attempts::Attempts;
use crate::request::{scratch, trace};
use crate::route::{Fields, Route};
use crate::service::Service;
use crate::spans::{self, Sampled};
use crate::thread::random;
use crate::trial::Ended;
use crate::upstream::{Endpoint, VersionRuntime};
use serin_core::outcome::Outcome;
use std::time::{Instant, SystemTime};

/// The status of a request whose client was gone before it was told anything.
const GONE: u16 = 499;

/// What whoever carried it knows of a request that is over.
pub(crate) struct RequestSummary<'a> {
    pub(crate) method: &'a str,
    pub(crate) protocol: &'static str,
    pub(crate) fields: &'a dyn Fields,
    /// It did not come to its proper end.
    pub(crate) broken: bool,
    /// Bytes of the bodies.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) at: Instant,
}

/// A request that is over.
struct Finished<'a> {
    request: &'a mut Arrived,
    route: Option<&'a Route>,
    /// Of one that went to a version.
    served: Option<Served<'a>>,
    status: u16,
    what: Option<&'static str>,
}

struct Served<'a> {
    service: &'a Service,
    meter: &'a RequestMeter,
    /// Who answered, and where.
    by: &'a VersionRuntime,
    endpoint: Option<&'a Endpoint>,
    attempts: u32,
    stand_in: bool,
    first_byte: Option<Instant>,
}

impl Attempts {
    pub(crate) fn finish(mut self, log: &AccessLog, summary: &RequestSummary<'_>) {
        self.tap.over(summary.broken);
        let Assigned { request, route, service, meter, .. } = &mut self.assigned;
        let by = self.by.as_deref().unwrap_or(meter.version());
        let status = self.status.unwrap_or(GONE);
        meter.answered(Answered { by, status, received: summary.received, sent: summary.sent });
        let served = Some(Served {
            service,
            meter,
            by,
            endpoint: self.endpoint.as_deref(),
            attempts: self.made,
            stand_in: self.stand_in,
            first_byte: self.first_byte,
        });
        let (route, what) = (Some(&**route), self.what);
        Finished { request, route, served, status, what }.tell(log, summary);
        scratch::give_back(self.assigned.request.scratch);
    }
}

impl Declined {
    pub(crate) fn finish(mut self, log: &AccessLog, summary: &RequestSummary<'_>) {
        let (request, route) = (&mut self.request, self.route.as_deref());
        let (status, what) = (self.reply.status(), self.reply.what());
        Finished { request, route, served: None, status, what }.tell(log, summary);
        scratch::give_back(self.request.scratch);
    }
}

impl Finished<'_> {
    fn tell(self, log: &AccessLog, summary: &RequestSummary<'_>) {
        if let Some(ticket) = self.request.ticket.take() {
            ticket.tell(self.ended());
        }
        let logged = log.wants(random());
        if logged || self.request.trace.is_some() {
            self.write(log, logged, summary);
        }
    }

    /// What a request says about the configuration that served it. Requests are dealt to both at random,
    /// so what clients do wrong is alike in both; what Serin itself refused, and what a backend
    /// refused because it was asked wrongly, is not.
    fn ended(&self) -> Ended {
        match self.served.as_ref().and_then(|served| served.meter.outcome()) {
            Some(Outcome::Bad) => Ended::Badly,
            Some(Outcome::Excluded) => Ended::Untold,
            Some(Outcome::Good) | None if self.status == GONE => Ended::Untold,
            // Refused before any route was looked for.
            None if self.route.is_none() && self.status != 404 => Ended::Untold,
            Some(Outcome::Good) | None if self.status >= 400 => Ended::Badly,
            Some(Outcome::Good) | None => Ended::Well,
        }
    }

    /// Puts on record what the request was.
    #[cold]
    fn write(self, log: &AccessLog, logged: bool, summary: &RequestSummary<'_>) {
        let Self { request, route, served, status, what } = self;
        let mut record = Box::new(Record::new(request.client));
        let lasted = summary.at.saturating_duration_since(request.began);
        record.at = SystemTime::now().checked_sub(lasted).unwrap_or(SystemTime::UNIX_EPOCH);
        record.began = request.began;
        record.method = summary.method.to_owned();
        record.scheme = request.scheme();
        record.host = request.scratch.host.clone();
        record.target = request.scratch.target.clone();
        record.protocol = summary.protocol;
        record.status = status;
        record.bytes_in = summary.received;
        record.bytes_out = summary.sent;
        record.duration = lasted;
        record.route = route.map(|route| route.name.to_string());
        record.what = what;
        record.trace_id = trace::trace_id(&request.scratch.traceparent).map(str::to_owned);
        record.request_id = Some(request.scratch.request_id.clone());
        record.referer = text(summary.fields, "referer");
        record.user_agent = text(summary.fields, "user-agent");
        record.tls = request.info.tls.as_ref().map(|tls| tls.version);
        if let Some(served) = served {
            served.write(request.began, &mut record);
        }
        if let Some(trace) = request.trace.take() {
            let finished = spans::Finished { record: (*record).clone(), trace: *trace };
            request.generation.spans.write(Sampled::Request(Box::new(finished)));
        }
        if logged {
            log.write(record);
        }
    }
}

impl Served<'_> {
    fn write(self, began: Instant, record: &mut Record) {
        record.first_byte = self.first_byte.map(|at| at.saturating_duration_since(began));
        record.service = Some(self.service.name.to_string());
        record.version = Some(self.meter.version().name.to_string());
        record.endpoint = self.endpoint.map(|endpoint| endpoint.address.to_string());
        record.outcome = self.meter.outcome().map(|outcome| outcome.as_str());
        record.attempts = self.attempts;
        record.rescued_by = self.stand_in.then(|| self.by.name.to_string());
    }
}

fn text(fields: &dyn Fields, name: &str) -> Option<String> {
    fields.first(name).map(|value| String::from_utf8_lossy(value).into_owned())
}
