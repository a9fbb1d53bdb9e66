//! Load over WebSockets: against a backend that echoes, and one that breaks off.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

struct Backend(Child, String);

impl Backend {
    fn start(more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_serin-loadtest"))
            .args(["backend", "v1"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the backend starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("its first line");
        let address = line.rsplit(' ').next().expect("an address").trim().to_owned();
        Self(child, address)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A hundred messages, and the report.
fn load(backend: &Backend, more: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_serin-loadtest"))
        .args(["run", &format!("ws://{}/chat", backend.1), "-o", "json", "--quiet"])
        .args(["--rate", "200", "--duration", "0.5", "--connections", "4"])
        .args(more)
        .output()
        .expect("the generator");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn every_message_is_a_request_and_says_its_version_by_head_or_body() {
    let backend = Backend::start(&[]);
    for by in ["header:x-version", "body:version"] {
        let report = load(&backend, &["--version-by", by]);
        let v1 = &report["versions"]["v1"];
        assert_eq!((&v1["requests"], &v1["failures"]), (&100.into(), &0.into()), "{report}");
        assert_eq!(v1["ended"]["101"], 100, "{report}");
    }
}

#[test]
fn a_close_instead_of_an_answer_is_a_failure() {
    let backend = Backend::start(&["--errors", "100"]);
    let report = load(&backend, &["--version-by", "header:x-version"]);
    assert_eq!(report["total"]["failures"], 100, "{report}");
    assert_eq!(report["total"]["ended"]["broken"], 100, "{report}");
}

#[test]
fn a_new_socket_for_every_message_when_asked_for() {
    let backend = Backend::start(&[]);
    let report = load(&backend, &["--version-by", "header:x-version", "--fresh"]);
    assert_eq!(report["versions"]["v1"]["requests"], 100, "{report}");
}
