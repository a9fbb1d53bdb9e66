//! Host names of routes: well formed, and covered by a certificate where TLS is spoken.

use super::{Check, tls};
use crate::file;
use crate::report::shown;
use crate::source::At;
use std::collections::HashSet;

/// A host as requests are compared with it: lower case, perhaps `*.` in front.
pub(super) fn hostname(found: &At<String>, check: &mut Check<'_>) -> Option<String> {
    let text = found.value.as_str();
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix('.').unwrap_or(&lower);
    let hint = if let Some((_, after)) = text.split_once("://") {
        format!("write only the host: `{}`", after.split(['/', ':']).next().unwrap_or_default())
    } else if text == "*" {
        "for every host leave `hostnames` out".to_owned()
    } else if let Some((host, path)) = text.split_once('/') {
        format!(
            "write `{host}`, and match the path: `matches: [ {{ path: {{ prefix: /{path} }} }} ]`"
        )
    } else if let Some((host, port)) = text.rsplit_once(':').filter(|(h, _)| !h.contains(':')) {
        if port.parse::<u16>().is_ok() {
            format!("write `{host}`: a port takes no part in the match")
        } else {
            format!("write `{host}`")
        }
    } else {
        let name = lower.strip_prefix("*.").unwrap_or(lower);
        let ip = lower.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
        if ip || (name.len() <= 253 && name.split('.').all(is_label)) {
            return Some(lower.to_owned());
        }
        if name.contains('*') {
            "`*` stands only for the first labels: `*.example.com`".to_owned()
        } else if !name.is_ascii() {
            "write the name as DNS has it, in punycode: `xn--…`".to_owned()
        } else {
            "a host has labels of letters, digits and `-`: `shop.example.com`".to_owned()
        }
    };
    check.error(found.at, format!("{} is not a host name", shown(text))).hint(hint);
    None
}

fn is_label(label: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Warns of a host that no certificate is for, when there are certificates at all.
pub(super) fn covered(
    listeners: &[At<file::Listener>],
    routes: &[At<file::Route>],
    check: &mut Check<'_>,
) {
    let mut names = HashSet::new();
    let certificates = listeners.iter().filter_map(|l| l.tls.as_ref()?.certificates.as_ref());
    for certificate in certificates.flat_map(|list| &list.value) {
        let Some(path) = &certificate.cert_file else { continue };
        let full = check.resolve(path);
        let content = check.read.iter().find(|(read, _)| *read == full);
        names.extend(content.map(|(_, content)| tls::names(content)).unwrap_or_default());
    }
    if names.is_empty() {
        return;
    }
    let mut told = HashSet::new();
    let hosts = routes.iter().filter_map(|route| route.hostnames.as_ref());
    for host in hosts.flat_map(|list| &list.value) {
        let lower = host.value.to_ascii_lowercase();
        let parent = lower.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        let covered = names.contains(&lower) || parent.is_some_and(|p| names.contains(&p));
        if !covered && lower.contains('.') && told.insert(lower) {
            check
                .warning(host.at, format!("no certificate is for {}", shown(&host.value)))
                .hint("clients that come by HTTPS would refuse the connection");
        }
    }
}
