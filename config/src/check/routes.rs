//! `routes`: each leads somewhere that exists.

use super::{Check, headers, hosts, matches, overlap, redirects, whole};
use crate::file;
use crate::model::{
    HeaderEdits, Match, PathMatch, RateLimit, Rewrite, Route, RouteAction, RouteLimits, Underscores,
};
use crate::report::shown;
use crate::source::At;
use crate::suggest::{every, nearest};
use serin_core::ids::{RouteName, ServiceName, VersionName};
use std::collections::{HashMap, HashSet};

const LARGEST_BODY: usize = 64 << 10;

/// The files' services and listeners by name, also those that have faults of their own.
pub(super) struct Known<'a> {
    services: HashMap<&'a str, &'a file::Service>,
    listeners: HashMap<&'a str, &'a file::Listener>,
}

pub(super) fn check(
    routes: &[At<file::Route>],
    services: &[(At<String>, file::Service)],
    listeners: &[At<file::Listener>],
    check: &mut Check<'_>,
) -> Vec<Route> {
    let named = |l: &'_ At<file::Listener>| l.name.is_some();
    let known = Known {
        services: services.iter().map(|(name, service)| (name.value.as_str(), service)).collect(),
        listeners: listeners
            .iter()
            .filter(|listener| named(listener))
            .filter_map(|l| l.name.as_ref().map(|name| (name.value.as_str(), &l.value)))
            .collect(),
    };
    let mut names = HashMap::new();
    let mut checked = Vec::with_capacity(routes.len());
    for (index, found) in routes.iter().enumerate() {
        let fresh = found.name.as_ref().is_none_or(|name| check.unique(&mut names, name, "route"));
        if let Some(route) = one(found, &known, check)
            && fresh
        {
            checked.push((index, route));
        }
    }
    overlap::check(&checked, routes, check);
    checked.into_iter().map(|(_, route)| route).collect()
}

fn one(found: &At<file::Route>, known: &Known<'_>, check: &mut Check<'_>) -> Option<Route> {
    let name = found.name.as_ref().and_then(|name| match RouteName::new(&name.value) {
        Ok(name) => Some(name),
        Err(fault) => {
            let message = format!("{} cannot name a route: {fault}", shown(&name.value));
            check.error(name.at, message);
            None
        }
    });
    let hosts = found.hostnames.as_ref().map(|hosts| hosts.value.as_slice()).unwrap_or_default();
    let hostnames: Vec<String> = hosts.iter().filter_map(|h| hosts::hostname(h, check)).collect();
    let listed = found.matches.as_ref().map(|matches| matches.value.as_slice()).unwrap_or_default();
    let mut matched: Vec<Match> = listed.iter().map(|m| matches::check(m, check)).collect();
    if matched.is_empty() {
        matched.push(everything());
    }
    let listeners = listeners(found, known, check);
    let action = action(found, known, check);
    redirects::check(found, action.as_ref(), &hostnames, &matched, &listeners, known, check);
    let route = Route {
        name: name?,
        listeners,
        rewrite: found.rewrite.as_ref().and_then(|rewrite| rewriting(rewrite, &matched, check)),
        hostnames,
        matches: matched,
        action: action?,
        request: headers::edits(found.request.as_ref(), check),
        response: headers::edits(found.response.as_ref(), check),
        path_parameters: found.path_parameters(),
        limits: limits(found.limits.as_ref(), check),
        expose_version: found.expose_version(),
    };
    nothing_to_change(found, &route, check);
    nobody_says(found, &route, known, check);
    Some(route)
}

fn everything() -> Match {
    Match {
        path: PathMatch::Prefix("/".to_owned()),
        methods: Vec::new(),
        headers: Vec::new(),
        query: Vec::new(),
        cookies: Vec::new(),
        client_ip: Vec::new(),
    }
}

fn listeners(found: &file::Route, known: &Known<'_>, check: &mut Check<'_>) -> Vec<String> {
    let listed = found.listeners.as_ref().map(|l| l.value.as_slice()).unwrap_or_default();
    let mut names = HashSet::new();
    for name in listed {
        if !known.listeners.contains_key(name.value.as_str()) {
            let near = nearest(&name.value, known.listeners.keys().copied());
            let draft =
                check.error(name.at, format!("there is no listener {}", shown(&name.value)));
            if let Some(near) = near {
                draft.hint(format!("did you mean `{near}`?"));
            }
        }
        names.insert(name.value.clone());
    }
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    names
}

impl<'a> Known<'a> {
    pub(super) fn listener(&self, name: &str) -> Option<&'a file::Listener> {
        self.listeners.get(name).copied()
    }

    pub(super) fn all_listeners(&self) -> impl Iterator<Item = &'a file::Listener> {
        self.listeners.values().copied()
    }
}

fn action(
    found: &At<file::Route>,
    known: &Known<'_>,
    check: &mut Check<'_>,
) -> Option<RouteAction> {
    let given = [found.service.is_some(), found.redirect.is_some(), found.respond.is_some()];
    let count = given.iter().filter(|given| **given).count();
    if count == 0 && found.broken {
        return None;
    }
    if count != 1 {
        let message = if count == 0 {
            "a route that leads nowhere"
        } else {
            "a route that leads to several ends"
        };
        check.error(found.at, message).hint("give it one of `service`, `redirect` and `respond`");
        return None;
    }
    if let Some(version) = found.version.as_ref().filter(|_| found.service.is_none()) {
        check
            .error(version.at, "`version` without `service`")
            .hint("name the service it belongs to");
    }
    if let Some(service) = &found.service {
        forward(service, found.version.as_ref(), known, check)
    } else if let Some(redirect) = &found.redirect {
        redirects::action(redirect, check)
    } else {
        respond(found.respond.as_ref()?, check)
    }
}

