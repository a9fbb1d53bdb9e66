//! Whom a request came from, read from a trusted peer's word and told to the backend.
//!
//! An untrusted peer is the client, whatever it says. A trusted one is believed hop by hop, from
//! the nearest backwards, until a hop is not trusted: that one is the client.

use super::life::Life;
use crate::ingress::Visit;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora_core::Result;
use pingora_http::RequestHeader;
use std::fmt::Write;
use std::net::IpAddr;

const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";
const REAL_IP: &str = "x-real-ip";

pub(super) fn client(headers: &HeaderMap, visit: &Visit) -> IpAddr {
    let mut client = visit.ip();
    if !visit.trusted {
        return client;
    }
    let mut hops: Vec<&str> = Vec::new();
    for line in headers.get_all(FOR) {
        hops.extend(line.to_str().unwrap_or("").split(',').map(str::trim));
    }
    for hop in hops.into_iter().rev() {
        let Some(address) = address(hop) else { break };
        client = address;
        if !visit.listener.trusts_ip(client) {
            break;
        }
    }
    client
}

/// An address, perhaps in brackets, perhaps with a port.
fn address(hop: &str) -> Option<IpAddr> {
    if let Ok(ip) = hop.parse::<IpAddr>() {
        return Some(ip.to_canonical());
    }
    if let Ok(socket) = hop.parse::<std::net::SocketAddr>() {
        return Some(socket.ip().to_canonical());
    }
    hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Says to the backend who asked. What an untrusted client said about it is gone.
pub(super) fn tell(request: &mut RequestHeader, life: &Life) -> Result<()> {
    let Some(visit) = &life.visit else { return Ok(()) };
    let peer = visit.ip();
    let earlier = visit.trusted.then(|| joined(&request.headers, FOR)).flatten();
    let earlier_forwarded =
        visit.trusted.then(|| joined(&request.headers, header::FORWARDED.as_str())).flatten();
    if !visit.trusted {
        forget(request);
    }
    let chain = earlier.map_or_else(|| peer.to_string(), |earlier| format!("{earlier}, {peer}"));
    request.insert_header(FOR, chain)?;
    if !visit.trusted || !request.headers.contains_key(PROTO) {
        request.insert_header(PROTO, life.scheme())?;
    }
    if !visit.trusted || !request.headers.contains_key(HOST) {
        request.insert_header(HOST, life.asked.host.as_str())?;
    }
    let mut element = earlier_forwarded.map_or_else(String::new, |earlier| format!("{earlier}, "));
    let _ = match peer {
        IpAddr::V4(ip) => write!(element, "for={ip}"),
        IpAddr::V6(ip) => write!(element, "for=\"[{ip}]\""),
    };
    let _ = write!(element, ";host=\"{}\";proto={}", life.asked.host, life.scheme());
    request.insert_header(header::FORWARDED, element)?;
    Ok(())
}

fn forget(request: &mut RequestHeader) {
    let forged: Vec<HeaderName> = request
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-"))
        .cloned()
        .collect();
    for name in forged {
        request.remove_header(&name);
    }
    request.remove_header(REAL_IP);
}

fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(HeaderValue::to_str).collect::<Result<_, _>>().ok()?;
    (!lines.is_empty()).then(|| lines.join(", "))
}
