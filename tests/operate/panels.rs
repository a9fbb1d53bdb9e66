//! Every query of the Grafana dashboard, asked of a real Prometheus that scrapes a real Serin with a
//! rollout under way: each must answer with numbers.

use crate::tools::{SERIN, must, program, read, root, serin};
use serde_json::Value;
use serin_testkit::{ConfigText, Fault, Origin, Serin, ServiceText, eventually, get, temp_dir};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const DASHBOARD: &str = "docker/grafana/dashboards/serin.json";
/// On a machine that has nothing else to do it takes eight seconds.
const PATIENCE: Duration = Duration::from_secs(120);

struct Query {
    panel: String,
    expr: String,
}

/// With the variables as a person would have chosen them.
fn queries() -> Vec<Query> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let shown = dashboard["panels"].as_array().unwrap().iter();
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
    let asked = |from: &Value, name: &Value| {
        let expr = from["expr"].as_str().unwrap_or_else(|| panic!("{name}: no query"));
        let expr = expr.replace("$job", "serin").replace("$service", "shop");
        Query {
            panel: name.as_str().unwrap().to_owned(),
            expr: expr.replace("$__rate_interval", "10s"),
        }
    };
    let targets = shown.flat_map(|panel| {
        panel["targets"].as_array().into_iter().flatten().map(|t| asked(t, &panel["title"]))
    });
    targets.chain(annotations.map(|a| asked(a, &a["name"]))).collect()
}

#[test]
fn the_dashboard_is_whole() {
    let queries = queries();
    assert!(queries.len() > 30, "{}", queries.len());
    for query in &queries {
        assert!(!query.expr.contains('$'), "{}: an unknown variable: {}", query.panel, query.expr);
        assert!(query.expr.contains("{job=\"serin\""), "{}: any job: {}", query.panel, query.expr);
    }
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let explained = panels.iter().filter(|p| p["type"] != "row");
    for panel in explained {
        assert!(panel["description"].as_str().is_some_and(|d| !d.is_empty()), "{}", panel["title"]);
    }
}

#[test]
fn every_panel_shows_data_of_a_running_serin() {
    let Some(prometheus) = program("prometheus", "the panels of the dashboard") else { return };
    let Some(promtool) = program("promtool", "the panels of the dashboard") else { return };
    let (stable, candidate) = (Origin::start("v1"), Origin::start("v2"));
    let folder = temp_dir();
    let config = config(folder.path(), &stable, &candidate);
    let mut edge = Serin::run(SERIN, &config);
    let (http, admin) = (edge.address("http"), edge.address("admin"));
    let traffic = Traffic::start(http);
    let scraping = start(&prometheus, folder.path(), &config, admin);
    let server = format!("http://{}", scraping.address);
    eventually("the state before is scraped", || {
        has_data(&promtool, &server, "serin_rollout_state{state=\"rolledBack\"} == 0")
    });
    let admin = admin.to_string();
    let started = serin(&["rollout", "start", "shop", "--admin", &admin]);
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    eventually("the candidate gets requests", || candidate.requests() > 100);
    candidate.break_one_in(4, Fault::Status(500));

    let mut open = queries();
    let (all, until) = (open.len(), Instant::now() + PATIENCE);
    while !open.is_empty() && Instant::now() < until {
        open.retain(|query| !has_data(&promtool, &server, &query.expr));
        std::thread::sleep(Duration::from_millis(500));
    }
    traffic.stop();
    let open: Vec<_> = open.iter().map(|q| format!("{}: {}", q.panel, q.expr)).collect();
    assert!(open.is_empty(), "without data, {} of {all}:\n{}", open.len(), open.join("\n"));
    println!("{all} queries, all with data");
}

fn config(folder: &Path, stable: &Origin, candidate: &Origin) -> std::path::PathBuf {
    let key = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
    std::fs::write(folder.join("shop.pem"), key.cert.pem()).unwrap();
    std::fs::write(folder.join("shop.key"), key.signing_key.serialize_pem()).unwrap();
    let service = ServiceText::new("shop")
        .version("v1", &[stable.address()])
        .version("v2", &[candidate.address()])
        .with("healthCheck: { path: /readyz }")
        .with("shadow: { to: v2, compare: { status: true } }")
        .with("slo: { availability: { objective: 99% }, latency: { objective: 95%, under: 250ms } }")
        .with(
            "rollout: { to: v2, steps: [ { weight: 50%, hold: 10m }, { weight: 100%, hold: 10m } ] }",
        );
    ConfigText::simple(service)
        .with("accessLog: { format: off }")
        .listener("{ name: https, address: \"127.0.0.1:0\", tls: { certificates: [ { certFile: shop.pem, keyFile: shop.key } ] } }")
        .write_to(folder)
}

struct Scraping {
    _process: Serin,
    address: SocketAddr,
}

/// Prometheus with the rules of this configuration.
fn start(prometheus: &Path, folder: &Path, config: &Path, admin: SocketAddr) -> Scraping {
    let rules = folder.join("rules.yaml");
    let export = ["export", "prometheus-rules", "--write"];
    must(Command::new(SERIN).args(export).args([&rules, config]));
    let shipped =
        std::fs::read_to_string(root().join("docker/prometheus/prometheus.yaml")).unwrap();
    let alerting = shipped.split("alerting:").nth(1).unwrap().split("# The rules").next().unwrap();
    let ours = shipped
        .replace(&format!("alerting:{alerting}"), "")
        .replace("/etc/prometheus/rules/*.yaml", &rules.display().to_string())
        .replace("serin:9901", &admin.to_string())
        .replace("scrape_interval: 5s", "scrape_interval: 1s")
        .replace("evaluation_interval: 15s", "evaluation_interval: 1s");
    let file = folder.join("prometheus.yaml");
    std::fs::write(&file, ours).unwrap();
    let process = Serin::start(
        Command::new(prometheus)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg("--web.listen-address=127.0.0.1:0"),
    );
    // It listens before it has read its rules, and answers 503 until it has.
    let address = eventually("Prometheus answers queries", || {
        let log = process.log().to_lowercase();
        if !log.contains("server is ready to receive web requests") {
            return None;
        }
        let line = log.lines().find(|line| line.contains("msg=\"listening on\""))?.to_owned();
        line.split("address=").nth(1)?.split_whitespace().next()?.parse().ok()
    });
    Scraping { _process: process, address }
}

/// At least one series, and each with a number.
fn has_data(promtool: &Path, server: &str, expr: &str) -> bool {
    let answer = Command::new(promtool).args(["query", "instant", server, expr]).output().unwrap();
    assert!(answer.status.success(), "{expr}: {}", String::from_utf8_lossy(&answer.stderr));
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let mut lines = text.lines().filter(|line| line.contains("=>")).peekable();
    lines.peek().is_some() && lines.any(|line| !line.contains("=> NaN"))
}

/// Clients, one request after the other.
struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<std::thread::JoinHandle<()>>,
}

impl Traffic {
    fn start(http: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Relaxed) {
                    get(http, "shop", "/delay/5");
                }
            })
        };
        Self { clients: (0..4).map(client).collect(), stop }
    }

    fn stop(self) {
        self.stop.store(true, Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("a client"));
    }
}
