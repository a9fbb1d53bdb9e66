//! One address of a version, and what is known of it.

use super::peer::PeerTemplate;
use pingora_core::upstreams::peer::HttpPeer;
use serin_config::model;
use serin_core::time::Mono;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Shared by all threads; every field is one word, read and written without locks.
#[derive(Debug)]
pub struct Endpoint {
    /// What the configuration calls it, which is also its label in metrics. The addresses of one
    /// name share it.
    pub configured: model::Endpoint,
    pub address: SocketAddr,
    pub(super) peer: PeerTemplate,
    /// One for all configurations that have the endpoint.
    in_flight: Arc<AtomicU32>,
    /// By health checks; always true without them.
    pub(super) healthy: AtomicBool,
    /// A health check has had a look.
    observed: AtomicBool,
    /// Failed attempts since the last good one.
    pub(super) failures: AtomicU32,
    /// Milliseconds; 0 when it was never ejected.
    pub(super) ejected_until: AtomicU64,
    /// Milliseconds since when it takes traffic; 0 when it always has.
    pub(super) joined: AtomicU64,
}

impl Endpoint {
    pub(super) fn new(
        configured: model::Endpoint,
        address: SocketAddr,
        peer: PeerTemplate,
        healthy: bool,
    ) -> Self {
        Self {
            configured,
            address,
            peer,
            in_flight: Arc::default(),
            healthy: AtomicBool::new(healthy),
            observed: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            joined: AtomicU64::new(0),
        }
    }

    /// For a connection that is nobody's attempt.
    pub(crate) fn peer(&self) -> HttpPeer {
        self.peer.peer()
    }

    /// Whether it may get requests: healthy and not ejected.
    pub fn is_ready(&self, now: Mono) -> bool {
        self.healthy.load(Relaxed) && !self.is_ejected(now)
    }

    pub fn is_ejected(&self, now: Mono) -> bool {
        self.ejected_until.load(Relaxed) > now.0
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    pub fn is_observed(&self) -> bool {
        self.observed.load(Relaxed)
    }

    /// What its health check found. One that comes back joins anew, and starts slowly.
    pub(super) fn set_healthy(&self, healthy: bool, now: Mono) {
        let was = self.healthy.swap(healthy, Relaxed);
        if healthy && !was {
            self.failures.store(0, Relaxed);
            self.join(now);
        }
        self.observed.store(true, Relaxed);
    }

    /// It begins to take traffic now, slowly.
    pub(super) fn join(&self, now: Mono) {
        self.joined.store(now.0.max(1), Relaxed);
    }

    /// What is known of the same address from the configuration before, with the requests that are
    /// in flight there.
    pub(super) fn take_over(&mut self, known: &Self, checked: bool) {
        self.in_flight = Arc::clone(&known.in_flight);
        self.healthy.store(known.healthy.load(Relaxed) || !checked, Relaxed);
        self.observed.store(known.observed.load(Relaxed), Relaxed);
        self.failures.store(known.failures.load(Relaxed), Relaxed);
        self.ejected_until.store(known.ejected_until.load(Relaxed), Relaxed);
        self.joined.store(known.joined.load(Relaxed), Relaxed);
    }

    pub(super) fn eject(&self, now: Mono, how_long: Duration) {
        let until = now.plus(how_long);
        self.failures.store(0, Relaxed);
        self.joined.store(until.0, Relaxed);
        self.ejected_until.store(until.0, Relaxed);
    }

    /// Counts one more in flight, unless that is over the limit; 0 is no limit.
    pub(super) fn enter(&self, limit: u32) -> bool {
        let before = self.in_flight.fetch_add(1, Relaxed);
        if limit > 0 && before >= limit {
            self.leave();
            return false;
        }
        true
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }
}
