//! Routes, as the files write them.

use super::mask::unless_secret;
use super::quantity::size;
use crate::file::Word;
use crate::model::{
    HeaderEdits, Match, PathMatch, Rewrite, Route, RouteAction, RouteLimits, ValueMatch,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn route(r: &Route) -> Value {
    json!({
        "name": r.name.as_str(),
        "listeners": r.listeners,
        "hostnames": r.hostnames,
        "matches": r.matches.iter().map(matching).collect::<Vec<_>>(),
        "action": action(&r.action),
        "request": edits(&r.request),
        "response": edits(&r.response),
        "rewrite": r.rewrite.as_ref().map(rewrite),
        "pathParameters": r.path_parameters.word(),
        "limits": route_limits(&r.limits),
        "exposeVersion": r.expose_version,
    })
}

fn matching(m: &Match) -> Value {
    let (key, text) = match &m.path {
        PathMatch::Exact(text) => ("exact", text.as_str()),
        PathMatch::Prefix(text) => ("prefix", text.as_str()),
        PathMatch::Regex(regex) => ("regex", regex.as_str()),
    };
    let values = |all: &[(String, ValueMatch)]| -> BTreeMap<String, Value> {
        all.iter().map(|(name, wanted)| (name.clone(), value(name, wanted))).collect()
    };
    json!({
        "path": { key: text },
        "methods": m.methods,
        "headers": values(&m.headers),
        "query": values(&m.query),
        "cookies": values(&m.cookies),
        "clientIp": m.client_ip.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn value(name: &str, wanted: &ValueMatch) -> Value {
    match wanted {
        ValueMatch::Exact(text) => json!(unless_secret(name, text)),
        ValueMatch::Regex(regex) => json!({ "regex": unless_secret(name, regex.as_str()) }),
        ValueMatch::Present => json!({ "present": true }),
    }
}

fn action(action: &RouteAction) -> Value {
    match action {
        RouteAction::Forward { service, version } => json!({
            "service": service.as_str(), "version": version.as_ref().map(|v| v.as_str()),
        }),
        RouteAction::Redirect { status, scheme, hostname, port, path } => json!({ "redirect": {
            "status": status, "scheme": scheme, "hostname": hostname, "port": port,
            "path": path.as_ref().map(rewrite),
        } }),
        RouteAction::Respond { status, content_type, body } => json!({ "respond": {
            "status": status, "contentType": content_type, "body": body,
        } }),
    }
}

fn rewrite(rewrite: &Rewrite) -> Value {
    match rewrite {
        Rewrite::Prefix(prefix) => json!({ "prefix": prefix }),
        Rewrite::Path(path) => json!({ "path": path }),
    }
}

fn edits(edits: &HeaderEdits) -> Value {
    json!({
        "setHeaders": headers(&edits.set),
        "addHeaders": headers(&edits.add),
        "removeHeaders": edits.remove,
    })
}

fn headers(all: &[(String, String)]) -> BTreeMap<&str, &str> {
    all.iter().map(|(name, value)| (name.as_str(), unless_secret(name, value))).collect()
}

fn route_limits(limits: &RouteLimits) -> Value {
    json!({
        "maxBody": limits.max_body.map(size),
        "requestsPerSecond": limits.rate.as_ref().map(|rate| rate.per_second),
        "per": limits.rate.as_ref().map(|rate| rate.per.word()),
    })
}
