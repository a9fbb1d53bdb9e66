//! A finished request as spans, named as OpenTelemetry's conventions for HTTP name things: one of
//! kind server for the request, and in it one of kind client for each attempt.

use super::Finished;
use super::trace::Attempt;
use crate::accesslog::{Field, Record};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::time::{Instant, SystemTime};

pub(super) fn spans(finished: Finished) -> Vec<SpanData> {
    let Finished { record, trace } = finished;
    let id = TraceId::from(trace.trace);
    let resent = trace.attempts.iter().enumerate();
    let mut spans: Vec<SpanData> = resent
        .map(|(resent, attempt)| {
            let mut span = span(id, attempt.span, Some(trace.span), SpanKind::Client);
            span.name = record.method.clone().into();
            span.start_time = wall(&record, attempt.began);
            span.end_time =
                attempt.ended.map_or(record.at + record.duration, |at| wall(&record, at));
            span.status = status(attempt.failure, attempt.status, 400);
            span.attributes = of_attempt(attempt, &record, resent);
            span
        })
        .collect();
    let mut request = span(id, trace.span, trace.parent, SpanKind::Server);
    request.name = match &record.route {
        Some(route) => format!("{} {route}", record.method).into(),
        None => record.method.clone().into(),
    };
    request.parent_span_is_remote = trace.parent.is_some();
    request.start_time = record.at;
    request.end_time = record.at + record.duration;
    request.status = status(record.what, Some(record.status), 500);
    request.attributes =
        record.fields().into_iter().map(|(key, field)| KeyValue::new(key, value(field))).collect();
    spans.push(request);
    spans
}

pub(super) fn span(trace: TraceId, span: u64, parent: Option<u64>, kind: SpanKind) -> SpanData {
    let sampled = TraceFlags::SAMPLED;
    SpanData {
        span_context: SpanContext::new(
            trace,
            SpanId::from(span),
            sampled,
            false,
            TraceState::default(),
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: false,
        span_kind: kind,
        name: "".into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("serin")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

fn of_attempt(attempt: &Attempt, record: &Record, resent: usize) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", record.method.clone()),
        KeyValue::new("server.address", attempt.endpoint.ip().to_string()),
        KeyValue::new("server.port", i64::from(attempt.endpoint.port())),
        KeyValue::new("serin.version", attempt.version.clone()),
    ];
    let service = record.service.clone().map(|name| KeyValue::new("serin.service", name));
    attributes.extend(service);
    if resent > 0 {
        attributes.push(KeyValue::new("http.request.resend_count", resent as i64));
    }
    let status = attempt.status.map(|s| KeyValue::new("http.response.status_code", i64::from(s)));
    attributes.extend(status);
    attributes.extend(attempt.failure.map(|failure| KeyValue::new("error.type", failure)));
    attributes
}

/// Servers are not blamed for what their clients did, clients are.
pub(super) fn status(failure: Option<&'static str>, status: Option<u16>, worst: u16) -> Status {
    match (failure, status) {
        (Some(failure), _) if failure != "clientAborted" => Status::error(failure),
        (_, Some(code)) if code >= worst => Status::error(""),
        (Some(_) | None, _) => Status::Unset,
    }
}

/// By the clock of the request's beginning; a wall clock that jumps meanwhile bends no span.
fn wall(record: &Record, at: Instant) -> SystemTime {
    record.at + at.saturating_duration_since(record.began)
}

fn value(field: Field<'_>) -> Value {
    match field {
        Field::Text(text) => Value::String(text.into_owned().into()),
        Field::Whole(number) => Value::I64(i64::try_from(number).unwrap_or(i64::MAX)),
        Field::Seconds(time) => Value::F64(time.as_secs_f64()),
    }
}
