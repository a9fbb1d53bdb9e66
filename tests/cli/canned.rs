//! Answers as an instance would give them, and the binary run against them.

use serde_json::{Value, json};
use serin_testkit::{RawOrigin, Script};
use std::process::{Command, Output, Stdio};

/// One rollout of `checkout` in a state. The last step of a finished rollout is its third.
pub(crate) fn rollout(state: &str, waiting_for: Option<&str>) -> Value {
    json!({
        "id": "checkout-3", "from": "v41", "to": "v42", "release": "2026.11.20",
        "strategy": "canary", "state": state, "step": 2, "steps": 3, "weight": 5000,
        "reason": "too little evidence to advance or to condemn", "waitingFor": waiting_for,
        "startedAt": "2026-11-21T02:00:00.000Z", "startedBy": "serin-operator", "endedAt": null,
        "holdSeconds": 1800, "heldSeconds": 720, "stepRemainingSeconds": 1080,
        "remainingSeconds": 4680, "requestsNeeded": 320, "secondsNeeded": 240,
        "proof": {
            "requests": 104, "requestsNeeded": 30, "value": 3.1, "valueNeeded": 20.0,
            "harmValue": 8.2, "harmLimit": 0.006, "shown": null,
            "outlook": "about 320 more requests, about 4m at this rate",
        },
        "comparison": {
            "candidate": figures(104, 1), "stable": figures(103, 0),
        },
        "harm": { "failedRequests": 3, "failedRequestsLimit": 200, "users": 1, "usersLimit": 50 },
    })
}

fn figures(requests: u64, bad: u64) -> Value {
    json!({
        "requests": requests, "bad": bad, "requestsPerSecond": 52.14,
        "errorRatio": bad as f64 / requests as f64,
        "p50Ms": 12.3, "p95Ms": 80.04, "p99Ms": 1204.9,
    })
}

pub(crate) fn service(rollout: Value) -> Value {
    let version = |name: &str, role: &str| {
        json!({
            "name": name, "release": "r", "role": role, "ready": 2, "endpoints": 2, "requests": 9,
            "bad": 0, "excluded": 0, "inFlight": 0, "lastMinute": figures(60, 0), "tripped": false,
            "quarantined": null,
        })
    };
    json!({
        "name": "checkout", "revision": 7, "stable": "v41",
        "weights": { "v41": 5000, "v42": 5000 },
        "versions": [version("v41", "stable"), version("v42", "candidate")],
        "slo": {
            "objective": 0.999, "windowSeconds": 2_592_000, "budgetRemaining": 0.972,
            "burnRates": [{
                "name": "fast", "version": "v42", "above": 14.4, "longSeconds": 3600,
                "shortSeconds": 300, "longRate": 2.5, "shortRate": 3.0,
            }],
        },
        "rollout": rollout,
    })
}

pub(crate) fn snapshot(rollout: Value) -> Value {
    json!({
        "generation": 12, "at": "2026-11-21T02:12:00.000Z", "services": [service(rollout)],
        "freeze": null,
        "config": {
            "generation": 1, "hash": "cafe", "loadedAt": "2026-11-21T01:00:00.000Z", "failed": null,
        },
        "health": { "journal": null, "notificationsLost": 0, "recordsLost": 0 },
    })
}

/// An answer on the wire. Every request has a connection of its own.
pub(crate) fn answer(status: u16, body: &Value) -> Script {
    let kind = if status < 400 { "application/json" } else { "application/problem+json" };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\netag: \"r7\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Script::new().read_request().write(head + &body).close()
}

/// Runs `serin` against these answers, one for each request, the last for all that follow.
pub(crate) fn serin(args: &[&str], answers: &[(u16, Value)]) -> (Output, String) {
    let scripts = answers.iter().map(|(status, body)| answer(*status, body)).collect();
    let origin = RawOrigin::in_turn(scripts);
    let output = command(&origin.address().to_string()).args(args).output().unwrap();
    (output, String::from_utf8_lossy(&origin.received()).into_owned())
}

pub(crate) fn command(admin: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command.env("SERIN_ADMIN", admin).env_remove("SERIN_TOKEN_FILE").stdin(Stdio::null());
    command
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
