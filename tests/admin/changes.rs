//! What a change is checked for, and that it happens once.

use crate::test_server::{TestServer, detail};
use serin_control::{Actor, Command, Order, StartRollout};
use serin_core::ids::{ServiceName, VersionName};
use serin_testkit::eventually_async;

const WEIGHTS: &str = "/v1/services/checkout/weights";
const SIGNALS: &str = "/v1/services/checkout/signals";
const ROLLOUT: &str = "/v1/services/checkout/rollout";

#[tokio::test]
async fn weights_name_known_versions_and_sum_to_the_whole() {
    let bench = TestServer::open().await;
    let wrong = [
        (r#"{"weights":{"v41":9000,"v42":500}}"#, "sum to 9500 basis points, not to 10000"),
        (r#"{"weights":{"v41":9000,"v43":1000}}"#, "did you mean"),
        (r#"{"weights":{"v41":60000}}"#, "0 to 10000"),
        (r#"{"weights":{}}"#, "name no version"),
        (r#"{"weights":{"v41":-1}}"#, "not what is expected"),
        (r#"{"weights":{"v41":10000},"more":1}"#, "unknown field"),
        (r#"{}"#, "missing field"),
    ];
    for (body, says) in wrong {
        let detail = detail(&bench.put(WEIGHTS, body).await, 422);
        assert!(detail.contains(says), "{body}: {detail}");
    }
    detail(&bench.put(WEIGHTS, "{").await, 400);
    detail(&bench.put(WEIGHTS, "").await, 400);
}

#[tokio::test]
async fn weights_without_a_rollout_begin_the_planned_one_and_stay_there() {
    let bench = TestServer::open().await;
    // Nothing is raised before the first look at the data plane.
    let put = eventually_async("it is taken", async || {
        let put = bench.put(WEIGHTS, r#"{"weights":{"v41":9000,"v42":1000}}"#).await;
        (put.status != 409).then_some(put)
    });
    let put = put.await;
    assert_eq!((put.status, &put.json()["weights"]["v42"]), (200, &1000.into()), "{}", put.text());
    let service = bench.get("/v1/services/checkout").await.json();
    assert_eq!(service["rollout"]["state"], "paused", "{service}");
    assert_eq!(service["weights"]["v42"], 1000);
}

#[tokio::test]
async fn weights_without_a_plan_divide_between_any_versions() {
    let bench = TestServer::with(|config| {
        let service = config.services.values_mut().next().expect("a service");
        service.rollout = None;
        let mut third = service.versions[1].clone();
        third.name = VersionName::new("v40").expect("a name");
        service.versions.push(third);
    })
    .await;
    let put = bench.put(WEIGHTS, r#"{"weights":{"v40":500,"v41":9000,"v42":500}}"#).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let service = bench.get("/v1/services/checkout").await.json();
    assert_eq!(service["weights"], serde_json::json!({"v40": 500, "v41": 9000, "v42": 500}));
    assert!(service["rollout"].is_null(), "{service}");
    let stable = serde_json::json!({"v40": 0, "v41": 10_000, "v42": 0});
    let put = bench.put(WEIGHTS, r#"{"weights":{"v41":10000}}"#).await;
    assert_eq!(put.json()["weights"], stable, "{}", put.text());
}

#[tokio::test]
async fn every_change_is_refused_on_an_old_reading() {
    let bench = TestServer::open().await;
    let stale = [("if-match", "\"old\"")];
    for (method, path, body) in [
        ("POST", SIGNALS, "[]"),
        ("POST", ROLLOUT, "{}"),
        ("PUT", WEIGHTS, r#"{"weights":{"v41":10000}}"#),
        ("PUT", "/v1/freeze", r#"{"frozen":true}"#),
        ("POST", "/v1/config/reload", ""),
        ("DELETE", "/v1/config/reload", ""),
    ] {
        detail(&bench.ask(method, path, &stale, body).await, 412);
    }
    let config = bench.get("/v1/config").await;
    let fresh = [("if-match", config.header("etag").expect("a tag"))];
    let reloaded = bench.ask("POST", "/v1/config/reload", &fresh, "").await;
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
}

#[tokio::test]
async fn signals_are_counts_of_known_versions() {
    let bench = TestServer::open().await;
    let good = r#"[{"version":"v41","name":"trialActivation","good":3,"total":10}]"#;
    let answer = bench.post(SIGNALS, good).await;
    assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (202, Some(1)));
    let wrong = [
        (r#"[{"version":"v4","name":"a","good":1,"total":1}]"#, "no version of checkout \"v4\""),
        (r#"[{"version":"v41","name":"a","good":2,"total":1}]"#, "more than total 1"),
        (r#"[{"version":"v41","name":"a b","good":1,"total":1}]"#, "a name has"),
        (r#"{"version":"v41"}"#, "expected a sequence"),
    ];
    for (body, says) in wrong {
        let detail = detail(&bench.post(SIGNALS, body).await, 422);
        assert!(detail.contains(says), "{body}: {detail}");
    }
}

#[tokio::test]
async fn a_start_is_checked_before_control_hears_of_it() {
    let bench = TestServer::open().await;
    let wrong = [
        (r#"{"to":"v43"}"#, "known: v41, v42"),
        (r#"{"to":"v42","committedAt":"yesterday"}"#, "RFC 3339"),
        (r#"{"version":"v42"}"#, "unknown field `version`"),
    ];
    for (body, says) in wrong {
        let detail = detail(&bench.post(ROLLOUT, body).await, 422);
        assert!(detail.contains(says), "{body}: {detail}");
    }
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(1001));
    assert!(detail(&bench.post(ROLLOUT, &long).await, 422).contains("at most 1000"));
}

#[tokio::test]
async fn a_repeated_key_is_answered_again_and_not_done_again() {
    let bench = TestServer::open().await;
    let body = r#"[{"version":"v41","name":"a","good":1,"total":1}]"#;
    let key = [("idempotency-key", "push-1")];
    let first = bench.ask("POST", SIGNALS, &key, body).await;
    let again = bench.ask("POST", SIGNALS, &key, body).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, None));
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, Some("true")));
    assert_eq!(first.body, again.body);
    let other = bench.ask("POST", SIGNALS, &key, "[]").await;
    assert!(detail(&other, 422).contains("used with another body"));
    let empty = bench.ask("POST", SIGNALS, &[("idempotency-key", "")], "[]").await;
    detail(&empty, 400);
}

/// As a pipeline does that names all its requests after the build.
#[tokio::test]
async fn one_key_is_good_for_each_thing_that_is_asked() {
    let bench = TestServer::open().await;
    let key = [("idempotency-key", "build-7")];
    let started = bench.ask("POST", ROLLOUT, &key, "{}").await;
    let paused = bench.ask("POST", &format!("{ROLLOUT}/pause"), &key, "{}").await;
    assert_eq!((started.status, paused.status), (201, 200), "{}", paused.text());
}

/// The answers are gone with the process that gave them; that it was done is in the journal.
#[tokio::test]
async fn a_repetition_that_only_the_journal_knows_says_that_it_is_one() {
    let bench = TestServer::open().await;
    let reason = String::new();
    let start =
        StartRollout { to: None, reason, release: None, committed_at: None, supersede: false };
    let order = Order {
        idempotency_key: Some(format!("loopback {ROLLOUT} build-7")),
        ..Order::new(Command::Start(start), Actor("loopback".to_owned()))
    };
    let service = ServiceName::new("checkout").expect("a name");
    bench.handle().command(&service, order).await.expect("a start");
    let again = bench.ask("POST", ROLLOUT, &[("idempotency-key", "build-7")], "{}").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
}
