//! `serin check`, `schema` and `completions` as a pipeline meets them: what is printed where, and
//! the exit code.

use std::path::Path;
use std::process::{Command, Output, Stdio};

const SERIN: &str = env!("CARGO_BIN_EXE_serin");

fn serin(args: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(SERIN).args(args).current_dir(root).output().expect("the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn written(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("serin.yaml"), text).expect("a file");
    folder
}

fn check(folder: &Path, more: &[&str]) -> Output {
    let path = folder.display().to_string();
    serin(&[&["check", &path], more].concat())
}

const GOOD: &str = "ok: 1 service, 2 routes, 1 rollout
checkout: steps are taken as their holds end on proof from 100 requests/s on, on bounded harm from 12 requests/s on; with less they wait
";

#[test]
fn a_good_configuration_says_what_was_understood() {
    let found = serin(&["check", "examples/canary.yaml"]);
    assert_eq!(found.status.code(), Some(0), "{}", text(&found.stderr));
    assert_eq!(text(&found.stdout), GOOD);
    assert_eq!(text(&found.stderr), "");
}

#[test]
fn a_folder_is_one_configuration() {
    let found = serin(&["check", "examples"]);
    assert_eq!(found.status.code(), Some(0), "{}", text(&found.stderr));
    let copies = "copies of GET, HEAD for search go to v2, without authorization, cookie, proxy-authorization and whatever else is named like a secret";
    let understood = format!("ok: 3 services, 4 routes, 3 rollouts\n{copies}\n");
    assert!(text(&found.stdout).starts_with(&understood), "{}", text(&found.stdout));
}

#[test]
fn a_bad_configuration_leaves_with_two_and_shows_every_fault() {
    let folder = written("version: 1\nlisteners: [ { name: a, adress: b } ]\nlanes: fast\n");
    let found = check(folder.path(), &[]);
    assert_eq!(found.status.code(), Some(2));
    assert_eq!(text(&found.stdout), "");
    let shown = text(&found.stderr);
    assert!(shown.contains("did you mean `address`?"), "{shown}");
    assert!(shown.contains("lanes: `fast` is no choice of lanes"), "{shown}");
    assert!(shown.trim_end().ends_with("invalid: 2 errors"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "colour where nobody sees it: {shown}");
}

/// So many services that are warned of the same.
fn keyless(services: usize) -> String {
    let mut text = "version: 1\nlisteners: [ { name: http, address: \"127.0.0.1:0\" } ]\n\
                    routes: [ { name: all, service: s0 } ]\nservices:\n"
        .to_owned();
    for n in 0..services {
        text.push_str(&format!(
            "  s{n}: {{ stable: v1, versions: {{ v1: {{ endpoints: [\"127.0.0.1:1\"] }}, \
             v2: {{ endpoints: [\"127.0.0.1:2\"] }} }}, healthCheck: {{ path: / }}, \
             rollout: {{ to: v2, harm: {{ users: 50 }} }} }}\n"
        ));
    }
    text
}

#[test]
fn what_many_services_are_warned_of_alike_is_shown_three_times_and_counted() {
    let folder = written(&keyless(100));
    let found = check(folder.path(), &[]);
    let shown = text(&found.stderr);
    assert_eq!(found.status.code(), Some(0), "{shown}");
    assert_eq!(shown.matches("users cannot be told apart without a session").count(), 3, "{shown}");
    assert!(
        shown.contains("… and 97 more services: s3, s4, s5, s6, s7, s8, s9, s10, …"),
        "{shown}"
    );
    let all: serde_json::Value =
        serde_json::from_slice(&check(folder.path(), &["-o", "json"]).stdout).unwrap();
    let said =
        |fault: &&serde_json::Value| fault["message"].as_str().unwrap().contains("told apart");
    assert_eq!(all["faults"].as_array().unwrap().iter().filter(said).count(), 100);
    // One more is as short as the line that would count it.
    let shown = text(&check(written(&keyless(4)).path(), &[]).stderr);
    assert_eq!(shown.matches("users cannot be told apart").count(), 4, "{shown}");
}

#[test]
fn a_warning_is_shown_and_refuses_nothing() {
    let folder = written(
        "version: 1\nlisteners: [ { name: a, address: \"127.0.0.1:80\", proxyProtocol: v1v2 } ]\n",
    );
    let found = check(folder.path(), &[]);
    assert_eq!(found.status.code(), Some(0));
    assert!(text(&found.stderr).contains("warning: listeners[0].proxyProtocol"));
    assert_eq!(text(&found.stdout), "ok: 0 services, 0 routes, 0 rollouts\n");
}

#[test]
fn json_has_file_line_column_path_message_and_hint() {
    let folder = written("version: 1\naccessLog: { sample: 120% }\n");
    let found = check(folder.path(), &["-o", "json"]);
    assert_eq!(found.status.code(), Some(2));
    let answer: serde_json::Value = serde_json::from_slice(&found.stdout).expect("JSON");
    assert_eq!(answer["ok"], false);
    let fault = &answer["faults"][0];
    assert!(fault["file"].as_str().is_some_and(|file| file.ends_with("serin.yaml")));
    assert_eq!((&fault["line"], &fault["column"]), (&2.into(), &22.into()));
    assert_eq!(fault["path"], "accessLog.sample");
    assert_eq!(fault["message"], "120% is over 100%");
    assert_eq!(fault["hint"], "write a share between `0%` and `100%`");
    assert_eq!(fault["severity"], "error");
}

#[test]
fn names_are_looked_up_only_when_asked() {
    let folder = written(
        "version: 1\nservices: { s: { stable: v, versions: { v: { endpoints: [\"no-such-name.invalid:80\"] } } } }\nroutes: [ { name: r, service: s } ]\n",
    );
    assert_eq!(check(folder.path(), &[]).status.code(), Some(0));
    let found = check(folder.path(), &["--resolve"]);
    assert_eq!(found.status.code(), Some(2));
    assert!(text(&found.stderr).contains("`no-such-name.invalid` cannot be resolved"));
}

#[test]
fn bombs_are_refused_within_a_gigabyte() {
    let mut bomb = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for n in 1..12 {
        let many = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{many}]\n"));
    }
    for text in [bomb, "[".repeat(8 << 20), "a: ".repeat(4 << 20), "- x\n".repeat(4_000_000)] {
        let folder = written(&text);
        let limited = format!("ulimit -v 1048576; exec {SERIN} check {}", folder.path().display());
        let found = Command::new("sh").args(["-c", &limited]).output().expect("a shell");
        assert_eq!(found.status.code(), Some(2), "{}", String::from_utf8_lossy(&found.stderr));
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    for args in [&["completions", "bash"][..], &["schema"]] {
        let mut child = Command::new(SERIN)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("its end");
        assert_eq!((ended.status.code(), text(&ended.stderr).as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn the_schema_is_json_and_completions_know_the_verbs() {
    let schema = serin(&["schema"]);
    let parsed: serde_json::Value = serde_json::from_slice(&schema.stdout).expect("JSON");
    assert!(parsed["$defs"]["rollout"]["properties"]["guards"].is_object());
    assert_eq!(serin(&["schema", "-o", "json"]).stdout, schema.stdout);
    for shell in ["bash", "zsh", "fish"] {
        let found = serin(&["completions", shell]);
        assert_eq!(found.status.code(), Some(0));
        assert!(text(&found.stdout).contains("check"), "{shell}");
    }
}

#[test]
fn a_mistyped_command_is_an_error_and_no_invalid_configuration() {
    assert_eq!(serin(&["chekc"]).status.code(), Some(1));
    assert_eq!(serin(&["check"]).status.code(), Some(1));
    let version = serin(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(text(&version.stdout).starts_with("serin "));
}

#[test]
fn probing_says_which_endpoint_is_wrong_and_how() {
    let origin = serin_testkit::Origin::start("v1");
    let good = origin.address();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let nobody = nobody.expect("an address");
    let service = |more: &str| {
        let endpoints = format!("[\"http://{good}\"{more}]");
        serin_testkit::ServiceText::new("web")
            .version_yaml("v1", &format!("{{ endpoints: {endpoints} }}"))
            .with("healthCheck: { path: /readyz }")
    };
    let checked = |more: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        serin_testkit::ConfigText::simple(service(more)).write_to(folder.path());
        let found = check(folder.path(), &["--probe"]);
        assert!(!folder.path().join("state").exists(), "nothing is written");
        (found.status.code(), text(&found.stdout))
    };
    let (code, said) = checked("");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("web v1 {good}: ok")), "{said}");
    let (code, said) =
        checked(&format!(", \"http://{nobody}\", \"https://localhost:{}\"", good.port()));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("web v1 {nobody}: it cannot be reached")), "{said}");
    assert!(said.contains("it does not speak TLS"), "{said}");
    assert!(said.contains(&format!("web v1 {good}: ok")), "{said}");
}
