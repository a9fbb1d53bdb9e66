//! The clocks of one client's stream.

use serin_config::model::ListenerLimits;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// One timer that is made when it is first needed and moved when its moment moves.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Alarm {
    pub(crate) fn clear(&mut self) {
        self.sleep = None;
    }

    /// Ready(true) once `due` has come. Without a moment it is never ready.
    pub(crate) fn poll_due(&mut self, due: Option<Instant>, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(due) = due else { return Poll::Pending };
        let (at, sleep) = self.sleep.get_or_insert_with(|| (due, sleep_until(due)));
        // A moment that moved on is looked at again when the old one comes.
        if due < *at {
            *at = due;
            sleep.as_mut().reset(due.into());
        }
        ready!(sleep.as_mut().poll(cx));
        if Instant::now() >= due {
            self.sleep = None;
            return Poll::Ready(true);
        }
        self.sleep = Some((due, sleep_until(due)));
        match &mut self.sleep {
            Some((_, sleep)) => sleep.as_mut().poll(cx).map(|()| true),
            None => Poll::Pending,
        }
    }

    /// Ready(true) once `patience` has passed since the first call after a `clear`.
    pub(crate) fn poll_within(&mut self, patience: Duration, cx: &mut Context<'_>) -> Poll<bool> {
        let due = self.sleep.as_ref().map_or_else(|| Instant::now() + patience, |(at, _)| *at);
        self.poll_due(Some(due), cx)
    }
}

fn sleep_until(due: Instant) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep_until(due.into()))
}

/// Whether a request body comes at least as fast as the listener demands. Only time spent
/// waiting for the client counts: a backend that reads slowly is not the client's fault.
#[derive(Debug, Default)]
pub(crate) struct BodyPace {
    grace: Duration,
    floor: u64,
    received: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl BodyPace {
    pub(crate) fn begin(limits: &ListenerLimits) -> Self {
        let (grace, floor) = (limits.header_timeout, limits.min_body_rate);
        Self { grace, floor, ..Self::default() }
    }

    pub(crate) fn received(&mut self, bytes: usize) {
        self.received += bytes as u64;
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
    }

    /// The client is being waited for. Gives the moment when that was too long.
    pub(crate) fn waiting(&mut self, now: Instant) -> Option<Instant> {
        if self.floor == 0 {
            return None;
        }
        let since = *self.waiting_since.get_or_insert(now);
        let earned = Duration::from_millis(self.received.saturating_mul(1000) / self.floor);
        Some(since + (self.grace + earned).saturating_sub(self.waited))
    }
}
