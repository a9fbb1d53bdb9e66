//! `/v1/events`: what happens, as server-sent events, from where the reader left off.
//!
//! A reader that is too slow is not buffered for: its socket stalls, and the server drops it
//! after a while; with Last-Event-ID it then goes on where it was.

use super::auth::Caller;
use super::extract::Params;
use super::problem::Problem;
use super::seat::{Busy, Seat};
use super::{Answered, Api};
use crate::view::Snapshot;
use crate::{Event, Handle, Subscription};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::stream;
use serde::Deserialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior};
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
    /// Also the state of everything, as `GET /v1/services` gives it: when it changes, and once a
    /// second. Such an event is a `snapshot` and has no id.
    snapshots: Option<bool>,
}

/// One event of the stream, field by field.
#[derive(ToSchema)]
#[schema(as = StreamedEvent)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Streamed {
    /// For Last-Event-ID.
    id: Option<String>,
    /// The event's kind, or `snapshot`.
    event: String,
    /// An Event as JSON, or a Snapshot.
    data: String,
}

/// The largest number that every JSON reader keeps whole.
const LARGEST_ID: u64 = 9_007_199_254_740_991;

/// What happens, as it happens
///
/// Each event has an id; send the last one seen as Last-Event-ID to miss nothing. With `snapshots`
/// the state comes along, so one stream is all that a page needs.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "streamEvents", tag = "events", params(Which),
    responses((status = 200, body = Streamed, content_type = "text/event-stream"))
)]
pub(crate) async fn stream(
    State(api): State<Api>,
    Extension(seat): Extension<Arc<Seat>>,
    Extension(caller): Extension<Caller>,
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
    let streaming = seat.stream()?;
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let source = Source {
        subscription: api.handle().subscribe(after),
        stopping: Box::pin(api.stopping()),
        allowed: api.allowed(caller),
        only: which.service,
        states: which.snapshots.unwrap_or(false).then(|| States {
            handle: api.handle().clone(),
            ticks,
            sent: None,
        }),
        _streaming: streaming,
    };
    let events =
        stream::unfold(source, |mut source| async { Some((source.next().await?, source)) });
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

/// What one reader is sent, made when there is room for it.
struct Source {
    subscription: Subscription,
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Ends when whoever reads this may not any more.
    allowed: Pin<Box<dyn Future<Output = ()> + Send>>,
    only: Option<String>,
    states: Option<States>,
    _streaming: Busy,
}

impl Source {
    async fn next(&mut self) -> Option<Result<sse::Event, Infallible>> {
        loop {
            let state = async {
                match &mut self.states {
                    Some(states) => states.next().await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                event = self.subscription.next() => event?,
                state = state => return Some(Ok(pictured(&state))),
                () = &mut self.stopping => return None,
                () = &mut self.allowed => return None,
            };
            if self.only.is_none() || event.service.is_none() || event.service == self.only {
                return Some(written(&event));
            }
        }
    }
}

/// How often it is looked whether the state has changed.
const LOOK: Duration = Duration::from_millis(200);
/// Counts are shown, and the reader knows that the connection stands, once in so long.
const PULSE: Duration = Duration::from_secs(1);

struct States {
    handle: Handle,
    ticks: Interval,
    /// The generation that was sent last, and when.
    sent: Option<(u64, Instant)>,
}

impl States {
    async fn next(&mut self) -> Arc<Snapshot> {
        loop {
            let now = self.ticks.tick().await;
            let state = self.handle.snapshot();
            let known = |(generation, at)| generation == state.generation && now - at < PULSE;
            if !self.sent.is_some_and(known) {
                self.sent = Some((state.generation, now));
                return state;
            }
        }
    }
}

fn pictured(state: &Snapshot) -> sse::Event {
    sse::Event::default().event("snapshot").data(serde_json::to_string(state).unwrap_or_default())
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
