//! Exit codes: 0 healthy or done, 1 error, 2 invalid configuration, 3 rolled back, 4 paused or
//! holding, 5 timed out.

use crate::canned::{command, rollout, serin, service, snapshot, stderr, stdout};
use serde_json::{Value, json};

fn code(args: &[&str], answers: &[(u16, Value)]) -> i32 {
    let (output, _) = serin(args, answers);
    output.status.code().unwrap_or_else(|| panic!("{}", stderr(&output)))
}

#[test]
fn status_says_how_the_worst_rollout_is() {
    let with = |rollout| code(&["status"], &[(200, snapshot(rollout))]);
    assert_eq!(with(Value::Null), 0);
    assert_eq!(with(rollout("running", Some("hold"))), 0);
    assert_eq!(with(rollout("complete", None)), 0);
    assert_eq!(with(rollout("rolledBack", None)), 3);
    for waiting in ["paused", "holding", "inconclusive"] {
        assert_eq!(with(rollout(waiting, None)), 4, "{waiting}");
    }
}

#[test]
fn wait_for_done_ends_with_what_became_of_it() {
    let wait = |last| {
        let answers = [(200, snapshot(rollout("running", None))), (200, snapshot(last))];
        code(&["status", "--wait-for", "done", "--timeout", "30s"], &answers)
    };
    assert_eq!(wait(rollout("complete", None)), 0);
    assert_eq!(wait(rollout("rolledBack", None)), 3);
    assert_eq!(wait(rollout("paused", None)), 4);
    assert_eq!(wait(rollout("holding", Some("approval"))), 4);
}

#[test]
fn a_wait_has_an_end() {
    let forever = [(200, snapshot(rollout("holding", Some("evidence"))))];
    let (output, _) = serin(&["status", "--wait-for", "done", "--timeout", "600ms"], &forever);
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).contains("timed out"), "{}", stderr(&output));
}

#[test]
fn wait_for_paused_is_done_when_it_stands() {
    let wait = |state, on| {
        code(&["status", "--wait-for", "paused"], &[(200, snapshot(rollout(state, on)))])
    };
    assert_eq!(wait("paused", None), 0);
    assert_eq!(wait("holding", Some("approval")), 0);
    assert_eq!(wait("rolledBack", None), 3);
    assert_eq!(wait("complete", None), 1);
}

#[test]
fn wait_for_healthy_asks_whether_traffic_is_taken() {
    let ready = json!({ "ready": true, "checks": [] });
    let fine = snapshot(rollout("running", None));
    let answers = [(200, fine.clone()), (503, json!({})), (200, fine), (200, ready)];
    assert_eq!(code(&["status", "--wait-for", "healthy"], &answers), 0);
}

