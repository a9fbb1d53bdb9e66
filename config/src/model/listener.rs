//! What listeners are: addresses, TLS, limits.

use crate::file::{AboveZero, OfARequest, Rate, Size, settings};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    pub name: String,
    pub address: SocketAddr,
    /// `None` for plain HTTP.
    pub tls: Option<Tls>,
    pub proxy_protocol: ProxyProtocol,
    /// Peers whose `X-Forwarded-*`, `Forwarded` and PROXY headers are believed.
    pub trusted: Vec<IpNet>,
    pub underscores: Underscores,
    pub limits: ListenerLimits,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    pub certificates: Vec<Certificate>,
    pub min_version: TlsVersion,
    pub client_auth: ClientAuth,
}

/// Opened and matched by the check; opened again by whoever serves them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuth {
    Off,
    Optional { ca_file: PathBuf },
    Required { ca_file: PathBuf },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    Off,
    V1V2,
}

/// What becomes of request headers with an underscore in their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Underscores {
    Drop,
    Forward,
}

settings! {
    /// What one client may cost.
    ListenerLimits, "`limits` of a listener" {
        /// Open connections; the next one waits for a place, for `headerTimeout` at most.
        "maxConnections" max_connections: u32 = u64("20000") where 1..=10_000_000,
        /// From the first byte of a request's head to its last.
        "headerTimeout" header_timeout: Duration = Duration("10s") where AboveZero,
        /// Between two requests of a connection.
        "idleTimeout" idle_timeout: Duration = Duration("60s") where AboveZero,
        /// A whole request head; more is answered 431.
        "maxHeaderBytes" max_header_bytes: u64 = Size("32KiB") where OfARequest(1024),
        /// Header lines of a request; more are answered 431.
        "maxHeaders" max_headers: u32 = u64("100") where 8..=1000,
        /// The request's target; more is answered 414.
        "maxUriBytes" max_uri_bytes: u64 = Size("8KiB") where OfARequest(128),
        /// The slowest that a request body may come, after a grace of `headerTimeout`; slower is answered 408.
        "minBodyRate" min_body_rate: u64 = Rate("240B/s"),
        /// Concurrent HTTP/2 streams of a connection.
        "maxStreams" max_streams: u32 = u64("100") where 1..=10_000,
    }
}
