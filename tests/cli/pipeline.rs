//! `examples/pipeline/deploy.sh` as a pipeline runs it: the binary, real origins, real traffic, and
//! the exit codes that it branches on.

use serin_testkit::{ConfigText, Fault, Origin, RawClient, Serin, ServiceText, temp_dir};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

const BINARY: &str = env!("CARGO_BIN_EXE_serin");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/pipeline/deploy.sh");
const PLAN: &str = "rollout: { to: v2, steps: [ { weight: 50%, hold: 500ms }, { weight: 100%, hold: 500ms } ], evidence: { minRequests: 20 }, regression: { errors: 5, latency: 500% } }";

#[test]
fn a_pipeline_branches_on_rolled_back_refused_and_released() {
    let (v1, v2) = (Origin::start("v1"), Origin::start("v2"));
    let folder = temp_dir();
    let path = config(&v1, &v2, "1.1.0").write_to(folder.path());
    let mut serin = Serin::run(BINARY, &path);
    let (http, admin) = (serin.address("http"), serin.address("admin"));
    let _traffic = Traffic::to(http);
    let report = folder.path().join("report.md");

    v2.break_all(Fault::Status(500));
    let bad = deploy(admin, "first", &report);
    let said = text(&bad);
    assert_eq!(bad.status.code(), Some(3), "{said}");
    assert!(said.contains("rolled back: nothing of v2 is left"), "{said}");
    let report = std::fs::read_to_string(report).expect("a report");
    assert!(report.starts_with('#') && report.contains("shop-1"), "{report}");

    let no_report = folder.path().join("none.md");
    let again = deploy(admin, "second", &no_report);
    assert_eq!(again.status.code(), Some(1), "{}", text(&again));
    assert!(text(&again).contains("1.1.0"), "the quarantine names its release: {}", text(&again));

    v2.heal();
    config(&v1, &v2, "1.1.1").write_to(folder.path());
    let reloaded = reload(admin);
    assert!(reloaded.starts_with("HTTP/1.1 200"), "{reloaded}");
    let good = deploy(admin, "third", &no_report);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    assert!(text(&good).contains("released: shop is on v2"), "{}", text(&good));
}

fn config(v1: &Origin, v2: &Origin, release: &str) -> ConfigText {
    let endpoints = |release: &str, origin: &Origin| {
        format!("{{ release: {release}, endpoints: [\"{}\"] }}", origin.address())
    };
    let service = ServiceText::new("shop")
        .version_yaml("v1", &endpoints("1.0.0", v1))
        .version_yaml("v2", &endpoints(release, v2))
        .with("outliers: { consecutiveFailures: 0 }")
        .with("session: { by: none }")
        .with(PLAN);
    ConfigText::simple(service).with("accessLog: { format: off }")
}

fn deploy(admin: SocketAddr, build: &str, report: &Path) -> Output {
    let mut script = Command::new("sh");
    script.arg(SCRIPT).args(["shop", "v2"]).env("SERIN", BINARY);
    script.env("SERIN_ADMIN", admin.to_string()).env("BUILD_ID", build).env("TIMEOUT", "2m");
    script.env("REPORT", report).env_remove("SERIN_TOKEN_FILE");
    script.output().expect("a shell")
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said)).concat()
}

fn reload(admin: SocketAddr) -> String {
    let mut client = RawClient::connect(admin);
    client.send(format!(
        "POST /v1/config/reload HTTP/1.1\r\nhost: {admin}\r\ncontent-length: 0\r\n\r\n"
    ));
    let answer = client.response();
    format!("HTTP/1.1 {} {}", answer.status, answer.text())
}

const CLIENTS: usize = 4;

/// Clients that ask again and again until it is dropped: evidence is a matter of many requests.
struct Traffic(Arc<AtomicBool>);

impl Traffic {
    fn to(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..CLIENTS {
            let stopped = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut client = RawClient::connect(address);
                while !stopped.load(SeqCst) {
                    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n");
                    if client.try_response().is_err() {
                        return;
                    }
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
