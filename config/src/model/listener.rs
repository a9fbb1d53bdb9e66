//! What listeners are: addresses, TLS, limits.

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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerLimits {
    pub max_connections: u32,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    pub max_header_bytes: u64,
    pub max_headers: u32,
    pub max_uri_bytes: u64,
    /// The slowest that a request body may come, in bytes per second, after a grace of `header_timeout`.
    pub min_body_rate: u64,
    pub max_streams: u32,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_header_bytes: 32 * 1024,
            max_headers: 100,
            max_uri_bytes: 8 * 1024,
            min_body_rate: 240,
            max_streams: 100,
        }
    }
}
