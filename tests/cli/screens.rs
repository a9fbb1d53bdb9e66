//! What people see: 80 columns, no colour, nothing a terminal obeys.

use crate::canned::{command, rollout, serin, service, snapshot, stdout};
use serde_json::{Value, json};

fn shown(args: &[&str], answer: Value) -> String {
    let (output, _) = serin(args, &[(200, answer)]);
    stdout(&output)
}

#[test]
fn status_shows_everything_an_operator_asks_first() {
    let screen = shown(&["status"], snapshot(rollout("holding", Some("evidence"))));
    assert_eq!(screen, include_str!("status.txt"));
    let widest = screen.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?}");
    assert!(!screen.contains('\x1b'));
}

#[test]
fn a_step_whose_hold_is_over_promises_no_end() {
    let mut waits = rollout("holding", Some("evidence"));
    (waits["holdSeconds"], waits["heldSeconds"]) = (json!(6), json!(32));
    (waits["stepRemainingSeconds"], waits["remainingSeconds"]) = (json!(0), json!(12));
    let screen = shown(&["status"], snapshot(waits.clone()));
    let says = "  step        its hold of 6s is over, watched for 32s; 12s of holds follow\n";
    assert!(screen.contains(says), "{screen}");
    waits["remainingSeconds"] = json!(0);
    let screen = shown(&["status"], snapshot(waits));
    assert!(screen.contains("its hold of 6s is over, watched for 32s\n"), "{screen}");
}

#[test]
fn what_stable_keeps_is_said_to_be_kept() {
    let mut last = rollout("running", Some("hold"));
    (last["step"], last["weight"], last["kept"]) = (json!(3), json!(9_800), json!(200));
    let mut now = snapshot(last);
    now["services"][0]["weights"] = json!({ "v41": 200, "v42": 9_800 });
    let screen = shown(&["status"], now);
    assert!(screen.contains("weights     stable v41 2% kept to compare, v42 98%\n"), "{screen}");
}

#[test]
fn what_is_in_flight_is_said_by_version_and_who_drains() {
    let mut all = snapshot(rollout("rolledBack", None));
    assert!(!shown(&["status"], all.clone()).contains("in flight"));
    all["services"][0]["weights"] = json!({ "v41": 10_000, "v42": 0 });
    (0..2).for_each(|at| all["services"][0]["versions"][at]["inFlight"] = json!(12 - 9 * at));
    let screen = shown(&["status"], all);
    assert!(screen.contains("  in flight   v41 12, v42 3 (drains)\n"), "{screen}");
}

#[test]
fn users_who_cannot_be_told_apart_are_not_said_to_be_users() {
    let mut keyless = rollout("running", None);
    keyless["harm"]["usersToldApart"] = json!(false);
    let screen = shown(&["status"], snapshot(keyless));
    let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    let says = "1 of 50 users (who cannot be told apart: each request counts)";
    assert!(words.contains(says), "{screen}");
}

#[test]
fn a_finished_rollout_says_how_it_ended() {
    let screen = shown(&["status"], snapshot(rollout("rolledBack", None)));
    assert!(screen.starts_with("checkout: rolled back, v41 to v42 (checkout-3)\n"), "{screen}");
    assert!(screen.contains("because     too little evidence"), "{screen}");
}

#[test]
fn a_service_without_a_rollout_is_at_rest_or_divided_by_hand() {
    let mut now = snapshot(Value::Null);
    let screen = shown(&["status"], now.clone());
    assert!(screen.starts_with("checkout: divided by hand, stable is v41\n"), "{screen}");
    now["services"][0]["weights"] = json!({ "v41": 10_000 });
    let screen = shown(&["status"], now);
    assert!(screen.starts_with("checkout: at rest on v41\n"), "{screen}");
}

#[test]
fn what_concerns_everything_comes_first() {
    let mut all = snapshot(Value::Null);
    all["freeze"] = json!({
        "since": "2026-11-21T02:00:00.000Z", "by": "ops", "reason": "the\u{1b}[2Jsale",
    });
    all["config"]["failed"] = json!({ "at": "2026-11-21T02:00:00.000Z", "fault": "line 3" });
    all["health"]["journal"] = json!("No space left on device");
    let screen = shown(&["status"], all);
    assert!(screen.starts_with("  frozen      since 2026-11-21T02:00:00.000Z by ops"), "{screen}");
    assert!(screen.contains("  config      the reload of"), "{screen}");
    assert!(screen.contains("  journal     cannot be written"), "{screen}");
    assert!(!screen.contains('\x1b'), "control characters are taken out: {screen}");
}

/// Whether all of `what` is there. Fields that an older instance does not know have their defaults.
fn holds(said: &Value, what: &Value) -> bool {
    if let (Some(said), Some(what)) = (said.as_object(), what.as_object()) {
        return what.iter().all(|(name, value)| said.get(name).is_some_and(|s| holds(s, value)));
    }
    if let (Some(said), Some(what)) = (said.as_array(), what.as_array()) {
        return said.len() == what.len() && said.iter().zip(what).all(|(s, w)| holds(s, w));
    }
    said == what
}

