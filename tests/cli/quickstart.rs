//! `serin quickstart` as a newcomer meets it: two addresses, a file, and a proxy that serves.

use serin_testkit::{Connection, Finished, Origin, Serin, finish, temp_dir};
use std::path::Path;

const BINARY: &str = env!("CARGO_BIN_EXE_serin");

fn quickstart(file: &Path, stable: &str, canary: &str, more: &[&str]) -> Finished {
    let file = file.display().to_string();
    let first = ["quickstart", "--stable", stable, "--canary", canary, "--write", &file];
    finish(BINARY, &[&first, more].concat())
}

#[test]
fn what_it_writes_is_what_check_calls_good_and_is_never_written_twice() {
    let folder = temp_dir();
    let file = folder.path().join("serin.yaml");
    let said = quickstart(&file, "http://127.0.0.1:8081", "https://next.example", &[]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(said.stderr, "");
    assert!(said.stdout.contains("serin rollout start app"), "{}", said.stdout);
    let checked = finish(BINARY, &["check", &file.display().to_string()]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    let says = "ok: 1 service, 1 route, 1 rollout\napp: steps are taken as their holds end ";
    assert!(checked.stdout.starts_with(says), "{}", checked.stdout);

    let written = std::fs::read_to_string(&file).expect("the file");
    let again = quickstart(&file, "127.0.0.1:1", "127.0.0.1:2", &[]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(1), ""));
    assert!(again.stderr.contains("it is there already"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), written);
}

#[test]
fn an_address_that_cannot_be_meant_is_explained_and_nothing_is_written() {
    let folder = temp_dir();
    let file = folder.path().join("serin.yaml");
    for (canary, words) in [
        ("http://127.0.0.1:8082/app", "an endpoint has no path"),
        ("ftp://127.0.0.1", "write `http://127.0.0.1`"),
        ("localhost", "add a port"),
        ("127.0.0.1:8082\"] }, { \"", "is not an endpoint"),
    ] {
        let said = quickstart(&file, "127.0.0.1:8081", canary, &[]);
        assert_eq!(said.code, Some(2), "{canary}: {}", said.stderr);
        assert!(said.stderr.contains(words), "{canary}: {}", said.stderr);
        assert!(!file.exists());
    }
}

#[test]
fn what_it_writes_serves_and_starts_a_rollout() {
    let (v1, v2) = (Origin::start("v1"), Origin::start("v2"));
    let folder = temp_dir();
    let file = folder.path().join("serin.yaml");
    let anywhere = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "-o", "json"];
    let url = |origin: &Origin| format!("http://{}", origin.address());
    let said = quickstart(&file, &url(&v1), &url(&v2), &anywhere);
    let answer: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(answer["written"], file.display().to_string());

    let mut serin = Serin::run(BINARY, &file);
    let (http, admin) = (serin.address("http"), serin.address("admin").to_string());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let get = || runtime.block_on(async { Connection::http1(http, "a").await.get("/").await });
    serin_testkit::eventually("v1 answers", || get().status == 200);
    assert_eq!(get().text().trim(), "v1");
    let started = ["rollout", "start", "app", "--reason", "first", "--admin", &admin];
    let started = finish(BINARY, &started);
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    // Every client is a new session, and one in ten of those meets the candidate.
    serin_testkit::eventually("v2 gets its share", || get().text().trim() == "v2");
    assert!(folder.path().join("serin-state").is_dir());
}
