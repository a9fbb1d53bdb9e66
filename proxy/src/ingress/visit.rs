//! Who a connection came from, and through which listener: what a lane asks about its client.

use super::listener::ListenerState;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) listener: Arc<ListenerState>,
    /// The client, as far as the connection itself says: the peer, or whom a trusted balancer
    /// named by the PROXY protocol.
    pub(crate) client: SocketAddr,
    /// The client's address in words: it is said to the backend with every request.
    pub(crate) peer: String,
    /// Whether the forwarding headers of the client's requests are believed.
    pub(crate) trusted: bool,
    pub(crate) tls: Option<TlsVisit>,
}

/// What the TLS handshake settled.
#[derive(Debug)]
pub(crate) struct TlsVisit {
    /// Lower case; `None` when the client named nobody.
    pub(crate) server_name: Option<String>,
    pub(crate) version: &'static str,
}

impl Visit {
    pub(crate) fn new(
        listener: Arc<ListenerState>,
        client: SocketAddr,
        trusted: bool,
        tls: Option<TlsVisit>,
    ) -> Self {
        let peer = client.ip().to_canonical().to_string();
        Self { listener, client, peer, trusted, tls }
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.client.ip().to_canonical()
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
