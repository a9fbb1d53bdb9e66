//! Who else listens on an address.
//!
//! Listening sockets are opened with SO_REUSEPORT, one for each thread, and the kernel would deal
//! connections to every socket of an address, whichever process has opened it: a second process
//! beside this one would take half of the clients. So before an address is opened for the first time, a
//! socket without that option is bound to it, which the kernel refuses while anybody listens there,
//! on this address or on one that overlaps with it. Sockets of this process, inherited ones among them,
//! are no reason to refuse: another listener, or one that is about to close, has them.

use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Fails when another process listens there, and names it where the system shows it.
pub(super) fn refuse_taken(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let admitted = match bind_alone(address) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => e,
        Err(e) => return Err(e),
    };
    let (own, listening) = (sockets_of("self"), listening(address));
    let others: BTreeSet<_> = listening.difference(&own).copied().collect();
    if others.is_empty() && !listening.is_empty() {
        return Ok(());
    }
    let who = match process_with(&others) {
        Some((pid, name)) => format!("process {pid} ({name}) listens there"),
        None if others.is_empty() => return Err(admitted),
        None => "another process listens there, and this user may not see which".to_owned(),
    };
    Err(io::Error::new(io::ErrorKind::AddrInUse, who))
}

fn bind_alone(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // What has been closed and lingers is nobody's.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())
}

/// The numbers of the sockets that listen on an address, or on one that overlaps with it.
fn listening(address: SocketAddr) -> BTreeSet<u64> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let lines = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    lines.filter_map(listener_in).filter(|(at, _)| overlap(*at, address)).map(|(_, n)| n).collect()
}

/// A line of `/proc/net/tcp`, if it is of a socket that listens.
fn listener_in(line: &str) -> Option<(SocketAddr, u64)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (ip, port) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != LISTEN {
        return None;
    }
    // Words of 32 bits, in the byte order of the machine.
    let words = (0..ip.len() / 8).map(|n| u32::from_str_radix(ip.get(n * 8..n * 8 + 8)?, 16).ok());
    let bytes: Vec<u8> =
        words.collect::<Option<Vec<u32>>>()?.iter().flat_map(|w| w.to_ne_bytes()).collect();
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(ip, port), fields.get(9)?.parse().ok()?))
}

/// Sockets of IPv6 take connections of IPv4, too, where they listen on all addresses.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let any = |ip: IpAddr, beside: IpAddr| match ip {
        IpAddr::V4(ip) => ip == Ipv4Addr::UNSPECIFIED && beside.is_ipv4(),
        IpAddr::V6(ip) => ip == Ipv6Addr::UNSPECIFIED,
    };
    one.port() == other.port() && (a == b || any(a, b) || any(b, a))
}

/// The numbers of a process's sockets; none where they are not shown.
fn sockets_of(process: &str) -> BTreeSet<u64> {
    let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) else { return BTreeSet::new() };
    let links = open.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    links.filter_map(|client| socket_in(&client)).collect()
}

fn socket_in(client: &Path) -> Option<u64> {
    client.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn process_with(sockets: &BTreeSet<u64>) -> Option<(u32, String)> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.find(|pid| !sockets_of(&pid.to_string()).is_disjoint(sockets))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, name.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_socket_that_listens_is_found_under_every_address_that_overlaps() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = socket.local_addr().unwrap();
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, at.port()));
        let any6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, at.port()));
        for address in [at, any, any6] {
            assert_eq!(listening(address).len(), 1, "{address}");
            assert!(listening(address).is_subset(&sockets_of("self")));
            // It is this process's own.
            assert!(refuse_taken(address).is_ok(), "{address}");
        }
        let pid = process_with(&listening(at)).map(|(pid, _)| pid);
        assert_eq!(pid, Some(std::process::id()));
        let elsewhere = SocketAddr::from(([127, 0, 0, 2], at.port()));
        assert!(listening(elsewhere).is_empty());
    }

    #[test]
    fn a_line_of_the_table_is_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0";
        let expected = SocketAddr::from(([127, 0, 0, 1], 8080));
        assert_eq!(listener_in(line), cfg!(target_endian = "little").then_some((expected, 4711)));
        assert_eq!(listener_in(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(listener_in("nonsense"), None);
    }
}
