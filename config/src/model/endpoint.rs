//! The endpoints of a version: listed, or found by a source.

use crate::discovery::Discovery;
use std::net::SocketAddr;

/// Where a version's requests can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoints {
    /// By the configuration itself.
    Listed(Vec<Endpoint>),
    /// By somebody whom the proxy asks again and again.
    Found(Discovery),
}

impl Endpoints {
    /// Those that the configuration itself names.
    pub fn listed(&self) -> &[Endpoint] {
        match self {
            Self::Listed(endpoints) => endpoints,
            Self::Found(_) => &[],
        }
    }

    /// What stands for them where versions are compared: each endpoint by its address or name, or the
    /// source that all of them come from.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Listed(endpoints) => endpoints.iter().map(ToString::to_string).collect(),
            Self::Found(source) => vec![source.to_string()],
        }
    }

    /// How many there are, as far as the configuration says.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Listed(endpoints) => Some(endpoints.len()),
            Self::Found(_) => None,
        }
    }
}

impl FromIterator<Endpoint> for Endpoints {
    fn from_iter<I: IntoIterator<Item = Endpoint>>(listed: I) -> Self {
        Self::Listed(listed.into_iter().collect())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub host: EndpointHost,
    pub port: u16,
    pub tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointHost {
    Ip(std::net::IpAddr),
    /// Resolved again and again, never on a request's way.
    Name(String),
}

impl std::fmt::Display for Endpoint {
    /// As metrics and messages name it: `10.0.1.11:8080`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            EndpointHost::Ip(ip) => write!(f, "{}", SocketAddr::new(*ip, self.port)),
            EndpointHost::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}
