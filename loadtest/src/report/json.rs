//! The report for programs.

use crate::record::{Figures, Record};
use crate::scenario::Outcome;
use serde_json::{Value, json};
use std::time::Duration;

pub fn to_json(record: &Record, lasted: Duration) -> Value {
    let versions: serde_json::Map<String, Value> =
        record.versions.iter().map(|(name, f)| (name.to_string(), figures(f))).collect();
    let moves: Vec<Value> = record
        .moves
        .iter()
        .map(|(m, count)| json!({"from": &*m.from, "to": &*m.to, "count": count}))
        .collect();
    let seconds: Vec<Value> = record.seconds.iter().map(second).collect();
    json!({
        "seconds": lasted.as_secs_f64(),
        "total": figures(&record.total),
        "versions": versions,
        "users": { "seen": record.users_seen, "moved": record.users_moved, "moves": moves },
        "course": seconds,
    })
}

pub fn outcome_to_json(outcome: &Outcome) -> Value {
    let findings: Vec<Value> = outcome
        .findings
        .iter()
        .map(|f| json!({"expected": f.expected, "found": f.found, "met": f.met}))
        .collect();
    let sightings: Vec<Value> = outcome
        .sightings
        .all
        .iter()
        .map(|s| {
            json!({
                "at": s.at.as_secs_f64(), "state": s.state, "reason": s.reason, "weight": s.weight,
            })
        })
        .collect();
    json!({
        "name": outcome.name,
        "passed": outcome.passed(),
        "findings": findings,
        "troubles": outcome.troubles,
        "rollout": sightings,
        "load": to_json(&outcome.record, outcome.lasted),
    })
}

fn figures(figures: &Figures) -> Value {
    let q = |q| figures.latency.quantile(q).map(|d: Duration| d.as_secs_f64() * 1e3);
    json!({
        "requests": figures.requests,
        "failures": figures.failures,
        "latencyMs": {
            "p50": q(0.5), "p90": q(0.9), "p95": q(0.95), "p99": q(0.99),
            "p99.9": q(0.999), "p99.99": q(0.9999), "max": q(1.0),
        },
        "ended": figures.ended,
    })
}

fn second(second: &crate::record::Second) -> Value {
    let all: u64 = second.versions.values().map(|f| f.requests).sum();
    let versions = second.versions.iter().map(|(name, f)| {
        let q = |q| f.latency.quantile(q).map(|d: Duration| d.as_secs_f64() * 1e3);
        let brief = json!({
            "requests": f.requests, "failures": f.failures,
            "share": f.requests as f64 / all.max(1) as f64, "p50": q(0.5), "p99": q(0.99),
        });
        (name.to_string(), brief)
    });
    Value::Object(versions.collect())
}
