//! One address of a version, and what is known of it.

use super::conn::ServerTls;
use super::group::Policy;
use super::health::Observed;
use super::outlier::Done;
use super::overload::{Attempts, Overload};
use arc_swap::ArcSwapOption;
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
    /// What it was last found to speak, or is said to.
    http2: AtomicBool,
    /// How it is told whose a connection is.
    pub(super) proxy_protocol: model::UpstreamProxyProtocol,
    /// Who it has to be, where it is spoken to over TLS.
    pub(super) tls: Option<ServerTls>,
    /// Its share beside others of its priority; those of a higher number are for when none of a lower one
    /// is ready. What its source says, who may say it anew.
    weight: AtomicU32,
    priority: AtomicU32,
    /// One for all configurations that have the endpoint.
    load: Arc<Load>,
    /// As the load.
    pub(super) overload: Arc<Overload>,
    /// Somebody checks its health. Without checks it is always healthy.
    checked: bool,
    /// By health checks.
    healthy: AtomicBool,
    /// A health check has had a look.
    observed: AtomicBool,
    /// Checks in a row that speak against what is known.
    against: AtomicU32,
    /// Failed attempts since the last good one.
    pub(super) failures: AtomicU32,
    /// Milliseconds; 0 when it was never ejected.
    ejected_until: AtomicU64,
    /// Milliseconds since when it takes traffic; 0 when it always has.
    pub(super) joined: AtomicU64,
    window: Window,
    /// Why it could not be connected to, until it can, or why it did not pass its health check.
    trouble: ArcSwapOption<String>,
}

/// Attempts that were begun, and those in flight: both in one word, so that counting both costs an
/// attempt no more than counting one.
#[derive(Debug, Default)]
struct Load(AtomicU64);

const ATTEMPT: u64 = 1 << 32;

impl Load {
    fn in_flight(&self) -> u32 {
        self.0.load(Relaxed) as u32
    }

    /// Attempts that have ended, modulo 2^32.
    fn ended(&self) -> u32 {
        let now = self.0.load(Relaxed);
        ((now >> 32) as u32).wrapping_sub(now as u32)
    }
}

/// The failed attempts of the latest stretch of time. Written under the group's lock.
#[derive(Debug, Default)]
struct Window {
    /// Which stretch it is.
    number: AtomicU64,
    /// Attempts that had ended when it began.
    base: AtomicU32,
    failed: AtomicU32,
}

impl Endpoint {
    pub(super) fn new(
        configured: model::Endpoint,
        address: SocketAddr,
        speaks: model::UpstreamProtocol,
        tls: Option<ServerTls>,
        checked: bool,
        healthy: bool,
    ) -> Self {
        Self {
            configured,
            address,
            http2: AtomicBool::new(speaks == model::UpstreamProtocol::Http2),
            proxy_protocol: model::UpstreamProxyProtocol::Off,
            tls,
            weight: AtomicU32::new(1),
            priority: AtomicU32::new(0),
            load: Arc::default(),
            overload: Arc::default(),
            checked,
            healthy: AtomicBool::new(healthy),
            observed: AtomicBool::new(false),
            against: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            window: Window::default(),
            trouble: ArcSwapOption::empty(),
        }
    }

