//! Endpoints of a version: `host:port`, `http://…` or `https://…`.

use super::Check;
use crate::discovery::Discovery;
use crate::file;
use crate::model::{Endpoint, EndpointHost, Endpoints, Listener};
use crate::report::shown;
use crate::source::{At, Place};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs};

/// What a version's endpoints are, and where in the files each of them stands.
pub(super) fn check(
    version: &file::Version,
    listeners: &[Listener],
    check: &mut Check<'_>,
) -> (Endpoints, Vec<(String, Place)>) {
    let nothing = || (Endpoints::Listed(Vec::new()), Vec::new());
    let Some(At { value: written, at }) = &version.endpoints else { return nothing() };
    match written {
        file::Endpoints::Listed(listed) => {
            if listed.is_empty() {
                check
                    .error(*at, "a version without endpoints")
                    .hint("add one: `endpoints: [\"10.0.0.1:8080\"]`");
            }
            let found = self::listed(listed, listeners, check);
            let places = found.iter().map(|(endpoint, at)| (endpoint.to_string(), *at)).collect();
            (Endpoints::Listed(found.into_iter().map(|(endpoint, _)| endpoint).collect()), places)
        }
        file::Endpoints::From(source) => {
            let named = version.tls.as_ref().is_some_and(|tls| tls.server_name.is_some());
            match Discovery::check(source, named, check) {
                Some(source) => {
                    let place = (source.to_string(), *at);
                    (Endpoints::Found(source), vec![place])
                }
                None => nothing(),
            }
        }
    }
}

fn listed(
    written: &[At<String>],
    listeners: &[Listener],
    check: &mut Check<'_>,
) -> Vec<(Endpoint, Place)> {
    let mut seen: HashMap<Endpoint, Place> = HashMap::new();
    let mut endpoints = Vec::new();
    for written in written {
        let Some(endpoint) = parse(written, check) else { continue };
        if let Some(first) = seen.get(&endpoint) {
            check
                .error(written.at, format!("{endpoint} stands twice"))
                .label("the second")
                .also(*first, "the first")
                .hint("remove one of them");
            continue;
        }
        seen.insert(endpoint.clone(), written.at);
        own_listener(&endpoint, written.at, listeners, check);
        if check.options.resolve {
            resolve(&endpoint, written.at, check);
        }
        endpoints.push((endpoint, written.at));
    }
    endpoints
}

fn parse(written: &At<String>, check: &mut Check<'_>) -> Option<Endpoint> {
    match endpoint_address(&written.value) {
        Ok(endpoint) => Some(endpoint),
        Err(hint) => {
            check
                .error(written.at, format!("{} is not an endpoint", shown(&written.value)))
                .hint(hint);
            None
        }
    }
}

/// An endpoint as the files write it, or what to write.
pub(crate) fn endpoint_address(text: &str) -> Result<Endpoint, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Some(false), rest),
        Some(("https", rest)) => (Some(true), rest),
        Some((other, rest)) => {
            return Err(format!("{} is unknown; write `http://{rest}`", shown(other)));
        }
        None => (None, text),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if let Some((host, path)) = rest.split_once('/') {
        return Err(format!(
            "an endpoint has no path; write `{host}`, and for `/{path}` a route's `rewrite`"
        ));
    }
    if rest.contains('@') {
        return Err("an endpoint has no user; set a header on the route".to_owned());
    }
    let (host, port) = host_and_port(rest)?;
    let tls = scheme.unwrap_or(false);
    let port = match (port, scheme) {
        (Some(port), _) => port,
        (None, Some(tls)) => {
            if tls {
                443
            } else {
                80
            }
        }
        (None, None) => return Err(format!("add a port: `{rest}:8080`")),
    };
    Ok(Endpoint { host, port, tls })
}

fn host_and_port(text: &str) -> Result<(EndpointHost, Option<u16>), String> {
    if let Ok(ip) = text.parse::<Ipv6Addr>() {
        return Err(format!("an IPv6 address stands in brackets: `[{ip}]:8080`"));
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port.map(str::parse::<u16>) {
        Some(Ok(0)) => return Err("0 is no port".to_owned()),
        Some(Ok(port)) => Some(port),
        Some(Err(_)) => return Err("a port is a number from 1 to 65535".to_owned()),
        None => None,
    };
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok((EndpointHost::Ip(ip), port));
    }
    match endpoint_name(host) {
        Some(name) => Ok((EndpointHost::Name(name), port)),
        None => Err("write `10.0.0.1:8080`, `name:8080` or `https://name`".to_owned()),
    }
}

/// A name that can have addresses, in lower case and without a dot at its end.
pub(crate) fn endpoint_name(text: &str) -> Option<String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(inner);
    let name = text.strip_suffix('.').unwrap_or(text);
    // `10.0.0.256` is a slip, not a name.
    let numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_name = !numeric && name.len() <= 253 && name.split('.').all(label);
    is_name.then(|| name.to_ascii_lowercase())
}

/// A request would go round and round.
fn own_listener(endpoint: &Endpoint, at: Place, listeners: &[Listener], check: &mut Check<'_>) {
    let local = match &endpoint.host {
        EndpointHost::Ip(ip) => *ip,
        EndpointHost::Name(name) if name == "localhost" => IpAddr::from([127, 0, 0, 1]),
        EndpointHost::Name(_) => return,
    };
    let reaches = |listener: &&Listener| {
        let own = listener.address;
        own.port() == endpoint.port
            && (own.ip() == local || (own.ip().is_unspecified() && local.is_loopback()))
    };
    if let Some(listener) = listeners.iter().find(reaches) {
        check
            .warning(at, format!("{endpoint} is the listener {}", shown(&listener.name)))
            .hint("requests would go round and round; name the application's address");
    }
}

fn resolve(endpoint: &Endpoint, at: Place, check: &mut Check<'_>) {
    let EndpointHost::Name(name) = &endpoint.host else { return };
    match (name.as_str(), endpoint.port).to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(_)) => {}
        Ok(None) => {
            check.error(at, format!("{} has no address", shown(name)));
        }
        Err(error) => {
            let reason = super::secrets::plain(&error);
            check.error(at, format!("{} cannot be resolved: {reason}", shown(name)));
        }
    }
}
