//! What readers get.

use crate::test_server::{TestServer, detail};
use serin_testkit::eventually_async;
use std::sync::atomic::Ordering::SeqCst;

#[tokio::test]
async fn a_service_shows_what_runs() {
    let bench = TestServer::open().await;
    let all = bench.get("/v1/services").await.json();
    let one = bench.get("/v1/services/checkout").await;
    assert_eq!(all["services"].as_array().map(Vec::len), Some(1));
    assert!(one.header("etag").is_some_and(|tag| tag.starts_with('"') && tag.ends_with('"')));
    let one = one.json();
    assert_eq!(one["name"], "checkout");
    assert_eq!(one["stable"], "v41");
    assert_eq!(one["weights"], serde_json::json!({"v41": 10_000, "v42": 0}));
    assert_eq!(one["versions"][1]["name"], "v42");
    assert!(one["slo"].is_object());
    assert!(one["rollout"].is_null());
}

#[tokio::test]
async fn an_unknown_service_is_answered_with_the_known_ones_whatever_is_asked() {
    let bench = TestServer::open().await;
    let asked = [
        ("GET", "", ""),
        ("GET", "/why", ""),
        ("GET", "/rollout", ""),
        ("POST", "/rollout", "not even JSON"),
        ("POST", "/rollout/promote", ""),
        ("POST", "/rollout/approve", ""),
        ("POST", "/rollout/checklist", ""),
        ("POST", "/rollout/pause", ""),
        ("POST", "/rollout/resume", ""),
        ("POST", "/rollout/abort", ""),
        ("POST", "/rollout/undo", ""),
        ("POST", "/rollout/retry", ""),
        ("PUT", "/weights", "{}"),
        ("POST", "/signals", "[]"),
    ];
    for (method, rest, body) in asked {
        let answer = bench.ask(method, &format!("/v1/services/chekout{rest}"), &[], body).await;
        let detail = detail(&answer, 404);
        let wanted = r#"there is no service "chekout"; did you mean "checkout"?; known: checkout"#;
        assert_eq!(detail, wanted, "{method} {rest}");
    }
}

#[tokio::test]
async fn faults_in_a_request_are_problems_too() {
    let bench = TestServer::open().await;
    detail(&bench.get("/v2").await, 404);
    detail(&bench.get("/v1").await, 404);
    detail(&bench.get("/v1/rollouts/none-1").await, 404);
    detail(&bench.get("/v1/rollouts/none-1/report").await, 404);
    detail(&bench.get("/v1/rollouts/none-1/evidence").await, 404);
    detail(&bench.get("/v1/services/%ff").await, 400);
    detail(&bench.get("/v1/rollouts?limit=many").await, 400);
    detail(&bench.get("/v1/rollouts?limit=0").await, 400);
    detail(&bench.get("/v1/rollouts?sort=up").await, 400);
    detail(&bench.get("/v1/dora?days=4000").await, 400);
    detail(&bench.ask("GET", "/v1/events", &[("last-event-id", "x")], "").await, 400);
    let wrong = bench.ask("DELETE", "/v1/freeze", &[], "").await;
    detail(&wrong, 405);
    let allowed = wrong.header("allow").unwrap_or_default().to_owned();
    assert!(allowed.contains("GET") && allowed.contains("PUT"), "{allowed}");
}

#[tokio::test]
async fn readiness_names_what_is_not_well() {
    let bench = TestServer::open().await;
    let ready = bench.get("/readyz").await.json();
    assert_eq!(ready["ready"], true);
    let names: Vec<&str> =
        ready["checks"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
    assert_eq!(names, ["traffic", "controller", "journal", "config", "service checkout"]);
}

#[tokio::test]
async fn an_edge_whose_controller_is_stuck_is_not_ready_until_it_goes_on() {
    let bench = TestServer::open().await;
    assert_eq!(bench.get("/readyz").await.status, 200);
    bench.stuck.store(true, SeqCst);
    let not_ready = async || {
        let answer = bench.get("/readyz").await;
        (answer.status == 503).then(|| answer.json())
    };
    let said = eventually_async("not ready", not_ready).await;
    let checks = said["checks"].as_array().unwrap();
    let controller = checks.iter().find(|c| c["name"] == "controller").unwrap();
    let detail = controller["detail"].as_str().unwrap();
    assert!(detail.starts_with("the controller has been silent for"), "{detail}");
    bench.stuck.store(false, SeqCst);
    let ready = async || bench.get("/readyz").await.status == 200;
    eventually_async("ready again", ready).await;
}

#[tokio::test]
async fn nothing_is_cached_framed_or_guessed() {
    let bench = TestServer::open().await;
    for path in ["/v1/services", "/nothing", "/metrics"] {
        let answer = bench.get(path).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
    }
}

/// The document is made by hand-written attributes beside the handlers; this holds the two
/// together.
#[tokio::test]
async fn the_document_lists_what_there_is() {
    let bench = TestServer::open().await;
    let document = bench.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 33);
    // Two types of one name would silently be one schema.
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, field) in [("CheckConfig", "yaml"), ("ReadinessCheck", "required")] {
        assert!(schemas[name]["properties"].get(field).is_some(), "{name}: {}", schemas[name]);
    }
    for (path, item) in paths {
        let path = path.replace("{service}", "checkout").replace("{id}", "checkout-1");
        let path = path.replace("{file}", "page.js");
        for method in item.as_object().unwrap().keys() {
            if path == "/v1/events" {
                continue;
            }
            let answer = bench.ask(&method.to_uppercase(), &path, &[], "").await;
            assert_ne!(answer.status, 405, "{method} {path}");
            let nowhere = answer.text().contains("there is nothing at");
            assert!(!nowhere, "{method} {path} is documented and does not exist");
        }
    }
}
