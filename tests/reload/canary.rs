//! A configuration that a share of requests tries first.

use crate::bench::{BINARY, Instance, command, json};
use serde_json::Value;
use serin_testkit::{ConfigText, Origin, RawClient, Serin, ServiceText, eventually, temp_dir};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Over files that wait for a reload.
fn patient(config: &ConfigText) -> Instance {
    let folder = temp_dir();
    let path = config.write_to(folder.path());
    let mut serin = Serin::start(command().args(["run", "--no-watch", "--config"]).arg(path));
    let (http, admin) = (serin.address("http"), serin.address("admin"));
    Instance { serin, folder, http, admin }
}

/// The backend's answers, marked with who shaped them.
fn to(backend: SocketAddr, mark: &str) -> ConfigText {
    shaped(backend, mark, "")
}

fn shaped(backend: SocketAddr, mark: &str, more: &str) -> ConfigText {
    let route = format!(
        "{{ name: all, matches: [{{ path: {{ prefix: / }} }}], service: app, response: {{ setHeaders: {{ x-by: {mark} }} }}{more} }}"
    );
    let service = ServiceText::new("app").version("v1", &[backend]);
    ConfigText::new()
        .http_listener("http")
        .service(service)
        .route(&route)
        .with("accessLog: { format: off }")
}

/// A port that no test ever gets.
fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

