//! The admin listener, and who may do what there.

use super::listener::Certificate;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    pub address: AdminAddress,
    pub tokens: Vec<Token>,
    /// Host headers that are answered, beside the address itself and loopback names.
    pub hosts: Vec<String>,
    /// HTTPS, where the address is one of TCP.
    pub tls: Option<Certificate>,
    /// Where probes and metrics are answered as well.
    pub probes: Option<SocketAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub role: Role,
    /// Whom decisions name; no two tokens have one name.
    pub name: String,
    pub secret: Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Viewer,
    Operator,
}

/// Read from a file; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    pub file: PathBuf,
    value: String,
}

impl Secret {
    pub fn new(file: PathBuf, value: String) -> Self {
        Self { file, value }
    }

    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret(from {:?})", self.file)
    }
}
