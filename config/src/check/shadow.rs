//! `shadow`: a version that receives copies, and can hurt nobody.

use super::{Check, headers, matches, services, whole};
use crate::file;
use crate::model::{Compare, CompareBody, JsonPath, Route, RouteAction, Shadow};
use crate::report::shown;
use crate::source::{At, Place};
use crate::suggest::every;
use serin_core::ids::RouteName;
use serin_core::weights::BasisPoints;

/// They ask and do not change.
const SAFE: &[&str] = &["GET", "HEAD", "OPTIONS"];
const REDACTED: &[&str] = &["authorization", "cookie", "proxy-authorization"];
/// Copies wait in memory.
const LARGEST_BODY: u64 = 16 << 20;

pub(super) fn check(
    found: &At<file::Shadow>,
    service: &file::Service,
    check: &mut Check<'_>,
) -> Option<Shadow> {
    let to = found.to.as_ref().and_then(|to| services::version(to, service, check));
    mirrors_stable(found, service, check);
    let max_body = found.max_body().0;
    if let Some(at) = found.max_body.filter(|_| max_body > LARGEST_BODY) {
        check.error(at.at, "over 16 MiB").hint("copies wait in memory; write `1MiB` or less");
    }
    if let Some(at) = found.percent.filter(|percent| percent.value == BasisPoints::ZERO) {
        check.warning(at.at, "nothing is copied").hint("raise it, or remove `shadow`");
    }
    let redact = found.redact.as_ref();
    let redact_headers = match redact.and_then(|redact| redact.headers.as_ref()) {
        Some(names) if names.value.is_empty() => {
            everything_is_sent(names.at, found, check);
            Vec::new()
        }
        Some(names) => with_known(headers::names(Some(names), check)),
        None => with_known(Vec::new()),
    };
    Some(Shadow {
        methods: methods(found, check),
        routes: routes(found, check),
        share: found.percent(),
        max_body,
        timeout: found.timeout(),
        max_in_flight: whole(found.max_in_flight()),
        redact_headers,
        redact_json: json_paths(redact.and_then(|redact| redact.json.as_ref()), check),
        compare: found.compare.as_ref().map(|compare| comparison(compare, check)),
        to: to?,
    })
}

/// What a file names comes on top.
fn with_known(named: Vec<String>) -> Vec<String> {
    let known = REDACTED.iter().map(|name| (*name).to_owned());
    let more = named.into_iter().filter(|name| !REDACTED.contains(&name.as_str()));
    known.chain(more).collect()
}

fn everything_is_sent(at: Place, found: &file::Shadow, check: &mut Check<'_>) {
    let to = found.to.as_ref().map_or_else(String::new, |to| format!(" to {}", shown(&to.value)));
    check
        .warning(at, format!("copies carry Authorization, cookies and every other secret{to}"))
        .hint("name headers to leave out beside those, or remove `headers`");
}

fn mirrors_stable(found: &file::Shadow, service: &file::Service, check: &mut Check<'_>) {
    let (Some(to), Some(stable)) = (&found.to, &service.stable) else { return };
    if to.value == stable.value {
        check
            .warning(to.at, format!("copies would go to {}, which is stable", shown(&to.value)))
            .also(stable.at, "stable")
            .hint("name the version that is to be tried");
    }
}

fn methods(found: &file::Shadow, check: &mut Check<'_>) -> Vec<String> {
    let allowed = found.allow_unsafe();
    if let Some(none) = found.methods.as_ref().filter(|listed| listed.value.is_empty()) {
        check.error(none.at, "no method, so nothing is copied").hint("write `[GET, HEAD]`");
    }
    let mut methods = Vec::new();
    for method in &found.methods() {
        let Some(name) = matches::method(method, check) else { continue };
        if !SAFE.contains(&name.as_str()) && !allowed {
            check.error(method.at, format!("a copy of {} may write", shown(&name))).hint(
                "remove it; or add `allowUnsafe: true` when the version has a database of its own",
            );
        }
        methods.push(name);
    }
    methods
}

fn routes(found: &file::Shadow, check: &mut Check<'_>) -> Vec<RouteName> {
    let Some(listed) = &found.routes else { return Vec::new() };
    if listed.value.is_empty() {
        check.error(listed.at, "no route, so nothing is copied").hint("name one, or remove it");
    }
    // A name that cannot name a route names none: see `routes_lead_here`.
    listed.value.iter().filter_map(|item| RouteName::new(&item.value).ok()).collect()
}

/// Every route that a shadow names leads to its service.
pub(super) fn routes_lead_here(
    services: &[(At<String>, file::Service)],
    routes: &[Route],
    check: &mut Check<'_>,
) {
    for (name, service) in services {
        let listed = service.shadow.as_ref().and_then(|shadow| shadow.routes.as_ref());
        let leads = |route: &&Route| match &route.action {
            RouteAction::Forward { service, .. } => service.as_str() == name.value,
            RouteAction::Redirect { .. } | RouteAction::Respond { .. } => false,
        };
        for item in listed.map(|listed| listed.value.as_slice()).unwrap_or_default() {
            let known: Vec<&str> = routes.iter().filter(leads).map(|r| r.name.as_str()).collect();
            if known.contains(&item.value.as_str()) {
                continue;
            }
            let message =
                format!("no route {} leads to {}", shown(&item.value), shown(&name.value));
            let draft = check.error(item.at, message);
            if !known.is_empty() {
                draft.hint(format!("there is {}", every(&known)));
            }
        }
    }
}

fn comparison(found: &file::Compare, check: &mut Check<'_>) -> Compare {
    let body = found.body();
    if let Some(ignore) = found.ignore.as_ref().filter(|i| !i.value.is_empty())
        && body != CompareBody::Json
    {
        check.error(ignore.at, "`ignore` without `body: json`").hint("write `body: json`");
    }
    let status = found.status();
    let headers = headers::names(found.headers.as_ref(), check);
    if !status && headers.is_empty() && body == CompareBody::None {
        check.error(found.at, "nothing is compared").hint("write `status: true` or `body: json`");
    }
    Compare {
        status,
        headers,
        body,
        ignore: json_paths(found.ignore.as_ref(), check),
        noise: found.noise(),
    }
}

fn json_paths(found: Option<&At<Vec<At<String>>>>, check: &mut Check<'_>) -> Vec<JsonPath> {
    let items = found.map(|found| found.value.as_slice()).unwrap_or_default();
    let mut paths = Vec::new();
    for item in items {
        match JsonPath::parse(&item.value) {
            Some(path) => paths.push(path),
            None => {
                check
                    .error(item.at, format!("{} is not a path", shown(&item.value)))
                    .hint("write `$.name`, `$.list[0].name` or `$.list[*].name`");
            }
        }
    }
    paths
}