fn forward(
    service: &At<String>,
    version: Option<&At<String>>,
    known: &Known<'_>,
    check: &mut Check<'_>,
) -> Option<RouteAction> {
    let Some(target) = known.services.get(service.value.as_str()) else {
        let near = nearest(&service.value, known.services.keys().copied());
        let draft =
            check.error(service.at, format!("there is no service {}", shown(&service.value)));
        match near {
            Some(near) => draft.hint(format!("did you mean `{near}`?")),
            None if known.services.is_empty() => draft.hint("add it to `services`"),
            None => {
                let mut names: Vec<&str> = known.services.keys().copied().collect();
                names.sort_unstable();
                draft.hint(format!("there are {}", every(&names)))
            }
        };
        return None;
    };
    let forced = match version {
        Some(version) => Some(super::services::version(version, target, check)?),
        None => None,
    };
    let service = ServiceName::new(&service.value).ok()?;
    Some(RouteAction::Forward { service, version: forced as Option<VersionName> })
}

fn respond(found: &file::Respond, check: &mut Check<'_>) -> Option<RouteAction> {
    let (status, body) = (whole(found.status()), found.body());
    if let Some(at) = found.body.as_ref().filter(|_| body.len() > LARGEST_BODY) {
        check.error(at.at, "over 64 KiB").hint("serve it from a service");
    }
    if let Some(at) =
        found.body.as_ref().filter(|_| matches!(status, 204 | 304) && !body.is_empty())
    {
        check
            .error(at.at, format!("an answer {status} has no body"))
            .hint("remove it, or write `status: 200`");
    }
    let content_type = match &found.content_type {
        Some(at) => headers::value(at, &at.value, check)?,
        None => found.content_type(),
    };
    Some(RouteAction::Respond { status: u16::try_from(status).unwrap_or(200), content_type, body })
}

fn rewriting(
    found: &At<file::Rewrite>,
    matched: &[Match],
    check: &mut Check<'_>,
) -> Option<Rewrite> {
    let (kind, path) = match (&found.prefix, &found.path) {
        (Some(prefix), None) => (Rewrite::Prefix(prefix.value.clone()), prefix),
        (None, Some(path)) => (Rewrite::Path(path.value.clone()), path),
        (None, None) if found.broken => return None,
        (Some(_), Some(_)) | (None, None) => {
            check
                .error(found.at, "a path is rewritten in one way")
                .hint("write one of `prefix: /new` and `path: /new`");
            return None;
        }
    };
    matches::path(path, check);
    prefix_to_replace(&kind, path, matched, check);
    Some(kind)
}

/// There is a prefix to replace only where a prefix matched.
pub(super) fn prefix_to_replace(
    kind: &Rewrite,
    at: &At<String>,
    matched: &[Match],
    check: &mut Check<'_>,
) {
    let by_prefix = |m: &Match| matches!(m.path, PathMatch::Prefix(_));
    if matches!(kind, Rewrite::Prefix(_)) && !matched.iter().all(by_prefix) {
        check
            .error(at.at, "there is no prefix to replace: a match of this route is not by prefix")
            .hint("match with `path: { prefix: … }`, or replace the whole with `path: …`");
    }
}

fn limits(found: Option<&At<file::RouteLimits>>, check: &mut Check<'_>) -> RouteLimits {
    let Some(found) = found else { return RouteLimits::default() };
    if let Some(per) = found.per.filter(|_| found.requests_per_second.is_none()) {
        check
            .error(per.at, "`per` without `requestsPerSecond`")
            .hint("add `requestsPerSecond: 100`, or remove `per`");
    }
    let rate = found
        .requests_per_second
        .map(|rate| RateLimit { per_second: whole(rate.value), per: found.per() });
    RouteLimits { max_body: found.max_body.map(|size| size.value.0), rate }
}

/// Headers that a route asks for, and that no listener in front of it lets through.
fn nobody_says(found: &file::Route, route: &Route, known: &Known<'_>, check: &mut Check<'_>) {
    let forwards = |listener: &file::Listener| {
        listener.underscores.is_some_and(|found| found.value == Underscores::Forward)
    };
    let forwarded = match route.listeners.as_slice() {
        [] => known.all_listeners().any(forwards),
        names => names.iter().filter_map(|name| known.listener(name)).any(forwards),
    };
    if forwarded {
        return;
    }
    let matches = found.matches.iter().flat_map(|matches| &matches.value);
    let names = matches.filter_map(|found| found.headers.as_ref()).flat_map(|named| &named.value.0);
    for (name, _) in names.filter(|(name, _)| name.value.contains('_')) {
        check
            .warning(name.at, format!("no request has the header {}", shown(&name.value)))
            .label("the listener drops names with an underscore")
            .hint("write `underscores: forward` on the listener, or match a name with hyphens");
    }
}

/// Parts that only a service's answers have.
fn nothing_to_change(found: &file::Route, route: &Route, check: &mut Check<'_>) {
    if matches!(route.action, RouteAction::Forward { .. }) {
        return;
    }
    let parts = [
        ("rewrite", found.rewrite.as_ref().map(|at| at.at)),
        ("request", found.request.as_ref().map(|at| at.at)),
        ("exposeVersion", found.expose_version.as_ref().map(|at| at.at)),
    ];
    let forwarded =
        route.rewrite.is_some() || route.request != HeaderEdits::default() || route.expose_version;
    for (key, at) in parts {
        if let Some(at) = at.filter(|_| forwarded) {
            check
                .warning(at, format!("`{key}` has no effect: nothing is forwarded"))
                .hint("remove it");
        }
    }
}
