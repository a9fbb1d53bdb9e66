//! `listeners`: addresses, limits, and that TLS is complete where it is spoken.

use super::{Check, given, tls};
use crate::file::{self, ListenerProtocol};
use crate::model::{self, Listener, ProxyProtocol};
use crate::report::shown;
use crate::source::{At, Place};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

pub(super) fn check(listeners: &[At<file::Listener>], check: &mut Check<'_>) -> Vec<Listener> {
    let mut names = HashMap::new();
    let mut addresses: HashMap<SocketAddr, Place> = HashMap::new();
    let mut checked = Vec::new();
    for listener in listeners {
        if let Some(name) = &listener.name {
            check.unique(&mut names, name, "listener");
            label(name, "listener", check);
        }
        let found = one(listener, check);
        let written = listener.address.as_ref();
        if let (Some(found), Some(written)) = (&found, written)
            && found.address.port() != 0
            && let Some(first) = addresses.insert(found.address, written.at)
        {
            check
                .error(written.at, format!("two listeners have the address {}", found.address))
                .label("the second")
                .also(first, "the first")
                .hint("one listener serves every host: the name the client asks for picks the certificate");
        }
        checked.extend(found);
    }
    checked
}

fn one(listener: &file::Listener, check: &mut Check<'_>) -> Option<Listener> {
    let tls = encryption(listener, check);
    let limits = *given(listener.limits.as_ref());
    let trusted = networks(listener.trusted.as_ref(), check);
    let proxy_protocol = proxy_protocol(listener, &trusted, check);
    let address = listener.address.as_ref().and_then(|at| address(at, "0.0.0.0:8080", check));
    Some(Listener {
        name: listener.name.as_ref()?.value.clone(),
        address: address?,
        tls,
        proxy_protocol,
        trusted,
        underscores: listener.underscores(),
        limits,
    })
}

/// Names of things that become labels of metrics.
pub(super) fn label(name: &At<String>, what: &str, check: &mut Check<'_>) {
    if let Err(fault) = serin_core::ids::RouteName::new(&name.value) {
        check.error(name.at, format!("{} cannot name a {what}: {fault}", shown(&name.value)));
    }
}

fn encryption(listener: &file::Listener, check: &mut Check<'_>) -> Option<model::Tls> {
    let tls = listener.tls.as_ref();
    match (listener.protocol.as_ref(), tls) {
        (Some(protocol), Some(tls)) if protocol.value == ListenerProtocol::Http => {
            check
                .error(tls.at, "`tls` on a listener that speaks HTTP")
                .also(protocol.at, "this says plain HTTP")
                .hint("write `protocol: HTTPS`, or remove `tls`");
        }
        (Some(protocol), None) if protocol.value == ListenerProtocol::Https => {
            check
                .error(protocol.at, "HTTPS without `tls`")
                .hint("add `tls: { certificates: [ { certFile: …, keyFile: … } ] }`");
        }
        (Some(_) | None, Some(_) | None) => {}
    }
    tls.and_then(|tls| tls::check(tls, check))
}

fn proxy_protocol(
    listener: &file::Listener,
    trusted: &[IpNet],
    check: &mut Check<'_>,
) -> ProxyProtocol {
    let Some(found) = listener.proxy_protocol else { return ProxyProtocol::Off };
    if found.value == ProxyProtocol::V1V2 && trusted.is_empty() && listener.trusted.is_none() {
        check
            .warning(found.at, "no peer is trusted to send a PROXY header")
            .label("every header would be ignored")
            .hint("name the load balancers: `trusted: [10.0.0.0/8]`");
    }
    found.value
}

/// Addresses and networks; a bare address is a network of one.
pub(super) fn networks(found: Option<&At<Vec<At<String>>>>, check: &mut Check<'_>) -> Vec<IpNet> {
    let items = found.map(|found| found.value.as_slice()).unwrap_or_default();
    items.iter().filter_map(|item| network(item, check)).collect()
}

fn network(item: &At<String>, check: &mut Check<'_>) -> Option<IpNet> {
    if let Ok(ip) = item.value.parse::<IpAddr>() {
        return Some(IpNet::from(ip));
    }
    let Ok(net) = item.value.parse::<IpNet>() else {
        check
            .error(item.at, format!("{} is neither an address nor a network", shown(&item.value)))
            .hint("write `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32`");
        return None;
    };
    if net.trunc() != net {
        check
            .warning(item.at, format!("{net} has bits beyond its prefix"))
            .hint(format!("this means `{}`; a single address is written without `/`", net.trunc()));
    }
    Some(net.trunc())
}

pub(super) fn address(at: &At<String>, example: &str, check: &mut Check<'_>) -> Option<SocketAddr> {
    let text = at.value.as_str();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let hint = match text.strip_prefix(':') {
        Some(port) if port.parse::<u16>().is_ok() => format!("write `0.0.0.0:{port}`"),
        _ if text.parse::<u16>().is_ok() => format!("write `0.0.0.0:{text}`"),
        _ if text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()) => {
            format!("add a port: `{text}:8080`")
        }
        _ if text.parse::<IpAddr>().is_ok() => format!("add a port: `[{text}]:8080`"),
        _ => match text.strip_prefix("localhost:") {
            Some(port) => format!("write `127.0.0.1:{port}`"),
            None => format!("write an IP address and a port, like `{example}`"),
        },
    };
    check.error(at.at, format!("{} is not an address and port", shown(text))).hint(hint);
    None
}
