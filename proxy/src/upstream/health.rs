//! Active health checks: when an endpoint counts as healthy.
//!
//! The first observation decides at once; after it, a change takes as many equal observations in
//! a row as the operator asked for. The check goes on beside the requests, each on a connection
//! of its own, so it also notices a backend that keeps old connections but takes no new ones.

use super::endpoint::Endpoint;
use super::probe::{Prober, Unfit};
use crate::clock;
use serin_config::model::HealthCheck;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What was observed of one endpoint. Kept with the endpoint, so that a reload forgets none of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Observed {
    /// `None` before the first look.
    pub(super) healthy: Option<bool>,
    /// Observations in a row that speak for a change.
    pub(super) against: u32,
}

impl Observed {
    /// What is known after one more observation.
    fn and(self, passed: bool, check: &HealthCheck) -> Self {
        let decided = Self { healthy: Some(passed), against: 0 };
        let Some(healthy) = self.healthy else { return decided };
        if passed == healthy {
            return decided;
        }
        let against = self.against + 1;
        let needed = if passed { check.healthy_after } else { check.unhealthy_after };
        if against < needed { Self { against, ..self } } else { decided }
    }
}

/// Checks one endpoint for as long as the task is left alone, and says when what is known of it has
/// changed.
pub(super) async fn watch(
    endpoint: Arc<Endpoint>,
    check: HealthCheck,
    prober: Arc<Prober>,
    changed: Arc<Notify>,
) {
    loop {
        let passed = tokio::time::timeout(check.timeout, prober.probe(&endpoint, &check.kind));
        let passed = match passed.await {
            Ok(result) => result,
            Err(_) => Err(Unfit::Endpoint("no answer in time".to_owned())),
        };
        let now = clock::mono(Instant::now());
        let before = endpoint.observed();
        let after = match &passed {
            Ok(()) => before.and(true, &check),
            Err(Unfit::Endpoint(_)) => before.and(false, &check),
            // Nothing was found out about the endpoint.
            Err(Unfit::Unknown) => before,
        };
        endpoint.observe(after, now);
        if before.healthy != after.healthy {
            changed.notify_one();
            let healthy = after.healthy == Some(true);
            tracing::info!(endpoint = %endpoint.address, healthy, "an endpoint's health has changed");
        }
        match passed {
            Ok(()) => endpoint.out_of_trouble(),
            Err(Unfit::Endpoint(why)) => endpoint.in_trouble(format!("health check: {why}")),
            Err(Unfit::Unknown) => {}
        }
        tokio::time::sleep(jittered(check.interval, crate::thread::random())).await;
    }
}

/// Within a tenth of the interval, so that the checks of many endpoints do not fall together.
pub(super) fn jittered(interval: Duration, random: u64) -> Duration {
    let unit = (random >> 11) as f64 / (1u64 << 53) as f64;
    interval.mul_f64(0.9 + 0.2 * unit)
}
