//! The PROXY protocol, versions 1 and 2: who a connection came from, as the balancer in front tells it and
//! as backends are told. Pure: bytes in, verdict out. Whether the balancer is to be believed is decided by
//! who calls, before a byte is read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest version 1 line, by the protocol's text.
const V1_MAX: usize = 107;
/// The longest version 2 header that is read; what follows the addresses are extensions.
pub const MAX: usize = 16 + 2048;

/// The two ends of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub client: SocketAddr,
    /// Where the client has connected to.
    pub server: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVerdict {
    Partial,
    /// The header's length, and whose connection it is. `None` says that the balancer speaks for
    /// itself: a health check.
    Whole {
        length: usize,
        ends: Option<Ends>,
    },
    Invalid,
}

pub fn parse(bytes: &[u8]) -> ProxyVerdict {
    let same = bytes.iter().zip(V2_SIGNATURE).take_while(|(a, b)| a == b).count();
    if same == V2_SIGNATURE.len() {
        version_2(bytes)
    } else if same == bytes.len() {
        ProxyVerdict::Partial
    } else {
        version_1(bytes)
    }
}

/// How much can be read without reading past the header, which is incomplete: what follows it
/// belongs to somebody else.
pub fn missing(bytes: &[u8]) -> usize {
    const SHORTEST: usize = 15;
    match bytes.get(14..16) {
        None if bytes.len() < SHORTEST => SHORTEST - bytes.len(),
        Some(length) if bytes.starts_with(V2_SIGNATURE) => (16
            + usize::from(u16::from_be_bytes([length[0], length[1]])))
        .saturating_sub(bytes.len()),
        Some(_) | None => 1,
    }
}

fn version_1(bytes: &[u8]) -> ProxyVerdict {
    let start = &b"PROXY "[..bytes.len().min(6)];
    if !bytes.starts_with(start) {
        return ProxyVerdict::Invalid;
    }
    let Some(end) = bytes.iter().take(V1_MAX).position(|b| *b == b'\n') else {
        return if bytes.len() >= V1_MAX { ProxyVerdict::Invalid } else { ProxyVerdict::Partial };
    };
    let ends = bytes
        .get(..end)
        .and_then(|line| line.strip_suffix(b"\r"))
        .and_then(|line| std::str::from_utf8(line).ok())
        .and_then(line_1);
    match ends {
        Some(ends) => ProxyVerdict::Whole { length: end + 1, ends },
        None => ProxyVerdict::Invalid,
    }
}

fn line_1(line: &str) -> Option<Option<Ends>> {
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let (source, target): (IpAddr, IpAddr) =
        (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (port, to) = (words.next()?, words.next()?);
    let fits = match family {
        "TCP4" => source.is_ipv4() && target.is_ipv4(),
        "TCP6" => source.is_ipv6() && target.is_ipv6(),
        _ => false,
    };
    let client = SocketAddr::new(source, port.parse().ok()?);
    let server = SocketAddr::new(target, to.parse().ok()?);
    (fits && words.next().is_none()).then_some(Some(Ends { client, server }))
}

fn version_2(bytes: &[u8]) -> ProxyVerdict {
    let Some(fixed) = bytes.get(12..16) else { return ProxyVerdict::Partial };
    let (version, command, family) = (fixed[0] >> 4, fixed[0] & 15, fixed[1]);
    let rest = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if version != 2 || command > 1 || 16 + rest > MAX {
        return ProxyVerdict::Invalid;
    }
    let Some(addresses) = bytes.get(16..16 + rest) else { return ProxyVerdict::Partial };
    let length = 16 + rest;
    if command == 0 {
        return ProxyVerdict::Whole { length, ends: None };
    }
    let ends = match family {
        0x11 => v4(addresses),
        0x21 => v6(addresses),
        // UNIX and unspecified: accepted, and the balancer speaks for itself.
        0x00 | 0x31 | 0x32 => return ProxyVerdict::Whole { length, ends: None },
        _ => None,
    };
    match ends {
        Some(ends) => ProxyVerdict::Whole { length, ends: Some(ends) },
        None => ProxyVerdict::Invalid,
    }
}

fn v4(bytes: &[u8]) -> Option<Ends> {
    let end = |ip: usize, port: usize| {
        let ip: [u8; 4] = bytes.get(ip..ip + 4)?.try_into().ok()?;
        Some(SocketAddr::new(Ipv4Addr::from(ip).into(), port_at(bytes, port)?))
    };
    Some(Ends { client: end(0, 8)?, server: end(4, 10)? })
}

fn v6(bytes: &[u8]) -> Option<Ends> {
    let end = |ip: usize, port: usize| {
        let ip: [u8; 16] = bytes.get(ip..ip + 16)?.try_into().ok()?;
        Some(SocketAddr::new(Ipv6Addr::from(ip).into(), port_at(bytes, port)?))
    };
    Some(Ends { client: end(0, 32)?, server: end(16, 34)? })
}

fn port_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The header of version 1. Without ends the connection is for nobody but Serin itself.
pub(crate) fn write_1(ends: Option<Ends>) -> Vec<u8> {
    let Some(Ends { client, server }) = ends.map(Ends::of_one_family) else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.port(), server.port());
    format!("PROXY {family} {} {} {from} {to}\r\n", client.ip(), server.ip()).into_bytes()
}

