//! Everything a rule asks of a request beside its host and path.

use super::RequestView;
use super::fields::any_cookie;
use ipnet::IpNet;
use serin_config::model::{Match, Route, ValueMatch};
use std::borrow::Cow;
use std::net::IpAddr;

/// All of them must hold. Where a name occurs several times in a request, one fitting value is
/// enough.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    listeners: Vec<String>,
    methods: Vec<String>,
    headers: Vec<(String, ValueMatch)>,
    query: Vec<(String, ValueMatch)>,
    cookies: Vec<(String, ValueMatch)>,
    client_ip: Vec<IpNet>,
}

impl Conditions {
    pub(super) fn of(route: &Route, rule: &Match) -> Self {
        Self {
            listeners: route.listeners.clone(),
            methods: rule.methods.clone(),
            headers: rule.headers.clone(),
            query: rule.query.clone(),
            cookies: rule.cookies.clone(),
            client_ip: rule.client_ip.clone(),
        }
    }

    pub(super) fn accept(&self, request: &RequestView<'_>) -> bool {
        (self.listeners.is_empty() || self.listeners.iter().any(|l| l == request.listener))
            && (self.methods.is_empty() || self.methods.iter().any(|m| m == request.method))
            && self
                .headers
                .iter()
                .all(|(name, value)| request.headers.any(name, &mut |found| accepts(value, found)))
            && self.query.iter().all(|(name, value)| query_has(request.query, name, value))
            && self.cookies.iter().all(|(name, value)| {
                any_cookie(request.headers, &mut |found, its| {
                    found == name.as_bytes() && accepts(value, its)
                })
            })
            && (self.client_ip.is_empty() || contains(&self.client_ip, request.client_ip))
    }
}

fn accepts(expected: &ValueMatch, found: &[u8]) -> bool {
    match expected {
        ValueMatch::Exact(text) => text.as_bytes() == found,
        ValueMatch::Regex(regex) => std::str::from_utf8(found).is_ok_and(|f| regex.is_match(f)),
        ValueMatch::Present => true,
    }
}

/// Parameters are compared as the application will read them: decoded, `+` as a space.
fn query_has(query: Option<&str>, name: &str, expected: &ValueMatch) -> bool {
    query.unwrap_or("").split('&').any(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        !pair.is_empty() && *decoded(key) == *name.as_bytes() && accepts(expected, &decoded(value))
    })
}

/// A broken escape stands for itself.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(bytes);
    }
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
                continue;
            }
            (b'+', _, _) => out.push(b' '),
            (other, _, _) => out.push(*other),
        }
        at += 1;
    }
    Cow::Owned(out)
}

/// An IPv4 client that came in over an IPv6 socket is an IPv4 client.
fn contains(networks: &[IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    networks.iter().any(|network| network.contains(&client))
}
