//! What a browser can be tricked into: rebinding a name to this address, and posting to it
//! from another site.
//!
//! A request is answered only under a name that belongs to this address, and changes are
//! accepted only from a page that this address itself served, or from no page at all. There
//! are no CORS headers: nothing here is meant to be read from another origin.

use super::auth::Peer;
use super::problem::{Kind, Problem};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use std::net::IpAddr;

/// The names under which this address is answered.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    allowed: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(configured: &[String]) -> Self {
        Self { allowed: configured.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Refuses a Host that a page on the internet could have chosen. Ports are not looked at:
    /// a forwarded port is the operator's own doing, and rebinding works with names.
    pub(crate) fn check(&self, headers: &HeaderMap, uri: &Uri, peer: Peer) -> Result<(), Problem> {
        let Peer::Tcp { local, .. } = peer else {
            // No browser reaches a unix socket.
            return Ok(());
        };
        let authority = authority(headers, uri)?;
        let (host, _) = split_port(&authority);
        let known = host == "localhost"
            || host.ends_with(".localhost")
            || self.allowed.iter().any(|allowed| allowed == host || *allowed == authority)
            || ip(host).is_some_and(|ip| ip.is_loopback() || ip == local.ip());
        if known {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            Kind::ForeignHost,
            format!(
                "Host {:?} is not answered here; add it to admin.hosts if it is yours",
                short(host)
            ),
        ))
    }
}

/// What this address itself speaks. Before a plain one something else may speak HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http,
    Https,
}

/// Refuses a change that another site's page asks for.
pub(crate) fn check_origin(
    headers: &HeaderMap,
    uri: &Uri,
    peer: Peer,
    speaks: Speaks,
) -> Result<(), Problem> {
    let refused = |origin: &str| {
        Problem::new(
            StatusCode::FORBIDDEN,
            Kind::ForeignOrigin,
            format!("a page from {:?} may not change anything here", short(origin)),
        )
    };
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    if site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
        return Err(refused("another site"));
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let text = origin.to_str().unwrap_or("?");
    let host = match peer {
        Peer::Tcp { .. } => authority(headers, uri)?,
        Peer::Unix { .. } => return Err(refused(text)),
    };
    let own = origins.next().is_none() && same_place(text, &host, speaks);
    if own { Ok(()) } else { Err(refused(text)) }
}

/// Whether an Origin and a Host name the same host and port, and the Origin's scheme can be ours: what
/// came over plain HTTP may be anybody's words under our name.
fn same_place(origin: &str, authority: &str, speaks: Speaks) -> bool {
    let (scheme, from) = origin.split_once("://").unwrap_or((origin, ""));
    let default = match (scheme, speaks) {
        ("http", Speaks::Http) => 80,
        ("https", Speaks::Http | Speaks::Https) => 443,
        _ => return false,
    };
    let (from_host, from_port) = split_port(from);
    let (host, port) = split_port(authority);
    from_host.eq_ignore_ascii_case(host) && from_port.unwrap_or(default) == port.unwrap_or(default)
}

/// The one name under which the request was made, in lower case.
fn authority(headers: &HeaderMap, uri: &Uri) -> Result<String, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let named = hosts.next().and_then(|host| host.to_str().ok());
    match (named, hosts.next(), uri.authority()) {
        (Some(host), None, None) => Ok(host.to_ascii_lowercase()),
        (Some(host), None, Some(target)) if host.eq_ignore_ascii_case(target.as_str()) => {
            Ok(host.to_ascii_lowercase())
        }
        _ => {
            Err(Problem::malformed("a request has exactly one Host, and its target agrees with it"))
        }
    }
}

/// Splits `host:port` and `[v6]:port`; what has no port, or none that is one, stays whole.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    let bare_v6 = !authority.starts_with('[') && authority.matches(':').count() > 1;
    if bare_v6 {
        return (authority, None);
    }
    match authority.rsplit_once(':') {
        Some((host, "")) => (host, None),
        Some((host, port)) => port.parse().map_or((authority, None), |port| (host, Some(port))),
        None => (authority, None),
    }
}

fn ip(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Enough of what was sent to recognise it.
fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn peer() -> Peer {
        Peer::Tcp {
            remote: "10.1.1.1:5000".parse().unwrap(),
            local: "10.1.2.3:9901".parse().unwrap(),
        }
    }

    fn answered(host: &str) -> bool {
        let hosts = Hosts::new(&["serin.example.com".to_owned()]);
        hosts.check(&headers(&[("host", host)]), &Uri::from_static("/"), peer()).is_ok()
    }

    #[test]
    fn only_names_of_this_address_are_answered() {
        for own in [
            "localhost",
            "localhost:9901",
            "LOCALHOST",
            "127.0.0.1:1",
            "[::1]:9901",
            "10.1.2.3:9901",
            "serin.example.com",
            "Serin.Example.com:443",
        ] {
            assert!(answered(own), "{own}");
        }
        for foreign in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost:9901@evil.example",
            "127.0.0.1:http",
            "10.1.2.4",
            "",
            "::",
        ] {
            assert!(!answered(foreign), "{foreign}");
        }
    }

    #[test]
    fn two_hosts_or_none_are_malformed() {
        let hosts = Hosts::new(&[]);
        let two = headers(&[("host", "localhost"), ("host", "localhost")]);
        let target = Uri::from_static("/");
        assert_eq!(hosts.check(&two, &target, peer()).unwrap_err().status(), 400);
        assert_eq!(hosts.check(&HeaderMap::new(), &target, peer()).unwrap_err().status(), 400);
    }

    fn may_change_over(speaks: Speaks, origin: &str, host: &str) -> bool {
        let headers = headers(&[("origin", origin), ("host", host)]);
        check_origin(&headers, &Uri::from_static("/"), peer(), speaks).is_ok()
    }

    fn may_change(origin: &str, host: &str) -> bool {
        may_change_over(Speaks::Http, origin, host)
    }

    #[test]
    fn a_page_over_plain_http_is_foreign_to_an_address_that_speaks_https() {
        let over_https = |origin, host| may_change_over(Speaks::Https, origin, host);
        assert!(over_https("https://serin.example.com", "serin.example.com"));
        assert!(over_https("https://serin.example.com:9901", "serin.example.com:9901"));
        assert!(!over_https("http://serin.example.com:9901", "serin.example.com:9901"));
        assert!(!over_https("http://serin.example.com", "serin.example.com:80"));
    }

    #[test]
    fn a_page_of_this_address_may_change_things_and_no_other_may() {
        assert!(may_change("http://localhost:9901", "localhost:9901"));
        assert!(may_change("https://serin.example.com", "serin.example.com"));
        assert!(may_change("https://serin.example.com", "serin.example.com:443"));
        assert!(!may_change("http://localhost:3000", "localhost:9901"));
        assert!(!may_change("https://evil.example", "localhost:9901"));
        assert!(!may_change("null", "localhost:9901"));
        assert!(!may_change("http://localhost", "localhost:9901"));
    }

    #[test]
    fn a_browser_that_says_cross_site_is_believed() {
        let cross = headers(&[("sec-fetch-site", "cross-site"), ("host", "localhost")]);
        assert!(check_origin(&cross, &Uri::from_static("/"), peer(), Speaks::Http).is_err());
        let none = headers(&[("host", "localhost")]);
        assert!(check_origin(&none, &Uri::from_static("/"), peer(), Speaks::Http).is_ok());
    }
}
