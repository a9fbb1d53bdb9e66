//! A rollout from its start to its report, with the real controller behind the API.

use crate::test_server::{TestServer, detail, named_token, secret_of};
use serde_json::Value;
use serin_config::model::Role;
use serin_core::rollout::{Gate, GateKind};
use serin_core::weights::BasisPoints;
use serin_testkit::{Answer, eventually_async};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const SERVICE: &str = "/v1/services/checkout";
const ROLLOUT: &str = "/v1/services/checkout/rollout";
const WEIGHTS: &str = "/v1/services/checkout/weights";

async fn started(bench: &TestServer) -> Answer {
    let answer = bench.post(ROLLOUT, r#"{"to":"v42","reason":"the new basket"}"#).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer
}

/// The service once its first step is in force.
async fn at_first_step(bench: &TestServer) -> Value {
    eventually_async("the first step", async || {
        let service = bench.get(SERVICE).await.json();
        (service["weights"]["v42"] == 1000).then_some(service)
    })
    .await
}

async fn told(bench: &TestServer, word: &str) -> Value {
    let answer = bench.post(&format!("{ROLLOUT}/{word}"), r#"{"reason":"because"}"#).await;
    assert_eq!(answer.status, 200, "{word}: {}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_start_is_created_and_says_where() {
    let bench = TestServer::open().await;
    let answer = started(&bench).await;
    let begun = answer.json();
    assert_eq!(begun["to"], "v42");
    let id = begun["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(&*format!("/v1/rollouts/{id}")));
    assert!(answer.header("etag").is_some());
    let shown = bench.get(ROLLOUT).await.json();
    assert_eq!(shown["id"], id);
    for key in ["id", "to", "state", "step", "reason", "waitingFor"] {
        assert!(shown.get(key).is_some(), "{key} is missing: {shown}");
    }
    let record = bench.get(&format!("/v1/rollouts/{id}")).await.json();
    assert_eq!(
        (&record["service"], &record["startReason"]),
        (&"checkout".into(), &"the new basket".into())
    );
    let listed = bench.get("/v1/rollouts?service=checkout&limit=1").await.json();
    assert_eq!(listed["rollouts"][0]["id"], id);
    detail(&bench.post(ROLLOUT, r#"{"to":"v42"}"#).await, 409);
}

#[tokio::test]
async fn an_operator_pauses_resumes_weighs_and_aborts() {
    let bench = TestServer::open().await;
    started(&bench).await;
    at_first_step(&bench).await;
    assert_eq!(told(&bench, "pause").await["state"], "paused");
    assert_ne!(told(&bench, "resume").await["state"], "paused");
    let put = bench.put(WEIGHTS, r#"{"weights":{"v41":7500,"v42":2500}}"#).await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.json()["weights"]["v42"], 2500);
    let reason = bench.get(ROLLOUT).await.json()["reason"].clone();
    assert_eq!(reason, "hold: paused by loopback: weight set by hand");
    let service = bench.get(SERVICE).await.json();
    assert_eq!(
        (&service["weights"]["v42"], &service["rollout"]["state"]),
        (&2500.into(), &"paused".into())
    );
    let aborted = told(&bench, "abort").await;
    assert_eq!(aborted["state"], "rolledBack");
    let service = bench.get(SERVICE).await.json();
    assert_eq!(service["weights"]["v41"], 10_000);

    let id = aborted["id"].as_str().unwrap();
    let report = bench.get(&format!("/v1/rollouts/{id}/report")).await;
    assert_eq!(report.header("content-type"), Some("text/markdown; charset=utf-8"));
    assert!(report.text().starts_with("# "), "{}", report.text());
    let evidence = bench.get(&format!("/v1/rollouts/{id}/evidence")).await.json();
    assert!(evidence["evidence"].as_array().is_some_and(|all| !all.is_empty()), "{evidence}");
    let why = bench.get(&format!("{SERVICE}/why")).await.json();
    assert_eq!(why["rollout"], id);
    assert_eq!(bench.get("/v1/dora").await.status, 200);
    let again = told(&bench, "retry").await;
    assert_ne!(again["id"], id, "a retry is a rollout of its own");
}

#[tokio::test]
async fn promote_goes_on_without_waiting() {
    let bench = TestServer::open().await;
    started(&bench).await;
    at_first_step(&bench).await;
    let promote = format!("{ROLLOUT}/promote");
    let promoted = bench.post(&promote, r#"{"reason":"because","fromStep":1}"#).await;
    assert_eq!(promoted.status, 200, "{}", promoted.text());
    let message = promoted.json()["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("; 10% → 50%"), "{message}");
    assert_eq!(bench.get(SERVICE).await.json()["weights"]["v42"], 5000, "in force by now");
    let again = bench.post(&promote, r#"{"reason":"because","fromStep":1}"#).await;
    assert!(detail(&again, 409).contains("already at step 2"), "{}", again.text());
}

#[tokio::test]
async fn a_change_made_on_an_old_reading_is_refused() {
    let bench = TestServer::open().await;
    let before = bench.get(SERVICE).await;
    let before = before.header("etag").unwrap();
    started(&bench).await;
    at_first_step(&bench).await;
    let stale = [("if-match", before)];
    let refused = bench.ask("POST", &format!("{ROLLOUT}/pause"), &stale, "").await;
    assert!(detail(&refused, 412).contains("read it again"));
    let body = r#"{"weights":{"v41":7500,"v42":2500}}"#;
    detail(&bench.ask("PUT", WEIGHTS, &stale, body).await, 412);
    let now = bench.get(SERVICE).await;
    let fresh = [("if-match", now.header("etag").unwrap())];
    let paused = bench.ask("POST", &format!("{ROLLOUT}/pause"), &fresh, "").await;
    assert_eq!(paused.status, 200, "{}", paused.text());
    assert_ne!(paused.header("etag"), now.header("etag"));
}

#[tokio::test]
async fn a_pipeline_that_repeats_its_start_starts_once() {
    let bench = TestServer::open().await;
    let key = [("idempotency-key", "build-1234")];
    let body = r#"{"to":"v42"}"#;
    let first = bench.ask("POST", ROLLOUT, &key, body).await;
    let again = bench.ask("POST", ROLLOUT, &key, body).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(bench.get("/v1/rollouts").await.json()["rollouts"].as_array().unwrap().len(), 1);
    detail(&bench.ask("POST", ROLLOUT, &key, r#"{}"#).await, 422);
}

#[tokio::test]
async fn nothing_starts_while_frozen() {
    let bench = TestServer::open().await;
    let calm = bench.get("/v1/freeze").await;
    assert_eq!(calm.json()["frozen"], false);
    let frozen = bench.put("/v1/freeze", r#"{"frozen":true,"reason":"the sale"}"#).await;
    assert_eq!(frozen.status, 200, "{}", frozen.text());
    let body = frozen.json();
    assert_eq!((&body["frozen"], &body["reason"]), (&true.into(), &"the sale".into()));
    assert_eq!(body["by"], "loopback");
    started(&bench).await;
    let waiting = eventually_async("the rollout waits", async || {
        let rollout = bench.get(ROLLOUT).await.json();
        (rollout["waitingFor"] == "freeze").then_some(rollout)
    });
    let waiting = waiting.await;
    assert_eq!((&waiting["state"], &waiting["weight"]), (&"pending".into(), &0.into()));
    let stale = [("if-match", calm.header("etag").unwrap())];
    detail(&bench.ask("PUT", "/v1/freeze", &stale, r#"{"frozen":false}"#).await, 412);
    let fresh = [("if-match", frozen.header("etag").unwrap())];
    let lifted = bench.ask("PUT", "/v1/freeze", &fresh, r#"{"frozen":false}"#).await;
    assert_eq!(lifted.json()["frozen"], false);
    at_first_step(&bench).await;
}

/// Reads server-sent events until one of this kind; returns the ids and kinds seen.
async fn events(bench: &TestServer, last: Option<u64>, until: &str) -> Vec<(u64, String)> {
    let stream = TcpStream::connect(bench.address).await.unwrap();
    let (read, mut write) = stream.into_split();
    let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    let request = format!("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n{last}\r\n");
    write.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(read).lines();
    let (mut id, mut seen) = (0, Vec::new());
    let reading = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(number) = line.strip_prefix("id: ") {
                id = number.parse().unwrap();
            }
            if let Some(kind) = line.strip_prefix("event: ") {
                seen.push((id, kind.to_owned()));
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).unwrap();
                assert_eq!(data["kind"], seen.last().unwrap().1);
                if data["kind"] == until {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(serin_testkit::PATIENCE, reading).await.expect("the event comes");
    seen
}

#[tokio::test]
async fn events_come_in_order_and_a_reader_that_was_away_misses_nothing() {
    let bench = TestServer::open().await;
    started(&bench).await;
    at_first_step(&bench).await;
    told(&bench, "pause").await;
    told(&bench, "abort").await;
    let all = events(&bench, Some(0), "rolledBack").await;
    let kinds: Vec<&str> = all.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(kinds.first(), Some(&"started"), "{kinds:?}");
    assert!(kinds.contains(&"paused"), "{kinds:?}");
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0), "{all:?}");
    let second = all[1].0;
    let rest = events(&bench, Some(all[0].0), "rolledBack").await;
    assert_eq!(rest.first().map(|(id, _)| *id), Some(second));
}

/// A reader that outlived the state folder knows ids that will not come for long.
#[tokio::test]
async fn a_reader_with_ids_of_another_journal_gets_everything_of_this_one() {
    let bench = TestServer::open().await;
    started(&bench).await;
    at_first_step(&bench).await;
    told(&bench, "abort").await;
    let all = events(&bench, Some(5_000_000), "rolledBack").await;
    assert_eq!(all.first().map(|(id, kind)| (*id, kind.as_str())), Some((1, "started")));
}

#[tokio::test]
async fn an_event_stream_ends_with_its_server() {
    let bench = TestServer::open().await;
    let mut connection = bench.connect().await;
    let request = connection.request("GET", "/v1/events", "");
    let answer = connection.begin(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    bench.stop().await;
}

/// The second step waits for two of those who are named, and for a checklist.
async fn with_gates() -> TestServer {
    let tokens = [(Role::Operator, "lead"), (Role::Operator, "qa"), (Role::Operator, "ana")];
    let gates = || {
        let by = vec!["lead".to_owned(), "qa".to_owned()];
        let items = vec!["backup taken".to_owned()];
        [GateKind::Approvals { count: 2, by }, GateKind::Checklist { items }]
    };
    let before = BasisPoints::new(5_000).unwrap();
    TestServer::with(|config| {
        config.admin.tokens = tokens.iter().map(named_token).collect();
        let plan = config.services.values_mut().find_map(|service| service.rollout.as_mut());
        plan.unwrap().gates = gates().map(|kind| Gate { before, kind }).into();
    })
    .await
}

async fn as_(bench: &TestServer, who: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {}", secret_of(who));
    bench.ask("POST", &format!("{ROLLOUT}{path}"), &[("authorization", &bearer)], body).await
}

#[tokio::test]
async fn two_people_approve_and_somebody_ticks_and_the_report_says_who() {
    let bench = with_gates().await;
    let started = as_(&bench, "ana", "", r#"{"to":"v42"}"#).await;
    assert_eq!(started.status, 201, "{}", started.text());
    let bearer = format!("Bearer {}", secret_of("ana"));
    let shown = async |path: &str| bench.ask("GET", path, &[("authorization", &bearer)], "").await;
    eventually_async("the first step", async || {
        (shown(SERVICE).await.json()["weights"]["v42"] == 1000).then_some(())
    })
    .await;
    let refused = detail(&as_(&bench, "ana", "/approve", "").await, 403);
    assert_eq!(refused, "ana may not approve this step; lead and qa may");
    assert_eq!(as_(&bench, "lead", "/approve", r#"{"reason":"looks well"}"#).await.status, 200);
    let misspelt = detail(&as_(&bench, "ana", "/checklist", r#"{"item":"backup"}"#).await, 422);
    assert!(misspelt.ends_with("they have: backup taken"), "{misspelt}");
    // A promotion skips hold and evidence, and neither the others' approvals nor the checklist.
    assert_eq!(as_(&bench, "ana", "/promote", "").await.status, 200);
    let rollout = shown(ROLLOUT).await.json();
    let gates = &rollout["plan"][1]["gates"];
    assert_eq!((&gates[0]["needed"], &gates[0]["given"][0]), (&2.into(), &"lead".into()));
    assert_eq!(gates[1]["items"][0]["by"], Value::Null);
    assert_eq!(rollout["weight"], 1000);
    let ticked = as_(&bench, "ana", "/checklist", r#"{"item":"backup taken"}"#).await;
    assert_eq!(ticked.status, 200, "{}", ticked.text());
    let last = as_(&bench, "qa", "/approve", "").await;
    assert!(last.text().contains("10% → 50%"), "{}", last.text());
    let id = rollout["id"].as_str().unwrap();
    let report = shown(&format!("/v1/rollouts/{id}/report")).await.text();
    for said in ["lead granted an approval before 50%", "qa granted", "ana ticked \"backup taken\""]
    {
        assert!(report.contains(said), "{said}: {report}");
    }
}
