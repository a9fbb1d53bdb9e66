//! Services, as the files write them.

use super::quantity::{duration, path, percent, size};
use super::rollout::{plan, slo};
use crate::file::Word;
use crate::model::{
    Compare, Endpoints, HealthCheck, HealthKind, JsonPath, RetryOn, Service, SessionBy, Shadow,
    Version,
};
use serde_json::{Map, Value, json};

pub(super) fn service(s: &Service) -> Value {
    let versions: Map<String, Value> =
        s.versions.iter().map(|v| (v.name.to_string(), version(v))).collect();
    json!({
        "stable": s.stable.as_str(),
        "versions": versions,
        "loadBalancing": s.load_balancing.word(),
        "healthCheck": s.health_check.as_ref().map(health_check),
        "outliers": s.outliers.effective(),
        "timeouts": s.timeouts.effective(),
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
        "failover": s.failover.word(),
        "slowStart": duration(s.slow_start),
        "maxInFlight": s.max_in_flight,
        "adaptiveConcurrency": s.adaptive_concurrency,
        "shadow": s.shadow.as_ref().map(shadow),
        "slo": slo(&s.objectives),
        "signals": s.signals,
        "rollout": s.rollout.as_ref().map(plan),
    })
}

fn version(v: &Version) -> Value {
    let endpoint = |e: &crate::model::Endpoint| match e.tls {
        true => format!("https://{e}"),
        false => e.to_string(),
    };
    let endpoints = match &v.endpoints {
        Endpoints::Listed(listed) => Value::from_iter(listed.iter().map(endpoint)),
        Endpoints::Found(source) => source.effective(),
    };
    json!({
        "release": v.release,
        "endpoints": endpoints,
        "protocol": v.protocol.word(),
        "proxyProtocol": v.proxy_protocol.word(),
        "tls": { "caFile": v.tls.ca_file.as_deref().map(path), "serverName": v.tls.server_name },
    })
}

fn health_check(check: &HealthCheck) -> Value {
    let mut all = json!({
        "interval": duration(check.interval),
        "timeout": duration(check.timeout),
        "unhealthyAfter": check.unhealthy_after,
        "healthyAfter": check.healthy_after,
        "panicBelow": percent(check.panic_below),
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
        SessionBy::Cookie { name, ttl, keys } => {
            let files: Vec<String> = keys.iter().map(|key| path(&key.file)).collect();
            let (one, several) = match files.as_slice() {
                [] => (None, None),
                [one] => (Some(one), None),
                [_, _, ..] => (None, Some(&files)),
            };
            json!({
                "by": "cookie", "name": name, "ttl": duration(*ttl),
                "keyFile": one, "keyFiles": several,
            })
        }
        SessionBy::Header { name } => json!({ "by": "header", "name": name }),
        SessionBy::ClientIp => json!({ "by": "clientIp" }),
    }
}

fn shadow(s: &Shadow) -> Value {
    json!({
        "to": s.to.as_str(),
        "percent": s.share.to_string(),
        "methods": s.methods,
        "routes": s.routes.iter().map(|r| r.as_str()).collect::<Vec<_>>(),
        "maxBody": size(s.max_body),
        "timeout": duration(s.timeout),
        "maxInFlight": s.max_in_flight,
        "redact": { "headers": s.redact_headers, "json": texts(&s.redact_json) },
        "compare": s.compare.as_ref().map(compare),
    })
}

fn compare(c: &Compare) -> Value {
    json!({
        "status": c.status,
        "headers": c.headers,
        "body": c.body.word(),
        "ignore": texts(&c.ignore),
        "noise": c.noise,
    })
}

fn texts(paths: &[JsonPath]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}
