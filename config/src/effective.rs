//! The configuration in force, written out in the words of the files.
//!
//! Everything resolved and every default filled in, so that two of them can be compared line by
//! line. Secrets appear as the file they come from, never as their value; whatever else may
//! carry one (credentials in a URL, an authorization header) is masked.

use crate::model::{
    AccessLogFormat, AccessLogTo, Admin, AdminAddress, ClientAuth, Compare, CompareBody, Config,
    Failover, HeaderEdits, HealthCheck, HealthKind, Lanes, Listener, LoadBalancing, Match,
    Notification, NotifyOn, NotifyTo, PathMatch, ProxyProtocol, RatePer, RetryOn, Rewrite, Role,
    Route, RouteAction, RouteLimits, Service, SessionBy, Shadow, TlsVersion, UpstreamProtocol,
    ValueMatch, Version,
};
use serde_json::{Map, Value, json};
use serin_core::rollout::{
    Action, Compared, Gate, GateKind, Guard, OnRollback, OnTooFew, Plan, Rule, Start, Step,
    Strategy, TimeOfDay, Window, WindowEffect, WindowSpan,
};
use serin_core::slo::{BurnAction, BurnRule, Objectives};
use serin_core::split::Scope;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const MASK: &str = "***";

/// As JSON, because that is what both the API and `serin diff` want.
pub fn effective(config: &Config) -> Value {
    let services: Map<String, Value> =
        config.services.iter().map(|(name, s)| (name.to_string(), service(s))).collect();
    json!({
        "version": 1,
        "listeners": config.listeners.iter().map(listener).collect::<Vec<_>>(),
        "admin": admin(&config.admin),
        "state": { "dir": path(&config.state_dir) },
        "services": services,
        "routes": config.routes.iter().map(route).collect::<Vec<_>>(),
        "accessLog": {
            "format": match config.access_log.format {
                AccessLogFormat::Json => "json",
                AccessLogFormat::Combined => "combined",
                AccessLogFormat::Off => "off",
            },
            "to": match &config.access_log.to {
                AccessLogTo::Stdout => "stdout".to_owned(),
                AccessLogTo::Stderr => "stderr".to_owned(),
                AccessLogTo::File(file) => path(file),
            },
            "sample": config.access_log.sample.to_string(),
        },
        "tracing": config.tracing.as_ref().map(|t| json!({
            "otlp": url(&t.otlp), "sample": t.sample.to_string(),
        })),
        "notifications": config.notifications.iter().map(notification).collect::<Vec<_>>(),
        "lanes": match config.lanes {
            Lanes::Both => "both",
            Lanes::Full => "full",
        },
    })
}

fn listener(l: &Listener) -> Value {
    let limits = &l.limits;
    json!({
        "name": l.name,
        "address": l.address.to_string(),
        "protocol": if l.tls.is_some() { "HTTPS" } else { "HTTP" },
        "tls": l.tls.as_ref().map(|tls| json!({
            "certificates": tls.certificates.iter().map(|c| json!({
                "certFile": path(&c.cert_file), "keyFile": path(&c.key_file),
            })).collect::<Vec<_>>(),
            "minVersion": match tls.min_version {
                TlsVersion::V1_2 => "1.2",
                TlsVersion::V1_3 => "1.3",
            },
            "clientAuth": match &tls.client_auth {
                ClientAuth::Off => json!({ "mode": "off" }),
                ClientAuth::Optional { ca_file } => {
                    json!({ "mode": "optional", "caFile": path(ca_file) })
                }
                ClientAuth::Required { ca_file } => {
                    json!({ "mode": "required", "caFile": path(ca_file) })
                }
            },
        })),
        "proxyProtocol": match l.proxy_protocol {
            ProxyProtocol::Off => "off",
            ProxyProtocol::V1V2 => "v1v2",
        },
        "trusted": l.trusted.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "limits": {
            "maxConnections": limits.max_connections,
            "headerTimeout": duration(limits.header_timeout),
            "idleTimeout": duration(limits.idle_timeout),
            "maxHeaderBytes": size(limits.max_header_bytes),
            "maxHeaders": limits.max_headers,
            "maxUriBytes": size(limits.max_uri_bytes),
            "minBodyRate": size(limits.min_body_rate),
            "maxStreams": limits.max_streams,
        },
    })
}

fn admin(admin: &Admin) -> Value {
    let tokens = admin.tokens.iter().map(|token| {
        let role = match token.role {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
        };
        json!({ "role": role, "tokenFile": path(&token.secret.file) })
    });
    json!({
        "address": match &admin.address {
            AdminAddress::Tcp(address) => address.to_string(),
            AdminAddress::Unix(socket) => format!("unix:{}", socket.display()),
        },
        "tokens": tokens.collect::<Vec<_>>(),
        "hosts": admin.hosts,
    })
}