    /// Its next connection is thought to be of HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        self.http2.load(Relaxed)
    }

    /// It chooses its protocol with each connection.
    pub(super) fn may_choose(&self) -> bool {
        self.tls.as_ref().is_some_and(ServerTls::has_choice)
    }

    /// A connection to it is one client's.
    pub(crate) fn is_told_of_clients(&self) -> bool {
        self.proxy_protocol != model::UpstreamProxyProtocol::Off
    }

    /// Writes only when it is news.
    pub(super) fn note_http2(&self, http2: bool) {
        if self.speaks_http2() != http2 {
            self.http2.store(http2, Relaxed);
        }
    }

    pub(super) fn weigh(&self, weight: u32, priority: u32) {
        self.weight.store(weight, Relaxed);
        self.priority.store(priority, Relaxed);
    }

    pub(super) fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    pub(super) fn priority(&self) -> u32 {
        self.priority.load(Relaxed)
    }

    /// Healthy and not ejected. Whether it gets requests, its group says.
    pub fn is_ready(&self, now: Mono) -> bool {
        self.is_healthy() && !self.is_ejected(now)
    }

    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    pub fn is_ejected(&self, now: Mono) -> bool {
        self.ejected_until.load(Relaxed) > now.0
    }

    pub fn in_flight(&self) -> u32 {
        self.load.in_flight()
    }

    pub fn is_observed(&self) -> bool {
        self.observed.load(Relaxed)
    }

    /// It gets requests once somebody has had a look, and nobody has.
    pub(super) fn is_awaited(&self) -> bool {
        self.checked && !self.is_observed()
    }

    /// What its health checks have found so far.
    pub(super) fn observed(&self) -> Observed {
        let healthy = self.is_observed().then(|| self.is_healthy());
        Observed { healthy, against: self.against.load(Relaxed) }
    }

    /// What they have found now. One that comes back joins anew, and starts slowly.
    pub(super) fn observe(&self, found: Observed, now: Mono) {
        self.against.store(found.against, Relaxed);
        let Some(healthy) = found.healthy else { return };
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

    /// What is wrong with it, if that is known.
    pub fn trouble(&self) -> Option<Arc<String>> {
        self.trouble.load_full()
    }

    /// Keeps what is wrong with it, and says so in the log when it is something new.
    #[cold]
    pub(crate) fn in_trouble(&self, why: String) {
        if self.trouble.load().as_deref().is_some_and(|known| *known == why) {
            return;
        }
        tracing::warn!(endpoint = %self.address, why, "an endpoint is in trouble");
        self.trouble.store(Some(Arc::new(why)));
    }

    pub(crate) fn out_of_trouble(&self) {
        if self.trouble.load().is_some() {
            self.trouble.store(None);
        }
    }

    /// What is known of the same address from the configuration before, with the requests that are
    /// in flight there. One that served without checks is known to be healthy: the first check
    /// that fails is one of as many as the operator allows.
    pub(super) fn take_over(&mut self, known: &Self) {
        self.load = Arc::clone(&known.load);
        self.overload = Arc::clone(&known.overload);
        let observed = known.is_observed() || !known.checked;
        self.healthy.store(known.is_healthy() || !self.checked, Relaxed);
        self.observed.store(observed, Relaxed);
        self.against.store(if self.checked { known.against.load(Relaxed) } else { 0 }, Relaxed);
        self.failures.store(known.failures.load(Relaxed), Relaxed);
        self.ejected_until.store(known.ejected_until.load(Relaxed), Relaxed);
        self.joined.store(known.joined.load(Relaxed), Relaxed);
        self.trouble.store(known.trouble.load_full());
        self.window.number.store(known.window.number.load(Relaxed), Relaxed);
        self.window.base.store(known.window.base.load(Relaxed), Relaxed);
        self.window.failed.store(known.window.failed.load(Relaxed), Relaxed);
    }

    pub(super) fn eject(&self, now: Mono, how_long: Duration) {
        let until = now.plus(how_long);
        self.failures.store(0, Relaxed);
        self.begin_window(self.window.number.load(Relaxed));
        self.joined.store(until.0, Relaxed);
        self.ejected_until.store(until.0, Relaxed);
    }

    /// What it did in a stretch of time, which begins now if it is another than the last.
    pub(super) fn done_in(&self, window: u64) -> Done {
        if self.window.number.load(Relaxed) != window {
            self.begin_window(window);
        }
        let failed = self.window.failed.load(Relaxed);
        let ended = self.load.ended().wrapping_sub(self.window.base.load(Relaxed));
        // An attempt counts as in flight until its failure is told.
        Done { failed, of: ended.max(failed) }
    }

    pub(super) fn failed_in(&self, window: u64) {
        let _ = self.done_in(window);
        self.window.failed.fetch_add(1, Relaxed);
    }

    fn begin_window(&self, number: u64) {
        self.window.number.store(number, Relaxed);
        self.window.base.store(self.load.ended(), Relaxed);
        self.window.failed.store(0, Relaxed);
    }

    pub(super) fn attempts(&self) -> Attempts {
        Attempts { in_flight: self.load.in_flight(), ended: self.load.ended() }
    }

    /// Counts one more in flight, unless that is over the limit, or over what it was found to bear.
    pub(super) fn enter(&self, policy: &Policy, now: Mono) -> bool {
        let before = self.load.0.fetch_add(ATTEMPT | 1, Relaxed) as u32;
        let over = |limit: u32| limit > 0 && before >= limit;
        let overloaded = policy.overload_after.is_some() && over(self.overload.limit());
        if overloaded || over(policy.max_in_flight) {
            self.load.0.fetch_sub(ATTEMPT | 1, Relaxed);
            if overloaded {
                self.overload.refused(self.attempts(), now);
            }
            return false;
        }
        true
    }

    pub(super) fn leave(&self) {
        self.load.0.fetch_sub(1, Relaxed);
    }
}
