//! `redirect` of a route, and that it does not lead back to itself.

use super::{
    Check, hosts, matches,
    routes::{Known, prefix_to_replace},
};
use crate::file::{self, ListenerProtocol};
use crate::model::{Match, PathMatch, Rewrite, RouteAction};
use crate::report::shown;
use crate::source::At;

pub(super) fn action(found: &At<file::Redirect>, check: &mut Check<'_>) -> Option<RouteAction> {
    let status = found.status();
    if let Some(at) = found.status.filter(|_| !matches!(status, 301 | 302 | 303 | 307 | 308)) {
        check.error(at.at, format!("{status} is not a redirect")).hint(
            "301 and 308 are permanent, 302, 303 and 307 are not; 307 and 308 keep the method",
        );
    }
    let scheme = found.scheme.as_ref().and_then(|scheme| self::scheme(scheme, check));
    let path = match (&found.path, &found.prefix) {
        (Some(path), None) => Some((Rewrite::Path(path.value.clone()), path)),
        (None, Some(prefix)) => Some((Rewrite::Prefix(prefix.value.clone()), prefix)),
        (None, None) => None,
        (Some(_), Some(prefix)) => {
            check
                .error(prefix.at, "a path is replaced in one way")
                .hint("keep one of `path` and `prefix`");
            None
        }
    };
    if let Some((_, at)) = &path {
        matches::path(at, check);
    }
    Some(RouteAction::Redirect {
        status: u16::try_from(status).unwrap_or(302),
        scheme,
        hostname: found.hostname.as_ref().and_then(|host| hosts::hostname(host, check)),
        port: found.port.and_then(|port| u16::try_from(port.value).ok()),
        path: path.map(|(rewrite, _)| rewrite),
    })
}

fn scheme(found: &At<String>, check: &mut Check<'_>) -> Option<String> {
    if matches!(found.value.as_str(), "http" | "https") {
        return Some(found.value.clone());
    }
    check
        .error(found.at, format!("{} is not a scheme", shown(&found.value)))
        .hint("write `http` or `https`");
    None
}

/// Refuses a redirect whose answer would match the same route again.
pub(super) fn check(
    found: &At<file::Route>,
    action: Option<&RouteAction>,
    hostnames: &[String],
    matched: &[Match],
    listeners: &[String],
    known: &Known<'_>,
    check: &mut Check<'_>,
) {
    let Some(written) = &found.redirect else { return };
    let Some(RouteAction::Redirect { scheme, hostname, port, path, .. }) = action else { return };
    if let (Some(kind @ Rewrite::Prefix(_)), Some(at)) = (path, &written.prefix) {
        prefix_to_replace(kind, at, matched, check);
    }
    if port.is_some()
        || !same_host(hostname.as_deref(), hostnames)
        || !same_path(path.as_ref(), matched)
    {
        return;
    }
    let served: Vec<&file::Listener> = if listeners.is_empty() {
        known.all_listeners().collect()
    } else {
        listeners.iter().filter_map(|name| known.listener(name)).collect()
    };
    let https = |l: &&file::Listener| {
        l.tls.is_some() || l.protocol.is_some_and(|p| p.value == ListenerProtocol::Https)
    };
    match scheme.as_deref() {
        None => {
            check
                .error(written.at, "redirects to itself")
                .hint("change the `scheme`, the `hostname`, the `port` or the `path`");
        }
        Some(to) => {
            let back = |l: &&file::Listener| https(l) == (to == "https");
            let Some(name) = served.iter().copied().find(back).and_then(|l| l.name.as_ref()) else {
                return;
            };
            let others: Vec<&str> = served
                .iter()
                .filter(|l| !back(l))
                .filter_map(|l| l.name.as_ref().map(|name| name.value.as_str()))
                .collect();
            let hint = match others.as_slice() {
                [] => "remove it: every request here comes that way already".to_owned(),
                names => {
                    format!("name the listeners that redirect: `listeners: [{}]`", names.join(", "))
                }
            };
            check
                .error(
                    written.at,
                    format!("redirects to itself on the listener {}", shown(&name.value)),
                )
                .also(name.at, format!("requests here come by {to} already"))
                .hint(hint);
        }
    }
}

fn same_host(to: Option<&str>, hostnames: &[String]) -> bool {
    let Some(to) = to else { return true };
    let matches = |host: &String| {
        host == to || host.strip_prefix('*').is_some_and(|parent| to.ends_with(parent))
    };
    // A route with named hosts that sends to one of them loops; one for every host loops too.
    hostnames.is_empty() || hostnames.iter().all(matches)
}

/// Whether what comes out would match again, whatever else a match asks for.
fn same_path(to: Option<&Rewrite>, matched: &[Match]) -> bool {
    let open = |m: &Match| m.query.is_empty() && m.cookies.is_empty() && m.headers.is_empty();
    match to {
        None => true,
        Some(Rewrite::Path(to)) => matched.iter().any(|m| open(m) && matches_path(&m.path, to)),
        Some(Rewrite::Prefix(to)) => matched.iter().any(|m| open(m) && matches_path(&m.path, to)),
    }
}

fn matches_path(path: &PathMatch, to: &str) -> bool {
    match path {
        PathMatch::Exact(exact) => exact == to,
        PathMatch::Prefix(prefix) => {
            prefix == "/"
                || to == prefix
                || to.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
        }
        PathMatch::Regex(regex) => regex.is_match(to),
    }
}
