//! `/v1/events`: what happens, as server-sent events, from where the reader left off.
//!
//! A reader that is too slow is not buffered for: its socket stalls, and the server drops it
//! after a while; with Last-Event-ID it then goes on where it was.

use super::extract::Params;
use super::problem::{Kind, Problem};
use super::{Answered, Api, limits};
use crate::Event;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::stream;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only of this service; events that are about no service come too.
    service: Option<String>,
    /// Begin after this event, like the header Last-Event-ID; 0 replays everything remembered.
    #[param(maximum = 9_007_199_254_740_991i64)]
    after: Option<u64>,
}

/// One event of the stream, field by field.
#[derive(ToSchema)]
#[schema(as = StreamedEvent)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Streamed {
    /// For Last-Event-ID.
    id: String,
    /// The event's kind.
    event: String,
    /// An Event as JSON.
    data: String,
}

/// The largest number that every JSON reader keeps whole.
const LARGEST_ID: u64 = 9_007_199_254_740_991;

/// What happens, as it happens
///
/// Each event has an id; send the last one seen as Last-Event-ID to miss nothing.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "streamEvents", tag = "events", params(Which),
    responses((status = 200, body = Streamed, content_type = "text/event-stream"))
)]
pub(crate) async fn stream(
    State(api): State<Api>,
    headers: HeaderMap,
    Params(which): Params<Which>,
) -> Answered {
    let after = match headers.get("last-event-id") {
        Some(id) => Some(last_id(id)?),
        None => which.after,
    };
    if after.is_some_and(|after| after > LARGEST_ID) {
        return Err(Problem::malformed(format!("an event's id is at most {LARGEST_ID}")));
    }
    if let Some(service) = &which.service {
        super::services::known(&api, service)?;
    }
    let Ok(seat) = Arc::clone(&api.inner.streams).try_acquire_owned() else {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Kind::Unavailable,
            format!("{} event streams are open already", limits::MAX_STREAMS),
        )
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("5")));
    };
    let subscription = api.handle().subscribe(after);
    let state = (subscription, Box::pin(api.stopping()), which.service, seat);
    let events = stream::unfold(state, |(mut subscription, mut stopping, only, seat)| async {
        loop {
            let next = tokio::select! {
                next = subscription.next() => next?,
                () = &mut stopping => return None,
            };
            if only.is_some() && next.service.is_some() && next.service != only {
                continue;
            }
            return Some((written(&next), (subscription, stopping, only, seat)));
        }
    });
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

fn written(event: &Event) -> Result<sse::Event, Infallible> {
    let data = serde_json::to_string(event).unwrap_or_default();
    Ok(sse::Event::default().id(event.id.to_string()).event(event.kind.as_str()).data(data))
}

fn last_id(value: &HeaderValue) -> Result<u64, Problem> {
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Problem::malformed("Last-Event-ID is the id of an event: a number"))
}
