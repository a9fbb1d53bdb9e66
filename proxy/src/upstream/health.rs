//! Active health checks: when an endpoint counts as healthy.
//!
//! The first observation decides at once; after it, a change takes as many equal observations in
//! a row as the operator asked for. The check goes on beside the requests, each on a connection
//! of its own, so it also notices a backend that keeps old connections but takes no new ones.

use super::endpoint::Endpoint;
use super::probe::Prober;
use crate::clock;
use serin_config::model::HealthCheck;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What was observed of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Observed {
    healthy: Option<bool>,
    /// Observations in a row that speak for a change.
    against: u32,
}

impl Observed {
    /// One more observation; the new state, if it changes.
    pub(super) fn observe(&mut self, passed: bool, check: &HealthCheck) -> Option<bool> {
        let Some(healthy) = self.healthy else {
            self.healthy = Some(passed);
            return Some(passed);
        };
        if passed == healthy {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = if passed { check.healthy_after } else { check.unhealthy_after };
        if self.against < needed {
            return None;
        }
        *self = Self { healthy: Some(passed), against: 0 };
        Some(passed)
    }
}

/// Checks one endpoint for as long as the task is left alone.
pub(super) async fn watch(endpoint: Arc<Endpoint>, check: HealthCheck, prober: Arc<Prober>) {
    let mut observed = Observed::default();
    loop {
        let passed = tokio::time::timeout(check.timeout, prober.probe(&endpoint, &check.kind));
        let passed = match passed.await {
            Ok(result) => result,
            Err(_) => Err("no answer in time".to_owned()),
        };
        if let Some(healthy) = observed.observe(passed.is_ok(), &check) {
            endpoint.set_healthy(healthy, clock::mono(Instant::now()));
            match passed {
                Ok(()) => tracing::info!(endpoint = %endpoint.address, "endpoint is healthy"),
                Err(why) => {
                    tracing::warn!(endpoint = %endpoint.address, why, "endpoint is unhealthy");
                }
            }
        }
        tokio::time::sleep(jittered(check.interval, crate::thread::random())).await;
    }
}

/// Within a tenth of the interval, so that the checks of many endpoints do not fall together.
pub(super) fn jittered(interval: Duration, random: u64) -> Duration {
    let unit = (random >> 11) as f64 / (1u64 << 53) as f64;
    interval.mul_f64(0.9 + 0.2 * unit)
}
