//! The generator against a real server that stops: nothing it should have waited for is hidden.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Backend(Child, String);

impl Backend {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_serin-loadtest"))
            .args(["backend", "v1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the backend starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("its first line");
        let address = line.rsplit(' ').next().expect("an address").trim().to_owned();
        Self(child, address)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id() as i32).expect("a process id");
        kill_process(pid, signal).expect("the backend runs");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_that_stops_for_a_second_shows_in_every_request_of_that_second() {
    let backend = Backend::start();
    let began = Instant::now();
    let load = Command::new(env!("CARGO_BIN_EXE_serin-loadtest"))
        .args(["run", &format!("http://{}/", backend.1), "-o", "json"])
        .args(["--rate", "200", "--duration", "4", "--connections", "4"])
        .args(["--version-by", "header:x-version"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the generator starts");
    std::thread::sleep(Duration::from_secs(1).saturating_sub(began.elapsed()));
    backend.signal(Signal::STOP);
    let stopped = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    backend.signal(Signal::CONT);
    let stall = stopped.elapsed();
    let output = load.wait_with_output().expect("the generator ends");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let total = &report["versions"]["v1"];
    assert_eq!(total["requests"], 800, "{report}");
    assert_eq!(total["failures"], 0, "{report}");
    // A closed loop with four connections would have seen four slow answers in eight hundred, half a
    // percent, and a p95 of nothing. A quarter of the due moments lie in the stall.
    let p95 = total["latencyMs"]["p95"].as_f64().expect("a p95");
    assert!(p95 > 500.0, "p95 is {p95} ms after a stall of {stall:?}");
}
