//! Who a connection came from, and through which listener: what a request asks about its client.

use super::listener::ListenerState;
use crate::wire::proxy_header::Ends;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
pub(crate) struct ClientInfo {
    pub(crate) listener: Arc<ListenerState>,
    /// The client, as far as the connection itself says: its own end, or the one that a trusted balancer
    /// named by the PROXY protocol.
    client: SocketAddr,
    /// Where the client has connected to. That is a system call to find out, and hardly anybody asks.
    server: OnceLock<Box<SocketAddr>>,
    /// The client's address in words: it is said to the backend with every request.
    pub(crate) peer: String,
    /// Whether the forwarding headers of the client's requests are believed.
    pub(crate) trusted: bool,
    pub(crate) tls: Option<Box<TlsInfo>>,
}

/// What the TLS handshake settled.
#[derive(Debug)]
pub(crate) struct TlsInfo {
    /// Lower case; `None` when the client named nobody.
    pub(crate) server_name: Option<String>,
    pub(crate) version: &'static str,
}

impl ClientInfo {
    pub(crate) fn new(
        listener: Arc<ListenerState>,
        client: SocketAddr,
        trusted: bool,
        tls: Option<TlsInfo>,
    ) -> Self {
        let peer = text_of(client.ip().to_canonical());
        let (server, tls) = (OnceLock::new(), tls.map(Box::new));
        Self { listener, client, server, peer, trusted, tls }
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.client.ip().to_canonical()
    }

    /// Asks the client's connection where it has come to, unless that is known. One that does not say is gone.
    pub(crate) fn learn_server(&self, ask: impl FnOnce() -> io::Result<SocketAddr>) {
        self.server.get_or_init(|| Box::new(ask().unwrap_or(SocketAddr::new(self.client.ip(), 0))));
    }

    /// Both ends of the connection, once somebody has asked.
    pub(crate) fn ends(&self) -> Option<Ends> {
        Some(Ends { client: self.client, server: **self.server.get()? })
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// As `Display` writes it, which takes as long as the rest of beginning a connection.
fn text_of(ip: IpAddr) -> String {
    let ip = match ip {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => return ip.to_string(),
    };
    let mut text = String::with_capacity("255.255.255.255".len());
    for octet in ip.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        let digit = |n: u8| char::from(b'0' + n % 10);
        if octet >= 100 {
            text.push(digit(octet / 100));
        }
        if octet >= 10 {
            text.push(digit(octet / 10));
        }
        text.push(digit(octet));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_words_is_the_usual_one() {
        for ip in ["0.0.0.0", "10.1.100.255", "127.0.0.1", "9.99.109.200", "::1", "2001:db8::7"] {
            assert_eq!(ip.parse().map(text_of).as_deref(), Ok(ip));
        }
    }
}
