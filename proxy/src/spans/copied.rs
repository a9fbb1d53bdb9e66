//! A copy that was sent to a shadow, as the span that its trace begins with.
//!
//! It is in a trace of its own, because no user waited for it, and links to the attempt whose copy it
//! is: from either of the two a viewer of traces leads to the other.

use super::shape::{span, status};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{SpanData, SpanLinks};
use std::time::{Duration, SystemTime};

/// A span, by its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) trace: u128,
    pub(crate) span: u64,
}

/// A sampled copy that is over.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) at: SystemTime,
    pub(crate) lasted: Duration,
    pub(crate) own: Place,
    pub(crate) of: Place,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) service: String,
    pub(crate) route: String,
    pub(crate) version: String,
    pub(crate) status: Option<u16>,
    pub(crate) failure: Option<&'static str>,
}

pub(super) fn shaped(copied: Copied) -> SpanData {
    let Place { trace, span: own } = copied.own;
    let mut made = span(TraceId::from(trace), own, None, SpanKind::Client);
    made.name = copied.method.clone().into();
    made.start_time = copied.at;
    made.end_time = copied.at + copied.lasted;
    made.status = status(copied.failure, copied.status, 400);
    made.links = client(copied.of);
    let texts = [
        ("http.request.method", copied.method),
        ("url.path", copied.path),
        ("serin.service", copied.service),
        ("serin.route", copied.route),
        ("serin.version", copied.version),
    ];
    made.attributes = texts.map(|(name, text)| KeyValue::new(name, text)).into();
    made.attributes.push(KeyValue::new("serin.shadow", true));
    let code = copied.status.map(|s| KeyValue::new("http.response.status_code", i64::from(s)));
    made.attributes.extend(code);
    made.attributes.extend(copied.failure.map(|failure| KeyValue::new("error.type", failure)));
    made
}

fn client(of: Place) -> SpanLinks {
    let context = SpanContext::new(
        TraceId::from(of.trace),
        SpanId::from(of.span),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    let mut links = SpanLinks::default();
    links.links.push(Link::with_context(context));
    links
}
