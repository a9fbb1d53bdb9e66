//! `services`: versions, and how requests are spread over a version's endpoints.

use super::{Check, endpoints, given, rollout, session, shadow, slo, whole};
use crate::discovery::Scheme;
use crate::file::{self, Named};
use crate::model::{
    Endpoints, HealthCheck, HealthKind, Listener, Retries, RetryOn, Service, UpstreamTls, Version,
};
use crate::report::{Draft, shown};
use crate::source::{At, Place};
use crate::suggest::{every, nearest};
use serin_core::ids::{ServiceName, VersionName};
use std::collections::{BTreeMap, HashMap};

pub(super) fn check(
    services: &[(At<String>, file::Service)],
    listeners: &[Listener],
    check: &mut Check<'_>,
) -> BTreeMap<ServiceName, Service> {
    let mut names = HashMap::new();
    let mut checked = BTreeMap::new();
    for (name, service) in services {
        if !check.unique(&mut names, name, "service") {
            continue;
        }
        let found = one(name, service, listeners, check);
        if let Some(service) = found {
            checked.insert(service.name.clone(), service);
        }
    }
    checked
}

/// Every part is checked, also when another part makes the service unusable.
fn one(
    name: &At<String>,
    service: &file::Service,
    listeners: &[Listener],
    check: &mut Check<'_>,
) -> Option<Service> {
    let id = match ServiceName::new(&name.value) {
        Ok(id) => Some(id),
        Err(fault) => {
            let message = format!("{} cannot name a service: {fault}", shown(&name.value));
            check.error(name.at, message);
            None
        }
    };
    let written = service.versions.as_ref();
    let versions = written.map(|v| versions(&v.value, listeners, check)).unwrap_or_default();
    if let Some(none) = written.filter(|written| written.value.0.is_empty()) {
        check
            .error(none.at, "a service without versions")
            .hint("add `v1: { endpoints: [\"10.0.0.1:8080\"] }`");
    }
    let stable = service.stable.as_ref().and_then(|stable| version(stable, service, check));
    let timeouts = *given(service.timeouts.as_ref());
    let objectives = slo::check(service.slo.as_ref(), &timeouts, check);
    let found = Service {
        name: id.unwrap_or_else(placeholder),
        stable: stable.clone().unwrap_or_else(placeholder),
        load_balancing: service.load_balancing(),
        health_check: service.health_check.as_ref().and_then(|health| health_check(health, check)),
        outliers: *given(service.outliers.as_ref()),
        timeouts,
        retries: retries(&given(service.retries.as_ref()), check),
        session: session::check(&name.value, service.session.as_ref(), check),
        failover: service.failover(),
        slow_start: service.slow_start(),
        max_in_flight: whole(service.max_in_flight()),
        adaptive_concurrency: service.adaptive_concurrency(),
        shadow: service.shadow.as_ref().and_then(|found| shadow::check(found, service, check)),
        objectives,
        signals: signals(service.signals.as_ref(), check),
        rollout: service
            .rollout
            .as_ref()
            .and_then(|found| rollout::check(found, service, &versions, &timeouts, check)),
        versions,
    };
    stable.map(|_| found)
}

/// Stands in a model that will never be used, because an error has been reported.
pub(super) fn placeholder<T: std::str::FromStr>() -> T
where
    T::Err: std::fmt::Debug,
{
    match "x".parse() {
        Ok(name) => name,
        Err(_) => unreachable!("`x` is a name"),
    }
}

/// The name of a version that the service has.
pub(super) fn version(
    found: &At<String>,
    service: &file::Service,
    check: &mut Check<'_>,
) -> Option<VersionName> {
    let versions = service.versions.as_ref()?;
    let names = || versions.value.0.iter().map(|(name, _)| name.value.as_str());
    if names().any(|name| name == found.value) {
        return VersionName::new(&found.value).ok();
    }
    let listed: Vec<&str> = names().collect();
    // That there are none has been said already.
    if listed.is_empty() {
        return None;
    }
    let near = nearest(&found.value, listed.iter().copied());
    let draft = check.error(found.at, format!("there is no version {}", shown(&found.value)));
    match near {
        Some(near) if listed.len() > 4 => draft.hint(format!("did you mean `{near}`?")),
        Some(_) | None => draft.hint(format!("the service has {}", every(&listed))),
    };
    None
}

fn versions(
    written: &Named<file::Version>,
    listeners: &[Listener],
    check: &mut Check<'_>,
) -> Vec<Version> {
    let mut places: HashMap<String, (Place, &str)> = HashMap::new();
    let mut versions = Vec::new();
    for (name, version) in &written.0 {
        let id = match VersionName::new(&name.value) {
            Ok(id) => Some(id),
            Err(fault) => {
                let message = format!("{} cannot name a version: {fault}", shown(&name.value));
                check.error(name.at, message);
                None
            }
        };
        let (endpoints, found) = endpoints::check(version, listeners, check);
        for (endpoint, at) in found {
            if let Some((first, other)) = places.get(&endpoint) {
                if *other != name.value.as_str() {
                    shared(&endpoints, &endpoint, at, check)
                        .label(format!("of {}", shown(&name.value)))
                        .also(*first, format!("of {}", shown(other)))
                        .hint("what it does would be counted for one and for the other");
                }
            } else {
                places.insert(endpoint, (at, &name.value));
            }
        }
        let release = version.release.as_ref().unwrap_or(name).value.clone();
        versions.extend(id.map(|id| Version {
            name: id,
            release,
            endpoints,
            protocol: version.protocol(),
            proxy_protocol: version.proxy_protocol(),
            tls: upstream_tls(version, check),
        }));
    }
    versions
}

