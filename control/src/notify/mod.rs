//! Telling people and pagers. Never in the way of a decision.
//!
//! Every receiver has a task and a bounded queue of its own, so that one that hangs delays no
//! other. A notification is tried [`ATTEMPTS`] times with growing pauses; what finds its queue full, or
//! is given up, is counted and logged without its address.

mod message;

use crate::event::{Event, EventKind};
use crate::metrics::Tallies;
use crate::outbound::{Call, Outbound};
use message::Message;
use serin_config::model::{Notification, NotifyOn};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle as Runtime;
use tokio::sync::mpsc::{Receiver, Sender, channel};

const QUEUE: usize = 128;
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(10);

/// All receivers of one configuration. Dropping it lets each finish what it has.
#[derive(Debug)]
pub(crate) struct Notifier {
    receivers: Vec<Subscription>,
    tallies: Arc<Tallies>,
}

#[derive(Debug)]
struct Subscription {
    to: Arc<Notification>,
    queue: Sender<Event>,
}

impl Notifier {
    pub(crate) fn start(
        notifications: &[Notification],
        outbound: &Outbound,
        tallies: &Arc<Tallies>,
        runtime: &Runtime,
    ) -> Self {
        let subscription = |notification: &Notification| {
            let (queue, events) = channel(QUEUE);
            let to = Arc::new(notification.clone());
            let work = serve(Arc::clone(&to), events, outbound.clone(), Arc::clone(tallies));
            runtime.spawn(work);
            Subscription { to, queue }
        };
        let receivers = notifications.iter().map(subscription).collect();
        Self { receivers, tallies: Arc::clone(tallies) }
    }

    /// Hands the event to every receiver that wants it. Never blocks.
    pub(crate) fn tell(&self, event: &Event) {
        for subscription in
            self.receivers.iter().filter(|subscription| wants(&subscription.to, event))
        {
            if subscription.queue.try_send(event.clone()).is_err() {
                tracing::warn!(receiver = %subscription.to.name, "notification queue is full");
                self.tallies.notified(&subscription.to.name, false);
            }
        }
    }
}

fn wants(to: &Notification, event: &Event) -> bool {
    let Some(kind) = on(event.kind) else { return false };
    let severe = match (&event.severity, to.severity.is_empty()) {
        (_, true) => true,
        (Some(severity), false) => to.severity.iter().any(|s| s.as_str() == severity),
        (None, false) => false,
    };
    to.on.contains(&kind) && severe
}

/// The configuration's word for an event; events without one are never notified.
fn on(kind: EventKind) -> Option<NotifyOn> {
    Some(match kind {
        EventKind::Started => NotifyOn::Started,
        EventKind::Advanced => NotifyOn::Advanced,
        EventKind::Paused => NotifyOn::Paused,
        EventKind::Resumed => NotifyOn::Resumed,
        EventKind::RolledBack | EventKind::Undone => NotifyOn::RolledBack,
        EventKind::Superseded => NotifyOn::Superseded,
        EventKind::Completed => NotifyOn::Completed,
        EventKind::Inconclusive => NotifyOn::Inconclusive,
        EventKind::BudgetLow => NotifyOn::BudgetLow,
        EventKind::Warning => NotifyOn::Warning,
        EventKind::Frozen => NotifyOn::Frozen,
        EventKind::ReloadFailed => NotifyOn::ReloadFailed,
        EventKind::CertificateExpiring => NotifyOn::CertificateExpiring,
        EventKind::Waiting
        | EventKind::WeightSet
        | EventKind::Unfrozen
        | EventKind::Reloaded
        | EventKind::JournalFailing
        | EventKind::JournalRecovered => return None,
    })
}

async fn serve(
    to: Arc<Notification>,
    mut events: Receiver<Event>,
    outbound: Outbound,
    tallies: Arc<Tallies>,
) {
    while let Some(event) = events.recv().await {
        let sent = deliver(&to, &event, &outbound).await;
        tallies.notified(&to.name, sent);
    }
}

async fn deliver(to: &Notification, event: &Event, outbound: &Outbound) -> bool {
    let message = Message::new(&to.to, event);
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=ATTEMPTS {
        let call = Call {
            url: &message.url,
            content_type: message.content_type,
            headers: &message.headers,
            body: message.body.clone(),
            timeout: TIMEOUT,
        };
        let fault = match outbound.post(call).await {
            Ok(answered) if answered.status.is_success() => return true,
            // It was understood and refused: the same again would be refused again.
            Ok(answered) if is_final(answered.status) => {
                let status = answered.status.as_u16();
                tracing::warn!(receiver = %to.name, status, "notification refused");
                return false;
            }
            Ok(answered) => answered.status.to_string(),
            Err(fault) => fault.to_string(),
        };
        tracing::debug!(receiver = %to.name, attempt, %fault, "notification failed");
        if attempt < ATTEMPTS {
            tokio::time::sleep(pause).await;
            pause *= 3;
        }
    }
    tracing::warn!(receiver = %to.name, kind = event.kind.as_str(), "notification given up");
    false
}

fn is_final(status: hyper::StatusCode) -> bool {
    status.is_client_error()
        && status != hyper::StatusCode::TOO_MANY_REQUESTS
        && status != hyper::StatusCode::REQUEST_TIMEOUT
}
