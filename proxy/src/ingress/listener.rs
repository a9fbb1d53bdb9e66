//! One listener of the configuration, as all threads share it.

use super::tls::TlsState;
use crate::exhaustion::Descriptors;
use ipnet::IpNet;
use serin_config::model::{Listener, ListenerLimits, ProxyProtocol, Underscores};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use tokio::sync::{Notify, Semaphore};

/// What new connections are served by. A reload that changes a listener makes a new one;
/// connections that are open keep theirs, and end soon when the new one is stricter.
#[derive(Debug)]
pub(crate) struct ListenerState {
    pub(crate) name: String,
    pub(crate) limits: ListenerLimits,
    pub(crate) proxy_protocol: ProxyProtocol,
    trusted: Vec<IpNet>,
    /// Of headers' names: they do no harm here.
    pub(crate) underscores: bool,
    pub(crate) tls: Option<Arc<TlsState>>,
    pub(crate) counters: Arc<Counters>,
    /// One permit per connection that may be open.
    pub(crate) slots: Arc<Semaphore>,
    /// Stricter rules are in force: what came in by these ends after its current answer.
    outdated: AtomicBool,
    told: Notify,
}

impl ListenerState {
    pub(crate) fn new(
        model: &Listener,
        tls: Option<Arc<TlsState>>,
        counters: Arc<Counters>,
        before: Option<&Self>,
    ) -> Self {
        let most = usize::try_from(most_connections(model)).unwrap_or(usize::MAX);
        let fresh = || Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let same_most = |b: &&Self| b.limits.max_connections == model.limits.max_connections;
        Self {
            name: model.name.clone(),
            limits: model.limits,
            proxy_protocol: model.proxy_protocol,
            trusted: model.trusted.clone(),
            underscores: model.underscores == Underscores::Forward,
            tls,
            counters,
            slots: before.filter(same_most).map_or_else(fresh, |before| before.slots.clone()),
            outdated: AtomicBool::new(false),
            told: Notify::new(),
        }
    }

    pub(crate) fn outdate(&self) {
        self.outdated.store(true, Relaxed);
        self.told.notify_waiters();
    }

    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.load(Relaxed)
    }

    /// Ready once stricter rules are in force.
    pub(crate) async fn outdated(&self) {
        // Registered before the look, so that nothing is missed between the two.
        let mut told = std::pin::pin!(self.told.notified());
        told.as_mut().enable();
        if !self.is_outdated() {
            told.await;
        }
    }

    pub(crate) fn trusts(&self, peer: SocketAddr) -> bool {
        self.trusts_ip(peer.ip())
    }

    pub(crate) fn trusts_ip(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|net| net.contains(&peer))
    }
}

/// What the configuration allows, or what descriptors allow, if that is less.
fn most_connections(model: &Listener) -> u64 {
    let (wanted, all) = (u64::from(model.limits.max_connections), Descriptors::of_this_process());
    let most = wanted.min(all.most_clients());
    if most < wanted {
        tracing::warn!(
            listener = model.name,
            "maxConnections is lowered from {wanted} to {most}: this process may have {} files open (ulimit -n, LimitNOFILE=)",
            all.all
        );
    }
    most
}

/// Counted for a listener's name, across reloads.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) open: AtomicI64,
    pub(crate) accepted: Count,
    pub(crate) accept_errors: Count,
    /// Those for whom there was no place in time.
    pub(crate) turned_away: Count,
    pub(crate) handshake_failures: Count,
    pub(crate) invalid_proxy_headers: Count,
    /// Requests whose head was turned away before it was routed, by status class.
    pub(crate) refused_heads: Count,
    pub(crate) slow_heads: Count,
    /// Headers that went no further, by reason.
    pub(crate) underscored: Count,
    pub(crate) proxy_headers: Count,
    pub(crate) shadow_marks: Count,
    pub(crate) floods: Count,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