#[test]
fn json_is_what_the_server_said() {
    let all = snapshot(rollout("running", None));
    let said: Value = serde_json::from_str(&shown(&["status", "-o", "json"], all.clone())).unwrap();
    assert!(holds(&said, &all), "{said:#}");
    let dora = json!({
        "days": 30.0, "deployments": 2, "deploymentsPerDay": 0.07, "leadTimeSeconds": 3725.0,
        "changeFailureRatio": 0.5, "timeToRestoreSeconds": null,
    });
    let said: Value = serde_json::from_str(&shown(&["dora", "-o", "json"], dora.clone())).unwrap();
    assert_eq!(said, dora);
}

#[test]
fn watching_through_a_pipe_prints_a_line_per_change_and_no_escape() {
    use std::io::{BufRead, BufReader};
    let answers = ["running", "holding", "complete"]
        .map(|state| crate::canned::answer(200, &snapshot(rollout(state, None))));
    let origin = serin_testkit::RawOrigin::in_turn(answers.to_vec());
    let mut watching = command(&origin.address().to_string())
        .args(["status", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines().take(3);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert!(lines[0].starts_with("checkout: checkout-3 running, step 2 of 3"), "{lines:?}");
    assert!(lines[1].starts_with("checkout: checkout-3 holding"), "{lines:?}");
    assert!(lines[2].starts_with("checkout: checkout-3 complete"), "{lines:?}");
    assert!(!lines.concat().contains('\x1b'));
}

#[test]
fn why_shows_the_rule_the_numbers_and_the_requests() {
    let why = json!({
        "service": "checkout", "rollout": "checkout-3", "at": "2026-11-21T02:12:00.000Z",
        "verdict": "rollback", "reason": "the candidate fails 22% of its requests",
        "rule": "guard errors: errorRate > 1% over 30s", "observed": 0.22, "threshold": 0.01,
        "stableObserved": 0.0, "unit": "share", "samples": 41, "stableSamples": 372,
        "badRequests": [
            { "requestId": "7f3a", "what": "503", "at": "2026-11-21T02:11:59.000Z" },
            { "requestId": "7f3b", "what": "reset", "at": "2026-11-21T02:11:58.000Z" },
        ],
        "evidence": {}, "decision": {},
    });
    assert_eq!(shown(&["why", "checkout"], why), include_str!("why.txt"));
}

#[test]
fn why_counts_no_requests_for_a_rule_that_counts_none() {
    let why = |rule: &str, observed: f64, threshold: Option<f64>| {
        let why = json!({
            "service": "checkout", "rollout": "checkout-3", "at": "2026-11-21T02:12:00.000Z",
            "verdict": "hold", "reason": "hold: it says why", "rule": rule, "observed": observed,
            "threshold": threshold, "stableObserved": null, "samples": 0, "stableSamples": 0,
            "badRequests": [], "evidence": {}, "decision": {},
        });
        shown(&["why", "checkout"], why)
    };
    let wanted = "checkout: hold (checkout-3)\n  because     hold: it says why\n";
    let at = "  at          2026-11-21T02:12:00.000Z\n";
    assert_eq!(why("hold", 293.2, None), format!("{wanted}  rule        hold\n{at}"));
    // Of an instance that says no unit.
    let seen = "  rule        minRequests\n  observed    40\n  threshold   500\n";
    assert_eq!(why("minRequests", 40.0, Some(500.0)), format!("{wanted}{seen}{at}"));
}

#[test]
fn dora_reads_as_four_lines() {
    let dora = json!({
        "days": 30.0, "deployments": 2, "deploymentsPerDay": 0.07, "leadTimeSeconds": 3725.0,
        "changeFailureRatio": 0.5, "timeToRestoreSeconds": null,
    });
    let wanted = "deployments          2 in 30 days, 0.07 a day\n\
                  lead time            1h 2m\n\
                  change failure rate  50%\n\
                  time to restore      unknown\n";
    assert_eq!(shown(&["dora"], dora), wanted);
}

#[test]
fn a_report_is_found_by_the_services_name_too() {
    let none = json!({ "type": "urn:serin:problem:not-found", "status": 404, "detail": "none" });
    let record = json!({ "id": "checkout-3" });
    let answers = [(404, none.clone()), (200, service(rollout("rolledBack", None))), (200, record)];
    let (output, sent) = serin(&["report", "checkout", "-o", "json"], &answers);
    assert_eq!(stdout(&output), "{\n  \"id\": \"checkout-3\"\n}\n");
    assert!(sent.contains("GET /v1/rollouts/checkout-3 HTTP/1.1"), "{sent}");
    let (output, _) = serin(&["report", "checkout-9"], &[(404, none)]);
    assert_eq!(output.status.code(), Some(1));
}
