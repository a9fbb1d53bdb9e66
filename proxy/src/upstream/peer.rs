//! The peer that pingora connects to, made from one of ours.
//!
//! Three of pingora's habits are answered here. `HttpPeer::new` resolves names while it blocks, so
//! it only ever gets an address. The key of its connection pool leaves out protocol, verification
//! and what the endpoint belongs to, so everything that makes two connections different goes into
//! `group_key`. And an empty server name switches verification off, so a TLS peer always has one.

use super::conn::{ServerTls, TlsClients};
use super::pick::Lease;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use serin_config::model::{EndpointHost, Timeouts, UpstreamProtocol, UpstreamProxyProtocol};
use std::net::SocketAddr;
use std::sync::Arc;

/// What a backend may send of an answer whose client does not take it.
const H2_STREAM_WINDOW: u32 = 64 * 1024;

/// A peer without its address's connection: cloned for each attempt.
#[derive(Clone)]
pub(super) struct PeerTemplate(HttpPeer);

impl std::fmt::Debug for PeerTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PeerTemplate").field(&self.0._address).finish()
    }
}

/// What all endpoints of a version share.
#[derive(Clone)]
pub(super) struct PeerSettings {
    pub(super) protocol: UpstreamProtocol,
    pub(super) proxy_protocol: UpstreamProxyProtocol,
    pub(super) timeouts: Timeouts,
    pub(super) server_name: Option<String>,
    pub(super) ca: Option<Arc<CaType>>,
    /// The same for connections of our own.
    pub(super) tls: Arc<TlsClients>,
    /// Differs between any two services, versions and settings.
    pub(super) group_key: u64,
}

impl PeerSettings {
    /// What the certificate of an endpoint on this host has to be for.
    fn server_name(&self, host: &EndpointHost) -> String {
        let named = match host {
            EndpointHost::Ip(ip) => ip.to_string(),
            EndpointHost::Name(name) => name.clone(),
        };
        self.server_name.clone().unwrap_or(named)
    }

    pub(super) fn server_tls(&self, host: &EndpointHost) -> Option<ServerTls> {
        ServerTls::new(&self.server_name(host), &self.tls)
    }
}

impl PeerTemplate {
    pub(super) fn new(
        settings: &PeerSettings,
        host: &EndpointHost,
        address: SocketAddr,
        tls: bool,
    ) -> Self {
        let name = settings.server_name(host);
        let mut peer = HttpPeer::new(address, tls, if tls { name } else { String::new() });
        peer.group_key = settings.group_key;
        let options = &mut peer.options;
        options.alpn = alpn(settings.protocol, tls);
        options.ca = settings.ca.clone();
        options.connection_timeout = Some(settings.timeouts.connect);
        // TLS included.
        options.total_connection_timeout = Some(settings.timeouts.connect * 2);
        options.read_timeout = Some(settings.timeouts.response);
        options.write_timeout = Some(settings.timeouts.idle);
        options.idle_timeout = Some(settings.timeouts.idle);
        options.max_h2_streams = 100;
        options.h2_stream_window_size = Some(H2_STREAM_WINDOW);
        Self(peer)
    }
}

impl PeerTemplate {
    pub(super) fn peer(&self) -> HttpPeer {
        self.0.clone()
    }
}

fn alpn(protocol: UpstreamProtocol, tls: bool) -> ALPN {
    match (protocol, tls) {
        (UpstreamProtocol::Http1, _) | (UpstreamProtocol::Auto, false) => ALPN::H1,
        (UpstreamProtocol::Http2, _) => ALPN::H2,
        (UpstreamProtocol::Auto, true) => ALPN::H2H1,
    }
}

impl Lease {
    /// The peer for this attempt. `read_timeout` is the time to the response head; the lane sets it
    /// to `timeouts.idle` once the head is there.
    pub fn peer(&self) -> Box<HttpPeer> {
        Box::new(self.endpoint.peer.peer())
    }
}
