//! Whom the load is for, parsed once from a URL.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http1,
    Http2,
    WebSocket,
}

#[derive(Debug, Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub host: String,
    /// As the `Host` header says it.
    pub authority: String,
    pub tls: bool,
    /// What the scheme asks for; HTTP/2 has none of its own.
    pub protocol: Protocol,
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetError {
    Scheme(String),
    NoHost(String),
    Resolve { host: String, why: String },
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(url) => {
                write!(f, "{url:?} does not begin with http://, https://, ws:// or wss://")
            }
            Self::NoHost(url) => write!(f, "{url:?} names no host"),
            Self::Resolve { host, why } => write!(f, "{host} cannot be resolved: {why}"),
        }
    }
}

impl std::error::Error for TargetError {}

impl Target {
    /// Resolves the host once; a load test does not measure the resolver.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        const SCHEMES: [(&str, bool, Protocol); 4] = [
            ("http://", false, Protocol::Http1),
            ("https://", true, Protocol::Http1),
            ("ws://", false, Protocol::WebSocket),
            ("wss://", true, Protocol::WebSocket),
        ];
        let mut schemes = SCHEMES.iter();
        let found = schemes.find_map(|(s, tls, p)| Some((url.strip_prefix(s)?, *tls, *p)));
        let (rest, tls, protocol) = found.ok_or_else(|| TargetError::Scheme(url.to_owned()))?;
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, "/"),
        };
        if authority.is_empty() {
            return Err(TargetError::NoHost(url.to_owned()));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok());
        let port = if tls { 443 } else { 80 };
        let full = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
        let resolve_error = |why: String| TargetError::Resolve { host: full.clone(), why };
        let mut addresses = full.to_socket_addrs().map_err(|e| resolve_error(e.to_string()))?;
        let address = addresses.next().ok_or_else(|| resolve_error("no address".to_owned()))?;
        let host = full.rsplit_once(':').map_or(full.as_str(), |(host, _)| host);
        Ok(Self {
            address,
            host: host.trim_matches(['[', ']']).to_owned(),
            authority: authority.to_owned(),
            tls,
            protocol,
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_address_authority_and_path() {
        let target = Target::parse("http://127.0.0.1:8080/a?b").expect("parses");
        assert_eq!(target.address.to_string(), "127.0.0.1:8080");
        assert_eq!((target.authority.as_str(), target.path.as_str()), ("127.0.0.1:8080", "/a?b"));
        let target = Target::parse("wss://[::1]").expect("parses");
        assert_eq!((target.address.port(), target.host.as_str(), target.tls), (443, "::1", true));
        assert_eq!(target.protocol, Protocol::WebSocket);
        assert!(matches!(Target::parse("127.0.0.1:80"), Err(TargetError::Scheme(_))));
    }
}
