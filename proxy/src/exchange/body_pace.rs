//! How fast a request's body comes.

use serin_config::model::ListenerLimits;
use std::time::{Duration, Instant};

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