/// The header of version 2.
pub(crate) fn write_2(ends: Option<Ends>) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    let Some(Ends { client, server }) = ends.map(Ends::of_one_family) else {
        header.extend_from_slice(&[0x20, 0, 0, 0]);
        return header;
    };
    header.extend_from_slice(if client.is_ipv4() {
        &[0x21, 0x11, 0, 12]
    } else {
        &[0x21, 0x21, 0, 36]
    });
    for ip in [client.ip(), server.ip()] {
        match ip {
            IpAddr::V4(ip) => header.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => header.extend_from_slice(&ip.octets()),
        }
    }
    header.extend_from_slice(&client.port().to_be_bytes());
    header.extend_from_slice(&server.port().to_be_bytes());
    header
}

impl Ends {
    /// IPv4 if both are that, however they are written, and IPv6 otherwise.
    fn of_one_family(self) -> Self {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let (client, server) = (plain(self.client), plain(self.server));
        let wide = |end: SocketAddr| match end.ip() {
            IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), end.port()),
            IpAddr::V6(_) => end,
        };
        if client.is_ipv4() == server.is_ipv4() {
            return Self { client, server };
        }
        Self { client: wide(client), server: wide(server) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(client: &str, server: &str) -> Ends {
        Ends { client: client.parse().unwrap(), server: server.parse().unwrap() }
    }

    #[test]
    fn what_is_written_is_read_as_it_was_meant() {
        for (told, read) in [
            (ends("192.0.2.7:1", "198.51.100.1:443"), ends("192.0.2.7:1", "198.51.100.1:443")),
            (ends("[2001:db8::7]:1", "[::1]:443"), ends("[2001:db8::7]:1", "[::1]:443")),
            (ends("[::ffff:192.0.2.7]:1", "127.0.0.1:2"), ends("192.0.2.7:1", "127.0.0.1:2")),
            (ends("192.0.2.7:1", "[::1]:2"), ends("[::ffff:192.0.2.7]:1", "[::1]:2")),
        ] {
            for header in [write_1(Some(told)), write_2(Some(told))] {
                let whole = ProxyVerdict::Whole { length: header.len(), ends: Some(read) };
                assert_eq!(parse(&header), whole);
            }
        }
        for header in [write_1(None), write_2(None)] {
            let whole = ProxyVerdict::Whole { length: header.len(), ends: None };
            assert_eq!(parse(&header), whole);
        }
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&V2_SIGNATURE[..], &[0x20 | command, family], &length, rest].concat()
    }

    #[test]
    fn both_versions_name_the_client() {
        let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n";
        let ends = Some(ends("192.0.2.7:56324", "198.51.100.1:443"));
        assert_eq!(parse(line), ProxyVerdict::Whole { length: 45, ends });
        let four = v2(1, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 1, 187, 3, 0, 1, 9]);
        assert_eq!(parse(&four), ProxyVerdict::Whole { length: four.len(), ends });
        let mut six = [0u8; 36];
        six[15] = 1;
        six[32..34].copy_from_slice(&80u16.to_be_bytes());
        let six = v2(1, 0x21, &six);
        let ends = Some(self::ends("[::1]:80", "[::]:0"));
        assert_eq!(parse(&six), ProxyVerdict::Whole { length: six.len(), ends });
    }

    #[test]
    fn a_balancers_own_check_names_nobody() {
        assert_eq!(
            parse(b"PROXY UNKNOWN ffff::1 whatever\r\n"),
            ProxyVerdict::Whole { length: 32, ends: None }
        );
        let local = v2(0, 0, &[]);
        assert_eq!(parse(&local), ProxyVerdict::Whole { length: 16, ends: None });
    }

    #[test]
    fn anything_else_is_invalid() {
        let long = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat();
        let bad: [&[u8]; 9] = [
            b"GET / HTTP/1.1\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
            b"PROXY TCP4 1.1.1.1 2.2.2.2 1 70000\r\n",
            b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
            b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
            &long,
            &v2(2, 0x11, &[0; 12]),
            &v2(1, 0x11, &[0; 11]),
        ];
        for bad in bad {
            assert_eq!(parse(bad), ProxyVerdict::Invalid, "{:?}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic_and_never_beyond_their_end(
            bytes in prop::collection::vec(any::<u8>(), 0..64), signed: bool,
        ) {
            let input = if signed { [&V2_SIGNATURE[..], &bytes].concat() } else { bytes };
            if let ProxyVerdict::Whole { length, .. } = parse(&input) {
                prop_assert!(length <= input.len());
            }
        }
    }
}