fn service(s: &Service) -> Value {
    let versions: Map<String, Value> =
        s.versions.iter().map(|v| (v.name.to_string(), version(v))).collect();
    json!({
        "stable": s.stable.as_str(),
        "versions": versions,
        "loadBalancing": match s.load_balancing {
            LoadBalancing::RoundRobin => "roundRobin",
            LoadBalancing::LeastRequest => "leastRequest",
        },
        "healthCheck": s.health_check.as_ref().map(health_check),
        "outliers": {
            "consecutiveFailures": s.outliers.consecutive_failures,
            "ejectFor": duration(s.outliers.eject_for),
            "maxEjected": percent(s.outliers.max_ejected),
        },
        "timeouts": {
            "connect": duration(s.timeouts.connect),
            "response": duration(s.timeouts.response),
            "idle": duration(s.timeouts.idle),
        },
        "retries": {
            "attempts": s.retries.attempts,
            "on": s.retries.on.iter().map(|on| match on {
                RetryOn::ConnectFailure => "connectFailure".to_owned(),
                RetryOn::Reset => "reset".to_owned(),
                RetryOn::Timeout => "timeout".to_owned(),
                RetryOn::Status(status) => status.to_string(),
            }).collect::<Vec<_>>(),
            "budget": percent(s.retries.budget),
        },
        "session": session(&s.session),
        "failover": match s.failover {
            Failover::None => "none",
            Failover::Stable => "stable",
        },
        "slowStart": duration(s.slow_start),
        "maxInFlight": s.max_in_flight,
        "shadow": s.shadow.as_ref().map(shadow),
        "slo": slo(&s.objectives),
        "rollout": s.rollout.as_ref().map(plan),
    })
}

fn version(v: &Version) -> Value {
    let endpoint = |e: &crate::model::Endpoint| match e.tls {
        true => format!("https://{e}"),
        false => e.to_string(),
    };
    json!({
        "release": v.release,
        "endpoints": v.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "protocol": match v.protocol {
            UpstreamProtocol::Http1 => "http1",
            UpstreamProtocol::Http2 => "http2",
            UpstreamProtocol::Auto => "auto",
        },
        "tls": { "caFile": v.tls.ca_file.as_deref().map(path), "serverName": v.tls.server_name },
    })
}

fn health_check(check: &HealthCheck) -> Value {
    let mut all = json!({
        "interval": duration(check.interval),
        "timeout": duration(check.timeout),
        "unhealthyAfter": check.unhealthy_after,
        "healthyAfter": check.healthy_after,
    });
    match &check.kind {
        HealthKind::Http { path, host } => {
            all["path"] = json!(path);
            all["host"] = json!(host);
        }
        HealthKind::Tcp => all["tcp"] = json!(true),
        HealthKind::Grpc { service } => all["grpc"] = json!({ "service": service }),
    }
    all
}

fn session(session: &SessionBy) -> Value {
    match session {
        SessionBy::None => json!({ "by": "none" }),
        SessionBy::Cookie { name, ttl, key } => json!({
            "by": "cookie", "name": name, "ttl": duration(*ttl),
            "keyFile": key.as_ref().map(|key| path(&key.file)),
        }),
        SessionBy::Header { name } => json!({ "by": "header", "name": name }),
        SessionBy::ClientIp => json!({ "by": "clientIp" }),
    }
}

fn shadow(s: &Shadow) -> Value {
    json!({
        "to": s.to.as_str(),
        "percent": s.share.to_string(),
        "methods": s.methods,
        "maxBody": size(s.max_body),
        "timeout": duration(s.timeout),
        "maxInFlight": s.max_in_flight,
        "redact": { "headers": s.redact_headers, "json": s.redact_json },
        "compare": s.compare.as_ref().map(compare),
    })
}

fn compare(c: &Compare) -> Value {
    json!({
        "status": c.status,
        "headers": c.headers,
        "body": match c.body {
            CompareBody::None => "none",
            CompareBody::Bytes => "bytes",
            CompareBody::Json => "json",
        },
        "ignore": c.ignore,
        "noise": c.noise,
    })
}

fn slo(o: &Objectives) -> Value {
    json!({
        "window": duration(o.window),
        "availability": {
            "objective": percent(o.availability.objective),
            "bad": ranges((100..600).filter(|status| o.availability.bad.contains(*status))),
        },
        "latency": o.latency.as_ref().map(|l| json!({
            "objective": percent(l.objective), "under": duration(l.under),
        })),
        "burnRates": o.burn_rates.iter().map(burn_rate).collect::<Vec<_>>(),
        "budgetPolicy": {
            "freezeBelow": percent(o.budget.freeze_below),
            "confirmBelow": percent(o.budget.confirm_below),
        },
    })
}