/// One endpoint may serve two versions for a while; endpoints that one source finds cannot be told apart
/// for ever.
fn shared<'c>(
    endpoints: &Endpoints,
    which: &str,
    at: Place,
    check: &'c mut Check<'_>,
) -> &'c mut Draft {
    match endpoints {
        Endpoints::Listed(_) => {
            check.warning(at, format!("{which} is an endpoint of two versions"))
        }
        Endpoints::Found(_) => {
            check.error(at, format!("{which} is where two versions have their endpoints from"))
        }
    }
}

fn upstream_tls(version: &file::Version, check: &mut Check<'_>) -> UpstreamTls {
    let Some(tls) = &version.tls else { return UpstreamTls::default() };
    let hint = match version.endpoints.as_ref().map(|endpoints| &endpoints.value) {
        Some(file::Endpoints::Listed(listed)) => {
            let speaks = listed.iter().any(|e| e.value.starts_with("https://"));
            let none = !listed.is_empty() && !speaks;
            none.then_some("write the endpoints as `https://host:port`, or remove `tls`")
        }
        // Endpoints of a file can say it for themselves.
        Some(file::Endpoints::From(source)) => (source.file.is_none()
            && source.scheme() == Scheme::Http)
            .then_some("add `scheme: https` to the endpoints, or remove `tls`"),
        None => None,
    };
    if let Some(hint) = hint {
        check.warning(tls.at, "`tls` without an endpoint that speaks it").hint(hint);
    }
    if let Some(ca) = &tls.ca_file {
        super::tls::authorities(ca, check);
    }
    UpstreamTls {
        ca_file: tls.ca_file.as_ref().map(|ca| check.resolve(ca)),
        server_name: tls.server_name.as_ref().and_then(|name| super::hosts::hostname(name, check)),
    }
}

fn signals(found: Option<&At<Vec<At<String>>>>, check: &mut Check<'_>) -> Vec<String> {
    let listed = found.map(|found| found.value.as_slice()).unwrap_or_default();
    listed.iter().for_each(|name| super::listeners::label(name, "signal", check));
    listed.iter().map(|name| name.value.clone()).collect()
}

fn health_check(found: &At<file::HealthCheck>, check: &mut Check<'_>) -> Option<HealthCheck> {
    let kinds =
        [found.path.is_some(), found.tcp.is_some_and(|tcp| tcp.value), found.grpc.is_some()];
    let count = kinds.iter().filter(|given| **given).count();
    if count != 1 && !(count == 0 && found.broken) {
        check
            .error(found.at, "a health check asks in one way")
            .hint("write one of `path: /readyz`, `tcp: true` and `grpc: {}`");
    }
    let (interval, timeout) = (found.interval(), found.timeout());
    if let Some(at) = found.timeout.as_ref().filter(|_| timeout > interval) {
        check
            .warning(at.at, "a check may take longer than the interval between two")
            .hint("raise `interval`, or lower `timeout`");
    }
    let kind = if let Some(path) = &found.path {
        super::matches::path(path, check);
        let host = found.host.as_ref().map(|host| host.value.clone());
        HealthKind::Http { path: path.value.clone(), host }
    } else if let Some(grpc) = &found.grpc {
        HealthKind::Grpc { service: grpc.service() }
    } else {
        HealthKind::Tcp
    };
    if let Some(host) = found.host.as_ref().filter(|_| found.path.is_none()) {
        check.error(host.at, "`host` without `path`").hint("only an HTTP check sends a host");
    }
    Some(HealthCheck {
        kind,
        interval,
        timeout,
        unhealthy_after: whole(found.unhealthy_after()),
        healthy_after: whole(found.healthy_after()),
        panic_below: found.panic_below().0,
    })
}

fn retries(found: &file::Retries, check: &mut Check<'_>) -> Retries {
    Retries {
        attempts: whole(found.attempts()),
        on: found.on().iter().filter_map(|on| retry_on(on, check)).collect(),
        budget: found.budget().0,
    }
}

fn retry_on(found: &At<String>, check: &mut Check<'_>) -> Option<RetryOn> {
    const WORDS: &[(&str, RetryOn)] = &[
        ("connectFailure", RetryOn::ConnectFailure),
        ("reset", RetryOn::Reset),
        ("timeout", RetryOn::Timeout),
    ];
    if let Some((_, on)) = WORDS.iter().find(|(word, _)| *word == found.value) {
        return Some(*on);
    }
    let status = found.value.parse::<u16>().ok().filter(|status| (400..600).contains(status));
    if let Some(status) = status {
        return Some(RetryOn::Status(status));
    }
    let draft = check.error(found.at, format!("{} is nothing to retry on", shown(&found.value)));
    match nearest(&found.value, WORDS.iter().map(|(word, _)| *word)) {
        Some(near) => draft.hint(format!("did you mean `{near}`?")),
        None if found.value == "5xx" => draft.hint("name each status: `\"502\"`, `\"503\"`"),
        None => draft.hint("write `connectFailure`, `reset`, `timeout` or a status like `\"503\"`"),
    };
    None
}
