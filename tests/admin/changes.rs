//! What a change is checked for, and that it happens once.

use crate::bench::{Bench, detail};

const WEIGHTS: &str = "/v1/services/checkout/weights";
const SIGNALS: &str = "/v1/services/checkout/signals";
const ROLLOUT: &str = "/v1/services/checkout/rollout";

#[tokio::test]
async fn weights_name_known_versions_and_sum_to_the_whole() {
    let bench = Bench::open().await;
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
    let none = detail(&bench.put(WEIGHTS, r#"{"weights":{"v41":9000,"v42":1000}}"#).await, 409);
    assert!(none.contains("has no rollout"), "{none}");
}

#[tokio::test]
async fn signals_are_counts_of_known_versions() {
    let bench = Bench::open().await;
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
    let bench = Bench::open().await;
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
    let bench = Bench::open().await;
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
