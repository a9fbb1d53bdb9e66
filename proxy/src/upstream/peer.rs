//! What is the same for every endpoint of a version.

use super::conn::{ServerTls, TlsClients};
use serin_config::model::{EndpointHost, Timeouts, UpstreamProtocol, UpstreamProxyProtocol};
use std::sync::Arc;

/// What all endpoints of a version share.
#[derive(Clone)]
pub(super) struct PeerSettings {
    pub(super) protocol: UpstreamProtocol,
    pub(super) proxy_protocol: UpstreamProxyProtocol,
    pub(super) timeouts: Timeouts,
    pub(super) server_name: Option<String>,
    pub(super) tls: Arc<TlsClients>,
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
