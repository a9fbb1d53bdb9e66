//! What the page stands on: its files, the course of a service, and the one stream it lives on.

use crate::test_server::TestServer;
use serde_json::{Value, json};
use serin_testkit::eventually_async;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_browser_may_load_nothing_from_elsewhere_and_asks_whether_it_has_the_present_file() {
    let bench = TestServer::open().await;
    let files = [
        ("/", "text/html"),
        ("/page/page.js", "text/javascript"),
        ("/page/page.css", "text/css"),
        ("/page/icon.svg", "image/svg+xml"),
    ];
    for (path, media_type) in files {
        let answer = bench.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").unwrap().starts_with(media_type), "{path}");
        let policy = answer.header("content-security-policy").unwrap().to_owned();
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        let tag = answer.header("etag").unwrap().to_owned();
        let again = bench.ask("GET", path, &[("if-none-match", &tag)], "").await;
        assert_eq!((again.status, again.text().as_str()), (304, ""), "{path}");
    }
    assert_eq!(bench.get("/page/other.js").await.status, 404);
}

#[tokio::test]
async fn the_course_of_a_service_is_told_by_the_second_and_what_is_new_of_it() {
    let bench = TestServer::open().await;
    let course = async |query: &str| {
        bench.get(&format!("/v1/services/checkout/history{query}")).await.json()
    };
    let points = async || course("").await["times"].as_array().is_some_and(|t| t.len() >= 2);
    eventually_async("two points", points).await;
    let all = course("").await;
    assert_eq!(all["stepSeconds"], 1);
    let times: Vec<i64> = serde_json::from_value(all["times"].clone()).unwrap();
    assert!(times.is_sorted(), "{times:?}");
    let stable = &all["versions"][0];
    assert_eq!(stable["weights"].as_array().unwrap().len(), times.len(), "{all}");
    let newer = course(&format!("?after={}", times[0])).await;
    assert!(newer["times"].as_array().unwrap().iter().all(|t| t.as_i64() > Some(times[0])));
    assert_eq!(course("?seconds=86400").await["stepSeconds"], 60);
    for wrong in ["?seconds=59", "?seconds=86401", "?after=-1", "?since=1"] {
        let path = format!("/v1/services/checkout/history{wrong}");
        assert_eq!(bench.get(&path).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn one_stream_brings_the_state_at_once_and_again_when_it_has_changed() {
    let bench = TestServer::open().await;
    let stream = TcpStream::connect(bench.address).await.unwrap();
    let (read, mut write) = stream.into_split();
    let request = "GET /v1/events?snapshots=true HTTP/1.1\r\nHost: localhost\r\n\r\n";
    write.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(read).lines();
    let frozen = async {
        let mut kind = String::new();
        let mut asked = false;
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut kind);
            }
            let Some(data) = line.strip_prefix("data: ").filter(|_| kind == "snapshot") else {
                continue;
            };
            let state: Value = serde_json::from_str(data).unwrap();
            if !state["freeze"].is_null() {
                return state;
            }
            if !asked {
                asked = true;
                let body = json!({ "frozen": true, "reason": "the page watches" }).to_string();
                assert_eq!(bench.put("/v1/freeze", &body).await.status, 200);
            }
        }
        panic!("the stream ended");
    };
    let state = tokio::time::timeout(serin_testkit::PATIENCE, frozen).await.expect("a state");
    assert_eq!(state["freeze"]["reason"], "the page watches");
}

/// Whoever asks why at 3 a.m. finds who it was and what they said.
#[tokio::test]
async fn the_timeline_keeps_who_asked_and_their_reason() {
    let bench = TestServer::open().await;
    let started = bench.post("/v1/services/checkout/rollout", r#"{"reason": "the basket"}"#).await;
    assert_eq!(started.status, 201, "{}", started.text());
    let rollout = "/v1/services/checkout/rollout";
    let under_way = async || bench.get(rollout).await.json()["step"] == 1;
    eventually_async("the first step", under_way).await;
    let reason = r#"{"reason": "looks well"}"#;
    assert_eq!(bench.post(&format!("{rollout}/pause"), "{}").await.status, 200);
    assert_eq!(bench.post(&format!("{rollout}/resume"), reason).await.status, 200);
    let shown = bench.get(rollout).await.json();
    assert_eq!(shown["plan"].as_array().unwrap().len() as u64, shown["steps"].as_u64().unwrap());
    let record = bench.get(&format!("/v1/rollouts/{}", shown["id"].as_str().unwrap())).await.json();
    let timeline = record["timeline"].as_array().unwrap();
    let resumed = timeline.iter().find(|e| e["reason"] == "looks well").expect("an entry");
    assert_eq!(resumed["actor"], "loopback");
    assert_eq!(
        (&timeline[0]["actor"], &timeline[0]["reason"]),
        (&json!("loopback"), &json!("the basket"))
    );
}
