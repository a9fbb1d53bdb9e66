//! The value of `Host` or `:authority`: a name or an address, and perhaps a port.

use super::fields::is_host_name;

/// Whether a host can be routed on and forwarded: no user, no empty name, no port that is none.
pub fn is_valid(authority: &[u8]) -> bool {
    if authority.first() == Some(&b'[') {
        let (host, port) = split(authority);
        let inner = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
        return inner.is_some_and(is_v6) && port.is_none_or(is_port);
    }
    let name = authority.iter().take_while(|byte| is_host_name(**byte)).count();
    let port = authority.get(name).map(|byte| *byte == b':' && is_port(&authority[name + 1..]));
    (1..=253).contains(&name) && port != Some(false)
}

/// The host without its port.
pub fn host(authority: &str) -> &str {
    let end = split(authority.as_bytes()).0.len();
    authority.get(..end).unwrap_or(authority)
}

fn split(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let after_address = match authority {
        [b'[', ..] => authority.iter().rposition(|b| *b == b']').map_or(0, |at| at + 1),
        _ => 0,
    };
    match authority[after_address..].iter().position(|b| *b == b':') {
        Some(at) => {
            let colon = after_address + at;
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        None => (authority, None),
    }
}

fn is_v6(inner: &[u8]) -> bool {
    std::str::from_utf8(inner).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_port(port: &[u8]) -> bool {
    (1..=5).contains(&port.len())
        && port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0u32, |sum, d| sum * 10 + u32::from(d - b'0')) <= 65_535
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for good in ["a", "shop.example.com:8080", "10.0.0.1", "[::1]:80", "[2001:db8::1]", "a_b"] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        let bad = [
            "", ":80", "a:", "a:99999", "a:8x", "u@a", "a b", "a/b", "[::1", "::1", "[x]", "a,b",
            "a:1:2", "[::1]x", "a\\b", "a%2e",
        ];
        for bad in bad {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
        assert_eq!(host("a.example:80"), "a.example");
        assert_eq!(host("[::1]:80"), "[::1]");
    }
}
