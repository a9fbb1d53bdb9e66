//! Hosts as they are compared: lower case, without port and without the root's dot.

use std::borrow::Cow;

/// `shop.example.com:8080` → `shop.example.com` and 8080. An IPv6 literal keeps its brackets.
pub(super) fn split_port(host: &str) -> (&str, Option<u16>) {
    let name = without_port(host);
    (name, host.get(name.len() + 1..).and_then(|port| port.parse().ok()))
}

/// Bytes are looked at one by one, because a host is short and every request has one.
fn without_port(host: &str) -> &str {
    let bytes = host.as_bytes();
    let Some(at) = bytes.iter().rposition(|b| *b == b':') else { return host };
    let name = &bytes[..at];
    if name.last() == Some(&b']') || !name.contains(&b':') { &host[..at] } else { host }
}

/// The form in which hosts are looked up. Borrows unless there are capitals.
pub(super) fn canonical(host: &str) -> Cow<'_, str> {
    let name = without_port(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// The suffixes that a wildcard may stand before, longest first: `a.b.c` → `b.c`, `c`.
pub(super) fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, rest)| rest)).skip(1)
}