#[test]
fn start_and_wait_branches_on_the_outcome() {
    let outcome = |state: &str, waiting: Option<&str>| {
        let mut begun = rollout("running", Some("hold"));
        begun["message"] = json!("checkout-3 started: v41 to v42");
        let running = service(rollout("running", Some("hold")));
        let last = service(rollout(state, waiting));
        let args = ["rollout", "start", "checkout", "--to", "v42", "--reason", "try", "--wait"];
        serin(&args, &[(201, begun), (200, running), (200, last)])
    };
    let (output, sent) = outcome("complete", None);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(sent.contains("POST /v1/services/checkout/rollout HTTP/1.1"), "{sent}");
    assert!(sent.contains(r#""to":"v42""#) && sent.contains(r#""reason":"try""#), "{sent}");
    let said = stdout(&output);
    assert!(said.starts_with("checkout-3 started: v41 to v42\n"), "{said}");
    assert!(said.contains("checkout: checkout-3 running, step 2 of 3, v42 at 50%"), "{said}");
    assert_eq!(outcome("rolledBack", None).0.status.code(), Some(3));
    assert_eq!(outcome("inconclusive", None).0.status.code(), Some(4));
    assert_eq!(outcome("holding", Some("approval")).0.status.code(), Some(4));
}

#[test]
fn a_refusal_is_said_in_the_servers_words() {
    let problem = json!({
        "type": "urn:serin:problem:not-found", "title": "There is no such thing", "status": 404,
        "detail": "there is no service \"chekout\"; did you mean \"checkout\"?",
    });
    let (output, _) = serin(&["why", "chekout"], &[(404, problem)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "error: there is no service \"chekout\"; did you mean \"checkout\"?\n"
    );
    assert_eq!(stdout(&output), "");
}

#[test]
fn an_instance_that_is_not_there_is_an_error_that_names_its_address() {
    let gone = serin_testkit::RawOrigin::always(serin_testkit::Script::new()).address();
    let output = command(&gone.to_string()).args(["status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("cannot reach Serin at {gone}")));
}

#[test]
fn health_is_for_container_checks() {
    let ready =
        json!({ "ready": true, "checks": [{ "name": "journal", "ok": false, "detail": "full" }] });
    let (output, _) = serin(&["health"], &[(200, ready)]);
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(0), "ready\n  journal: full\n")
    );
    let not = json!({ "ready": false, "checks": [] });
    assert_eq!(code(&["health"], &[(503, not)]), 1);
}

#[test]
fn a_stable_that_fails_its_objective_is_said_and_has_an_exit_code_of_its_own() {
    let message = "stable v41 fails its objective: burning 800.0 times as fast as the availability budget allows (rule fast, its limit is 14.4)";
    let mut failing = snapshot(Value::Null);
    failing["services"][0]["slo"]["missed"] = json!({
        "version": "v41", "rule": "fast", "promise": "availability", "rate": 800.0, "above": 14.4,
        "severity": "P1", "message": message,
    });
    let (output, _) = serin(&["status"], &[(200, failing)]);
    assert_eq!(output.status.code(), Some(6));
    let said = stdout(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("failing stable v41 fails its objective"), "{said}");
    let check = json!({ "name": "objectives checkout", "ok": false, "detail": message });
    let ready = json!({ "ready": true, "checks": [check] });
    assert_eq!(code(&["health"], &[(200, ready.clone())]), 0, "no container is restarted for it");
    assert_eq!(code(&["health", "--objectives"], &[(200, ready)]), 6);
}

#[test]
fn a_token_is_read_from_its_file_and_never_printed() {
    let folder = serin_testkit::temp_dir();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cr3t\n").unwrap();
    let args = ["status", "--token-file", file.to_str().unwrap()];
    let (output, sent) = serin(&args, &[(200, snapshot(Value::Null))]);
    assert!(sent.contains("authorization: Bearer s3cr3t\r\n"), "{sent}");
    assert!(!(stdout(&output) + &stderr(&output)).contains("s3cr3t"));
    let missing = ["status", "--token-file", "/does/not/exist"];
    let (output, sent) = serin(&missing, &[(200, snapshot(Value::Null))]);
    assert_eq!((output.status.code(), sent.as_str()), (Some(1), ""));
}

#[test]
fn a_mistyped_command_is_an_error_and_no_invalid_configuration() {
    for wrong in [
        &["weights", "checkout", "25"][..],
        &["weights", "checkout", "101%"],
        &["freeze", "on"],
        &["status", "--timeout", "5m"],
        &["rollout", "begin", "checkout"],
        &["status", "--admin", "localhost"],
    ] {
        assert_eq!(code(wrong, &[(200, json!({}))]), 1, "{wrong:?}");
    }
}

#[test]
fn a_weight_by_hand_is_refused_when_somebody_else_was_faster() {
    let weights = json!({ "weights": { "v41": 7500, "v42": 2500 } });
    let answers = [(200, service(rollout("running", None))), (200, weights)];
    let (output, sent) = serin(&["weights", "checkout", "25%"], &answers);
    assert_eq!(stdout(&output), "checkout: v41 75%, v42 25%\n");
    assert!(sent.contains("if-match: \"r7\"\r\n"), "{sent}");
    assert!(sent.contains(r#"{"weights":{"v41":7500,"v42":2500}}"#), "{sent}");
}

#[test]
fn a_weight_without_a_rollout_is_the_planned_versions_or_the_only_other_ones() {
    let weights = json!({ "weights": { "v41": 7500, "v42": 2500 } });
    let asked = ["weights", "checkout", "25%"];
    let (output, sent) = serin(&asked, &[(200, service(Value::Null)), (200, weights)]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(sent.contains(r#"{"weights":{"v41":7500,"v42":2500}}"#), "{sent}");
    let mut three = service(Value::Null);
    let mut other = three["versions"][1].clone();
    other["name"] = "v40".into();
    three["versions"].as_array_mut().unwrap().push(other);
    let (output, _) = serin(&asked, &[(200, three)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("several versions beside stable: v42, v40"));
}