fn burn_rate(rule: &BurnRule) -> Value {
    json!({
        "name": rule.name,
        "above": rule.above,
        "windows": [duration(rule.long), duration(rule.short)],
        "action": match rule.action {
            BurnAction::Rollback => "rollback",
            BurnAction::Pause => "pause",
            BurnAction::Notify => "notify",
        },
        "severity": rule.severity.as_str(),
    })
}

fn plan(p: &Plan) -> Value {
    json!({
        "to": p.to.as_str(),
        "strategy": match p.strategy {
            Strategy::Canary => "canary",
            Strategy::BlueGreen => "blueGreen",
            Strategy::Rolling => "rolling",
            Strategy::BigBang => "bigBang",
        },
        "start": match p.start {
            Start::Manual => "manual",
            Start::OnChange => "onChange",
        },
        "steps": p.steps.iter().map(step).collect::<Vec<_>>(),
        "evidence": {
            "falseAlarm": percent(p.evidence.false_alarm),
            "minRequests": p.evidence.min_requests,
            "onTooFew": match p.evidence.on_too_few {
                OnTooFew::Hold => "hold",
                OnTooFew::Pause => "pause",
                OnTooFew::Rollback => "rollback",
            },
            "giveUpAfter": duration(p.evidence.give_up_after),
        },
        "regression": {
            "errors": p.regression.errors, "latency": percent(p.regression.latency),
        },
        "guards": p.guards.iter().map(guard).collect::<Vec<_>>(),
        "harm": { "failedRequests": p.harm.failed_requests, "users": p.harm.users },
        "rescue": p.rescue,
        "gates": p.gates.iter().map(gate).collect::<Vec<_>>(),
        "windows": p.windows.iter().map(window).collect::<Vec<_>>(),
        "onRollback": { "sessions": match p.on_rollback {
            OnRollback::Revoke => "revoke",
            OnRollback::Drain => "drain",
        } },
        "dark": p.dark.as_ref().map(|dark| json!({
            "hold": duration(dark.hold),
            "comparisons": dark.comparisons,
            "mismatchBelow": percent(dark.mismatch_below),
        })),
    })
}

fn step(step: &Step) -> Value {
    json!({
        "weight": step.weight.to_string(),
        "hold": duration(step.hold),
        "of": match step.of {
            Scope::All => "all",
            Scope::NewSessions => "newSessions",
        },
    })
}

fn guard(guard: &Guard) -> Value {
    let (key, rule) = match &guard.rule {
        Rule::ErrorRate { above } => ("errorRate", json!(over(*above))),
        Rule::Latency { quantile, above } => {
            let quantile = format!("p{}", decimal(quantile * 100.0));
            ("latency", json!({ quantile: format!("> {}", duration(*above)) }))
        }
        Rule::Signal { name, below, of } => {
            let of = match of {
                Compared::Baseline => "baseline",
                Compared::Absolute => "absolute",
            };
            ("signal", json!({ "name": name, "below": percent(*below), "of": of }))
        }
        Rule::ShadowMismatch { above } => ("shadowMismatch", json!(over(*above))),
        Rule::ShadowErrors { above } => ("shadowErrors", json!(over(*above))),
    };
    json!({
        "name": guard.name,
        key: rule,
        "over": duration(guard.over),
        "for": duration(guard.lasting),
        "action": match guard.action {
            Action::Rollback => "rollback",
            Action::Pause => "pause",
            Action::Notify => "notify",
        },
    })
}

fn gate(gate: &Gate) -> Value {
    let (key, what) = match &gate.kind {
        GateKind::Approval => ("approval", json!(true)),
        GateKind::Webhook { url: to, timeout } => {
            ("webhook", json!({ "url": url(to), "timeout": duration(*timeout) }))
        }
        GateKind::Shadow { comparisons, mismatch_below } => (
            "shadow",
            json!({ "comparisons": comparisons, "mismatchBelow": percent(*mismatch_below) }),
        ),
    };
    json!({ "before": gate.before.to_string(), key: what })
}

fn window(window: &Window) -> Value {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let day = |day: u8| DAYS[usize::from(day.saturating_sub(1)) % 7];
    let time = |TimeOfDay(minutes): TimeOfDay| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let span = match window.span {
        WindowSpan::Daily { first, last, from, to } => {
            format!("{}-{} {}-{}", day(first), day(last), time(from), time(to))
        }
        WindowSpan::Weekly { first, from, last, to } => {
            format!("{} {} - {} {}", day(first), time(from), day(last), time(to))
        }
    };
    let effect = match window.effect {
        WindowEffect::Allow => "allow",
        WindowEffect::Deny => "deny",
    };
    json!({ effect: span, "timeZone": window.time_zone, "reason": window.reason })
}

