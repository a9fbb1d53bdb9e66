//! Whom a request came from, read from a trusted peer's word and told to the backend.
//!
//! An untrusted peer is the client, whatever it says. A trusted one is believed hop by hop, from
//! the nearest backwards, until a hop is not trusted: that one is the client.

use crate::ingress::ClientInfo;
use crate::request::arrived::Arrived;
use crate::route::Fields;
use std::net::IpAddr;

const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";
const REAL_IP: &str = "x-real-ip";
const FORWARDED: &str = "forwarded";

/// What [`tell`] says of one whom nobody trusts.
pub(crate) const LINES: [&str; 4] = [FOR, PROTO, HOST, FORWARDED];

pub(crate) fn client(fields: &dyn Fields, info: &ClientInfo) -> IpAddr {
    let mut client = info.ip();
    if !info.trusted {
        return client;
    }
    let mut hops: Vec<Option<IpAddr>> = Vec::new();
    fields.any(FOR, &mut |line| {
        let line = std::str::from_utf8(line).unwrap_or("");
        hops.extend(line.split(',').map(|hop| address(hop.trim())));
        false
    });
    for hop in hops.into_iter().rev() {
        let Some(address) = hop else { break };
        client = address;
        if !info.listener.trusts_ip(client) {
            break;
        }
    }
    client
}

/// Whether the client itself came by HTTPS: to here, or to a trusted balancer that says so.
pub(crate) fn is_secure(fields: &dyn Fields, info: &ClientInfo) -> bool {
    let said = || fields.first(PROTO).is_some_and(|proto| proto.eq_ignore_ascii_case(b"https"));
    info.tls.is_some() || info.trusted && said()
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

/// Says to the backend who asked, in lines that each take the place of all of their name.
/// `value` is only borrowed, so that it can be used again for the next.
pub(crate) fn tell(
    fields: &dyn Fields,
    request: &Arrived,
    value: &mut String,
    line: &mut dyn FnMut(&'static str, &str),
) {
    let info = &request.info;
    value.clear();
    if info.trusted && joined(fields, FOR, value) {
        value.push_str(", ");
    }
    value.push_str(&info.peer);
    line(FOR, value);
    if !info.trusted || fields.first(PROTO).is_none() {
        line(PROTO, request.scheme());
    }
    if !info.trusted || fields.first(HOST).is_none() {
        line(HOST, &request.scratch.host);
    }
    value.clear();
    if info.trusted && joined(fields, FORWARDED, value) {
        value.push_str(", ");
    }
    standard(request).iter().for_each(|part| value.push_str(part));
    line(FORWARDED, value);
}

/// What the standard's own field says.
fn standard(request: &Arrived) -> [&str; 8] {
    let info = &request.info;
    let (open, close) = if info.ip().is_ipv6() { ("\"[", "]\"") } else { ("", "") };
    let host = request.scratch.host.as_str();
    ["for=", open, &info.peer, close, ";host=\"", host, "\";proto=", request.scheme()]
}

/// What [`tell`] says, already as lines, in pieces, where it depends on nothing that the request says
/// itself: of nearly every request in front of which no other proxy stands.
pub(crate) fn plainly(request: &Arrived) -> Option<[&[u8]; 16]> {
    if request.info.trusted {
        return None;
    }
    let mut pieces: [&[u8]; 16] = [b""; 16];
    pieces[..7].copy_from_slice(&[
        b"x-forwarded-for: ",
        request.info.peer.as_bytes(),
        b"\r\nx-forwarded-proto: ",
        request.scheme().as_bytes(),
        b"\r\nx-forwarded-host: ",
        request.scratch.host.as_bytes(),
        b"\r\nforwarded: ",
    ]);
    pieces[7..15].copy_from_slice(&standard(request).map(str::as_bytes));
    pieces[15] = b"\r\n";
    Some(pieces)
}

/// Whether a field is forgotten because an untrusted peer says it. Those that [`tell`] writes are
/// replaced anyway.
pub(crate) fn is_forged(name: &[u8], info: &ClientInfo) -> bool {
    const PREFIX: &[u8] = b"x-forwarded-";
    !info.trusted
        && (name.get(..PREFIX.len()).is_some_and(|n| n.eq_ignore_ascii_case(PREFIX))
            || name.eq_ignore_ascii_case(REAL_IP.as_bytes()))
}

/// All lines of a name as one; nothing when one of them is not text.
fn joined(fields: &dyn Fields, name: &str, into: &mut String) -> bool {
    let begins = into.len();
    let broken = fields.any(name, &mut |line| {
        let Ok(text) = std::str::from_utf8(line) else { return true };
        if into.len() > begins {
            into.push_str(", ");
        }
        into.push_str(text);
        false
    });
    if broken {
        into.truncate(begins);
    }
    into.len() > begins
}