fn ask(instance: &Instance, method: &str, body: &str) -> (u16, Value) {
    let mut client = RawClient::connect(instance.admin);
    client.send(format!(
        "{method} /v1/config/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    let response = client.response();
    (response.status, json(&response))
}

fn begin(instance: &Instance, body: &str) {
    let (status, answer) = ask(instance, "POST", body);
    assert_eq!(status, 200, "{answer}");
    assert!(answer["canary"]["hash"].is_string(), "{answer}");
}

/// Statuses and marks of so many requests, over one connection while it is kept.
fn requests(instance: &Instance, count: usize) -> Vec<(u16, String)> {
    let mut client = RawClient::connect(instance.http);
    let one = |_| {
        client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let response = client.response();
        if response.header("connection").is_some_and(|said| said == "close") {
            client = RawClient::connect(instance.http);
        }
        (response.status, response.header("x-by").unwrap_or_else(|| "nobody".to_owned()))
    };
    (0..count).map(one).collect()
}

fn canary(instance: &Instance) -> Value {
    instance.admin("/v1/config")["canary"].clone()
}

#[test]
fn one_that_fails_is_reverted_by_itself_after_few_failures_and_says_why() {
    let origin = Origin::start("v1");
    let instance = patient(&to(origin.address(), "old"));
    instance.write(&to(nobody(), "new"));
    begin(&instance, r#"{"canary": "20%", "for": "10m"}"#);
    let mut failed = 0;
    eventually("it is reverted", || {
        failed += requests(&instance, 5).iter().filter(|(status, _)| *status != 200).count();
        canary(&instance).is_null()
    });
    println!("{failed} requests failed");
    assert!((1..=30).contains(&failed), "{failed} failed");
    assert!(
        requests(&instance, 100).iter().all(|(status, by)| (*status, by.as_str()) == (200, "old"))
    );
    let why = instance.refused();
    assert!(why.contains("was reverted after") && why.contains("failed under it"), "{why}");
    eventually("readiness tells", || {
        let ready = instance.admin("/readyz");
        let said = ready["checks"].to_string().contains("the last reload was refused");
        said && ready["ready"] == true
    });
    assert_eq!(instance.generation(), 1);
    let metrics = instance.metrics();
    assert!(metrics.contains("serin_config_reloads_total{result=\"failure\"} 1"), "{metrics}");
    assert!(metrics.contains("serin_config_last_reload_success 0"));
    let admin = instance.admin.to_string();
    let status = serin_testkit::finish(BINARY, &["status", "--admin", &admin]).stdout;
    assert!(status.contains("was reverted"), "{status}");
}

#[test]
fn answers_that_a_backend_refuses_because_it_is_asked_wrongly_count_too() {
    let origin = Origin::start("v1");
    let instance = patient(&to(origin.address(), "old"));
    let wrong = ", rewrite: { prefix: /status/404 }";
    instance.write(&shaped(origin.address(), "new", wrong));
    begin(&instance, r#"{"canary": "50%"}"#);
    eventually("it is reverted", || {
        requests(&instance, 5);
        canary(&instance).is_null()
    });
    assert!(instance.refused().contains("was reverted"), "{}", instance.refused());
}

#[test]
fn one_that_is_as_good_gets_its_share_and_then_everything() {
    let origin = Origin::start("v1");
    let instance = patient(&to(origin.address(), "old"));
    instance.write(&to(origin.address(), "new"));
    begin(&instance, r#"{"canary": "10%", "for": "2s"}"#);
    let seen = requests(&instance, 1000);
    let by_new = seen.iter().filter(|(_, by)| by == "new").count();
    assert!(seen.iter().all(|(status, _)| *status == 200));
    eventually("it is in force", || canary(&instance).is_null());
    // All of them fell into the canary, or the end of it on a slow machine: never below its share.
    println!("{by_new} of 1000");
    assert!(by_new >= 99, "{by_new} of 1000 were served by the new one");
    assert!(requests(&instance, 50).iter().all(|(_, by)| by == "new"));
    assert_eq!((instance.generation(), instance.refused().as_str()), (2, ""));
}

#[test]
fn a_share_is_exact_on_every_connection() {
    let origin = Origin::start("v1");
    let instance = patient(&to(origin.address(), "old"));
    instance.write(&to(origin.address(), "new"));
    begin(&instance, r#"{"canary": "10%", "for": "10m"}"#);
    let seen = requests(&instance, 500);
    let by_new = seen.iter().filter(|(_, by)| by == "new").count();
    assert!((49..=51).contains(&by_new), "{by_new} of 500 were served by the new one");
    eventually("all are counted", || {
        let canary = canary(&instance);
        let of = |side: &str| canary[side]["requests"].as_u64().unwrap_or(0);
        of("new") == by_new as u64 && of("old") == 500 - by_new as u64
    });
    assert!(instance.metrics().contains("serin_config_canary_share_ratio 0.1"));
}

#[test]
fn it_can_be_ended_by_hand_and_by_a_reload_and_a_newer_change() {
    let origin = Origin::start("v1");
    let instance = patient(&to(origin.address(), "old"));
    instance.write(&to(origin.address(), "new"));
    begin(&instance, r#"{"canary": "50%", "for": "10m"}"#);
    assert_eq!(ask(&instance, "DELETE", "").0, 200);
    assert!(requests(&instance, 50).iter().all(|(_, by)| by == "old"));
    assert_eq!(ask(&instance, "DELETE", "").0, 409);

    begin(&instance, r#"{"canary": "50%", "for": "10m"}"#);
    assert_eq!(ask(&instance, "POST", "").0, 200);
    assert!(requests(&instance, 50).iter().all(|(_, by)| by == "new"));

    instance.write(&to(origin.address(), "newer"));
    begin(&instance, r#"{"canary": "50%", "for": "10m"}"#);
    instance.write(&to(origin.address(), "newest"));
    instance.serin.signal("HUP");
    eventually("the newest is in force", || {
        canary(&instance).is_null() && requests(&instance, 20).iter().all(|(_, by)| by == "newest")
    });
}

#[test]
fn what_connections_share_cannot_be_tried_and_is_named() {
    let origin = Origin::start("v1");
    let instance = patient(&to(origin.address(), "old"));
    let says = |body: &str, status: u16, says: &str| {
        let (got, answer) = ask(&instance, "POST", body);
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(got == status && detail.contains(says), "{got} {answer}");
    };
    says(r#"{"canary": "5%"}"#, 409, "there is nothing to try");
    says(r#"{"canary": "5"}"#, 422, "`5` has no unit");
    instance.write(
        &to(origin.address(), "new").http_listener("other").with("state: { dir: elsewhere }"),
    );
    says(r#"{"canary": "5%"}"#, 409, "a change of listener other, state.dir cannot be tried");
    assert_eq!(instance.generation(), 1);
}

#[test]
fn a_watched_file_that_is_on_trial_is_not_taken_up_by_itself() {
    let origin = Origin::start("v1");
    let instance = Instance::start(&to(origin.address(), "old"));
    // Whoever is first has it: the watcher waits 0.1 s after a write.
    let mut mark = 0;
    eventually("the canary is first", || {
        mark += 1;
        instance.write(&to(origin.address(), &format!("new{mark}")));
        ask(&instance, "POST", r#"{"canary": "50%", "for": "10m"}"#).0 == 200
    });
    let before = instance.generation();
    // Longer than the watcher waits and than it looks by itself.
    let until = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < until {
        requests(&instance, 20);
    }
    assert!(!canary(&instance).is_null(), "it is still on trial");
    instance.write(&to(origin.address(), "newest"));
    eventually("a newer change is taken up", || instance.generation() > before);
    assert!(canary(&instance).is_null());
    // The data plane follows what the API shows.
    eventually("it serves", || requests(&instance, 20).iter().all(|(_, by)| by == "newest"));
}