fn route(r: &Route) -> Value {
    json!({
        "name": r.name.as_str(),
        "listeners": r.listeners,
        "hostnames": r.hostnames,
        "matches": r.matches.iter().map(matching).collect::<Vec<_>>(),
        "action": action(&r.action),
        "request": edits(&r.request),
        "response": edits(&r.response),
        "rewrite": r.rewrite.as_ref().map(rewrite),
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
        "per": limits.rate.as_ref().map(|rate| match rate.per {
            RatePer::Route => "route",
            RatePer::ClientIp => "clientIp",
        }),
    })
}

fn notification(n: &Notification) -> Value {
    let (key, to) = match &n.to {
        NotifyTo::Slack { webhook_url } => {
            ("slack", json!({ "webhookUrlFile": path(&webhook_url.file) }))
        }
        NotifyTo::PagerDuty { routing_key, url: to } => {
            ("pagerduty", json!({ "routingKeyFile": path(&routing_key.file), "url": url(to) }))
        }
        NotifyTo::Alertmanager { url: to } => ("alertmanager", json!({ "url": url(to) })),
        NotifyTo::Webhook { url: to, headers } => {
            let names: BTreeMap<&str, &str> =
                headers.iter().map(|(name, _)| (name.as_str(), MASK)).collect();
            ("webhook", json!({ "url": url(to), "headers": names }))
        }
    };
    json!({
        "name": n.name,
        key: to,
        "on": n.on.iter().map(|on| notify_on(*on)).collect::<Vec<_>>(),
        "severity": n.severity.iter().map(|s| s.as_str()).collect::<Vec<_>>(),
    })
}

fn notify_on(on: NotifyOn) -> &'static str {
    match on {
        NotifyOn::Started => "started",
        NotifyOn::Advanced => "advanced",
        NotifyOn::Paused => "paused",
        NotifyOn::Resumed => "resumed",
        NotifyOn::RolledBack => "rolledBack",
        NotifyOn::Completed => "completed",
        NotifyOn::Inconclusive => "inconclusive",
        NotifyOn::CertificateExpiring => "certificateExpiring",
        NotifyOn::ReloadFailed => "reloadFailed",
        NotifyOn::BudgetLow => "budgetLow",
        NotifyOn::Frozen => "frozen",
    }
}

// --- quantities, as the files write them ---------------------------------------------------

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// In the largest unit that divides it.
fn duration(d: Duration) -> String {
    let ms = d.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    match units.into_iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}

fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

fn percent(share: f64) -> String {
    format!("{}%", decimal(share * 100.0))
}

fn over(share: f64) -> String {
    format!("> {}", percent(share))
}

/// Without the noise of binary fractions: 99.9, not 99.90000000000001.
fn decimal(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `5xx` where a whole class is meant, otherwise each status.
fn ranges(statuses: impl Iterator<Item = u16>) -> Vec<String> {
    let mut by_class: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
    statuses.for_each(|status| by_class.entry(status / 100).or_default().push(status));
    let written = by_class.into_iter().flat_map(|(class, all)| match all.len() {
        100 => vec![format!("{class}xx")],
        _ => all.iter().map(ToString::to_string).collect(),
    });
    written.collect()
}

// --- what must not be seen -------------------------------------------------------------------

/// A URL without its credentials and without the values of its query.
fn url(text: &str) -> String {
    let (base, query) = match text.split_once('?') {
        Some((base, _)) => (base, format!("?{MASK}")),
        None => (text, String::new()),
    };
    let (scheme, rest) = base.split_once("://").unwrap_or(("", base));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => authority.to_owned(),
    };
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}{host}{path}{query}")
}

/// Headers and cookies that carry credentials by custom.
fn unless_secret<'a>(name: &str, value: &'a str) -> &'a str {
    let name = name.to_ascii_lowercase();
    let secret = ["auth", "cookie", "token", "secret", "key", "password", "session"]
        .iter()
        .any(|part| name.contains(part));
    if secret { MASK } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_the_files_write_them() {
        assert_eq!(duration(Duration::from_secs(30 * 86_400)), "30d");
        assert_eq!(duration(Duration::from_secs(90)), "90s");
        assert_eq!(duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(duration(Duration::ZERO), "0s");
        assert_eq!(size(256 * 1024), "256KiB");
        assert_eq!(size(240), "240B");
        assert_eq!(percent(0.999), "99.9%");
        assert_eq!(ranges([429].into_iter().chain(500..600)), ["429", "5xx"]);
    }

    #[test]
    fn credentials_in_urls_and_headers_are_masked() {
        assert_eq!(url("https://me:pw@ci.example/go?key=1"), "https://***@ci.example/go?***");
        assert_eq!(url("http://127.0.0.1:9/"), "http://127.0.0.1:9/");
        assert_eq!(unless_secret("Authorization", "Bearer x"), "***");
        assert_eq!(unless_secret("x-edge", "serin"), "serin");
    }
}
