//! Active health checks: when an endpoint counts as healthy.
//!
//! The first observation decides at once; after it, a change takes as many equal observations in
//! a row as the operator asked for. The check goes on beside the requests, each on a connection
//! of its own, so it also notices a backend that keeps old connections but takes no new ones.

use super::endpoint::Endpoint;
use super::probe::{Unfit, probe};
use crate::clock;
use crate::heartbeat::Heartbeats;
use serin_config::model::{HealthCheck, HealthKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What was observed of one endpoint. Kept with the endpoint, so that a reload forgets none of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Observed {
    /// `None` before the first look.
    pub(super) healthy: Option<bool>,
    /// What observations in a row that speak for a change weigh.
    pub(super) against: u32,
}

/// One look at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Passed,
    Failed,
    /// While this process's own threads were late. It may well be that the answer lay there unread, so
    /// it weighs little; an endpoint that is dead goes on failing, and has to go from a host that is
    /// always late, too.
    FailedLate,
    /// Nothing was found out about the endpoint.
    Unknown,
}

/// What a look on time weighs. One that failed late weighs one.
const ON_TIME: u32 = 5;

impl Observed {
    /// What is known after one more observation.
    fn and(self, look: Look, check: &HealthCheck) -> Self {
        let (passed, weight) = match look {
            Look::Passed => (true, ON_TIME),
            Look::Failed => (false, ON_TIME),
            Look::FailedLate if self.healthy.is_none() => return self,
            Look::FailedLate => (false, 1),
            Look::Unknown => return self,
        };
        let decided = Self { healthy: Some(passed), against: 0 };
        let Some(healthy) = self.healthy else { return decided };
        if passed == healthy {
            return decided;
        }
        let against = self.against.saturating_add(weight);
        let needed = if passed { check.healthy_after } else { check.unhealthy_after };
        if against < needed.saturating_mul(ON_TIME) { Self { against, ..self } } else { decided }
    }
}

/// Checks one endpoint for as long as the task is left alone, and says when what is known of it has
/// changed.
pub(super) async fn watch(
    endpoint: Arc<Endpoint>,
    check: HealthCheck,
    connect: Duration,
    changed: impl Fn() + Send,
    heartbeats: Arc<Heartbeats>,
) {
    loop {
        let began = Instant::now();
        let passed = tokio::time::timeout(check.timeout, probe(&endpoint, &check.kind, connect));
        let passed = match passed.await {
            Ok(result) => result,
            Err(_) => Err(Unfit::Endpoint("no answer in time".to_owned())),
        };
        let ended = Instant::now();
        let look = match &passed {
            Ok(()) => Look::Passed,
            Err(Unfit::Unknown) => Look::Unknown,
            Err(Unfit::Endpoint(_)) if heartbeats.spoil_check(began, ended) => Look::FailedLate,
            Err(Unfit::Endpoint(_)) => Look::Failed,
        };
        let now = clock::mono(ended);
        let before = endpoint.observed();
        let after = before.and(look, &check);
        endpoint.observe(after, now);
        if before.healthy != after.healthy {
            changed();
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

/// How often one is tried again that cannot be connected to.
const AGAIN: Duration = Duration::from_secs(1);

/// Connects to an endpoint that nobody checks until that works for the first time: from then on it gets
/// requests.
pub(super) async fn greet(endpoint: Arc<Endpoint>, connect: Duration, changed: impl Fn() + Send) {
    loop {
        let met = match probe(&endpoint, &HealthKind::Tcp, connect).await {
            Ok(()) => Some(true),
            Err(Unfit::Unknown) => None,
            Err(Unfit::Endpoint(why)) => {
                endpoint.in_trouble(format!("gets no requests yet: {why}"));
                Some(false)
            }
        };
        let before = endpoint.observed();
        endpoint.observe(Observed { healthy: met, against: 0 }, clock::mono(Instant::now()));
        if met == Some(true) {
            endpoint.out_of_trouble();
        }
        if met.is_some() && met != before.healthy {
            changed();
        }
        if met == Some(true) {
            return;
        }
        tokio::time::sleep(jittered(AGAIN, crate::thread::random())).await;
    }
}

/// Within a tenth of the interval, so that the checks of many endpoints do not fall together.
pub(super) fn jittered(interval: Duration, random: u64) -> Duration {
    let unit = (random >> 11) as f64 / (1u64 << 53) as f64;
    interval.mul_f64(0.9 + 0.2 * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: HealthCheck = HealthCheck {
        kind: HealthKind::Tcp,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        unhealthy_after: 2,
        healthy_after: 3,
        panic_below: 0.5,
    };

    /// How many looks of a kind it takes until an endpoint's health is another.
    fn takes(look: Look, healthy: Option<bool>) -> Option<usize> {
        let mut known = Observed { healthy, against: 0 };
        (1..100).find(|_| {
            known = known.and(look, &CHECK);
            known.healthy != healthy
        })
    }

    #[test]
    fn a_change_takes_as_many_looks_as_the_operator_asked_for() {
        assert_eq!(takes(Look::Failed, Some(true)), Some(2));
        assert_eq!(takes(Look::Passed, Some(false)), Some(3));
        assert_eq!((takes(Look::Failed, None), takes(Look::Passed, None)), (Some(1), Some(1)));
    }

    #[test]
    fn what_failed_while_own_threads_were_late_weighs_a_fifth_and_nothing_at_first() {
        assert_eq!(takes(Look::FailedLate, Some(true)), Some(10));
        assert_eq!(takes(Look::FailedLate, None), None);
        assert_eq!((takes(Look::Unknown, Some(true)), takes(Look::Unknown, None)), (None, None));
        let mut known = Observed { healthy: Some(true), against: 0 };
        for look in [[Look::FailedLate; 9].as_slice(), &[Look::Passed], &[Look::FailedLate; 9]] {
            look.iter().for_each(|look| known = known.and(*look, &CHECK));
        }
        assert_eq!(known.healthy, Some(true), "one that passes in between is alive");
    }
}
