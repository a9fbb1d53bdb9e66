//! The endpoints of one version, as they are now.
//!
//! Requests read one snapshot behind an atomic pointer. Whoever changes it (the keeper of the version's
//! sources) replaces it whole, under a lock that no good request ever takes.

use super::endpoint::Endpoint;
use super::outlier::{self, Mark, Why};
use super::overload;
use super::rota::Rota;
use arc_swap::ArcSwap;
use serin_config::model::{LoadBalancing, Outliers};
use serin_core::outcome::{Ending, Failure};
use serin_core::time::Mono;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Why a version has nobody for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// Nobody is ready: unhealthy, or ejected.
    NoneReady,
    /// Everybody who is ready is at the limit of requests in flight.
    AllBusy,
    /// No source of the version's endpoints has ever had any.
    Unresolved,
}

impl Unavailable {
    /// As what the attempt counts.
    pub fn failure(self) -> Failure {
        match self {
            Self::NoneReady | Self::AllBusy => Failure::NoEndpoint,
            Self::Unresolved => Failure::Connect,
        }
    }
}

/// How a version shares its requests among its endpoints.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Policy {
    pub(super) balancing: LoadBalancing,
    pub(super) outliers: Outliers,
    pub(super) slow_start: Duration,
    /// Per endpoint; 0 is no limit.
    pub(super) max_in_flight: u32,
    /// How long an answer may take, where an endpoint that is overloaded is given less.
    pub(super) overload_after: Option<Duration>,
}

#[derive(Debug)]
pub struct Group {
    pub(super) policy: Policy,
    members: ArcSwap<Rota>,
    /// Sources that have not said anything yet.
    unresolved: AtomicUsize,
    pub(super) cursor: AtomicUsize,
    ejecting: Mutex<()>,
    ejections: AtomicU64,
    /// Health checks decide nothing for now: they fail for too many at once.
    overruled: AtomicBool,
}

impl Group {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            members: ArcSwap::default(),
            unresolved: AtomicUsize::new(0),
            cursor: AtomicUsize::new(0),
            ejecting: Mutex::new(()),
            ejections: AtomicU64::new(0),
            overruled: AtomicBool::new(false),
        }
    }

    pub fn members(&self) -> arc_swap::Guard<Arc<Rota>> {
        self.members.load()
    }

    pub(super) fn replace(&self, members: &[Arc<Endpoint>], unresolved: usize) {
        self.members.store(Arc::new(Rota::new(members)));
        self.unresolved.store(unresolved, Relaxed);
    }

    pub(super) fn is_resolved(&self) -> bool {
        self.unresolved.load(Relaxed) == 0
    }

    /// How many are ready by themselves, checks overruled or not, of how many.
    pub fn readiness(&self, now: Mono) -> (u32, u32) {
        let members = self.members();
        let ready = members.iter().filter(|endpoint| endpoint.is_ready(now)).count();
        let total = members.len() + self.unresolved.load(Relaxed);
        (ready as u32, total as u32)
    }

    pub fn ejections(&self) -> u64 {
        self.ejections.load(Relaxed)
    }

    /// What came of an attempt, and how long its head was waited for. A good one that came quickly writes
    /// nothing while there are no failures.
    pub(super) fn report(&self, endpoint: &Endpoint, ending: Ending, waited: Duration, now: Mono) {
        if let Some(timeout) = self.policy.overload_after {
            if ending == Ending::Failed(Failure::Timeout) {
                self.late(endpoint, timeout, now);
            } else if waited > timeout / overload::SLOW_PART {
                endpoint.overload.slow();
            }
        }
        match outlier::mark(ending) {
            Mark::Good if endpoint.failures.load(Relaxed) > 0 => {
                endpoint.failures.store(0, Relaxed);
            }
            Mark::Good | Mark::None => {}
            Mark::Fault => self.fault(endpoint, now),
        }
    }

    #[cold]
    fn late(&self, endpoint: &Endpoint, timeout: Duration, now: Mono) {
        let _one_at_a_time = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = endpoint.overload.late(endpoint.attempts(), timeout, now) {
            tracing::warn!(
                endpoint = %endpoint.address,
                limit,
                "endpoint overloaded: it is given fewer requests at once until it answers in time"
            );
        }
    }

    fn fault(&self, endpoint: &Endpoint, now: Mono) {
        let outliers = &self.policy.outliers;
        if outliers.consecutive_failures == 0 {
            return;
        }
        let _one_at_a_time = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let members = self.members();
        if let Some(why) = outlier::fault(endpoint, &members, outliers, now)
            && outlier::eject(endpoint, &members, outliers, now)
        {
            self.ejections.fetch_add(1, Relaxed);
            self.tell_ejected(endpoint, why);
        }
    }

    #[cold]
    fn tell_ejected(&self, endpoint: &Endpoint, why: Why) {
        tracing::warn!(
            endpoint = %endpoint.address,
            seconds = self.policy.outliers.eject_for.as_secs_f64(),
            why = %why,
            "endpoint ejected"
        );
    }

    /// Whether it gets requests. One that only its health check speaks against does while checks are
    /// overruled.
    pub fn is_ready(&self, endpoint: &Endpoint, now: Mono) -> bool {
        (endpoint.is_healthy() || self.overruled.load(Relaxed)) && !endpoint.is_ejected(now)
    }

    /// Has every endpoint tried, whatever its health check says, or takes that back.
    pub(crate) fn overrule_checks(&self, overrule: bool) {
        self.overruled.store(overrule, Relaxed);
    }
}
