//! The metrics as a scraper reads them, of a binary that serves.

use crate::tools::SERIN;
use serin_testkit::{ConfigText, Origin, Serin, ServiceText, eventually, get, temp_dir};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) fn metrics(admin: SocketAddr) -> String {
    get(admin, &admin.to_string(), "/metrics").text()
}

/// The value of the one series whose line begins so.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let rest = metrics.lines().find_map(|line| line.strip_prefix(series))?;
    rest.trim().parse().ok()
}

#[test]
fn every_latency_that_the_configuration_names_is_an_exact_edge() {
    let origin = Origin::start("v1");
    let service = ServiceText::new("shop")
        .version("v1", &[origin.address()])
        .version("v2", &[origin.address()])
        .with("slo: { latency: { objective: 95%, under: 1337ms } }")
        .with(
            "rollout: { to: v2, steps: [ { weight: 100%, hold: 1m } ], guards: [ { name: slow, latency: { p95: \"> 1.5s\" }, over: 1m } ] }",
        );
    let folder = temp_dir();
    let mut serin = Serin::run(SERIN, &ConfigText::simple(service).write_to(folder.path()));
    let (http, admin) = (serin.address("http"), serin.address("admin"));
    let taken = |path: &str| {
        let began = Instant::now();
        assert_eq!(get(http, "shop", path).status, 200);
        began.elapsed()
    };
    let quick: Vec<Duration> = (0..20).map(|_| taken("/")).collect();
    taken("/delay/1400");
    taken("/delay/1600");
    let of = "{service=\"shop\",version=\"v1\"";
    let all = format!("serin_request_duration_seconds_count{of}}}");
    eventually("all are counted", || value(&metrics(admin), &all) == Some(22.0));
    let found = metrics(admin);
    for (edge, above) in [("1.337", 2), ("1.5", 1)] {
        let series = format!("serin_request_duration_seconds_bucket{of},le=\"{edge}\"}}");
        let below = value(&found, &series).unwrap_or_else(|| panic!("no edge at {edge}:\n{found}"));
        // What a client saw end below the edge did; a slow machine may make more of them slow.
        let sure = quick.iter().filter(|t| t.as_secs_f64() < edge.parse().unwrap()).count();
        assert!(below >= sure as f64 && below <= f64::from(22 - above), "{below} below {edge}");
    }
}

/// `increase` does not see the first event of a series that begins with it.
#[test]
fn what_has_not_happened_yet_is_a_zero_and_not_a_gap() {
    let origin = Origin::start("v1");
    let folder = temp_dir();
    let service = ServiceText::new("shop")
        .version("v1", &[origin.address()])
        .version("v2", &[origin.address()])
        .with(
            "rollout: { to: v2, steps: [ { weight: 100%, hold: 1m } ], guards: [ { name: errors, errorRate: \"> 1%\", over: 30s } ] }",
        );
    let mut serin = Serin::run(SERIN, &ConfigText::simple(service).write_to(folder.path()));
    let found = metrics(serin.address("admin"));
    for series in [
        "serin_requests_total{outcome=\"bad\",service=\"shop\",version=\"v1\"}",
        "serin_config_reloads_total{result=\"failure\"}",
        "serin_commands_total{result=\"refused\"}",
        "serin_notifications_lost_total",
        "serin_rollbacks_total{reason=\"errors\",service=\"shop\"}",
        "serin_rollbacks_total{reason=\"regression.errors\",service=\"shop\"}",
        "serin_rollbacks_total{reason=\"burn.fast\",service=\"shop\"}",
        "serin_rollbacks_total{reason=\"aborted\",service=\"shop\"}",
    ] {
        assert_eq!(
            value(&found, series).or(value(&found, &unsorted(series))),
            Some(0.0),
            "{series}\n{found}"
        );
    }
    assert_eq!(value(&found, "serin_config_last_reload_success"), Some(1.0));
    std::fs::write(folder.path().join("serin.yaml"), "version: 2\n").unwrap();
    serin.signal("HUP");
    let admin = serin.address("admin");
    eventually("the refusal shows", || {
        value(&metrics(admin), "serin_config_last_reload_success") == Some(0.0)
    });
}

/// The data plane writes its labels in the order of the documentation.
fn unsorted(series: &str) -> String {
    series.replace(
        "{outcome=\"bad\",service=\"shop\",version=\"v1\"}",
        "{service=\"shop\",version=\"v1\",outcome=\"bad\"}",
    )
}

/// The scraper's contract: names, helps, kinds, labels and their order. Values are left out. `BLESS=1` writes
/// it anew.
#[test]
fn what_is_exposed_is_as_recorded() {
    let origin = Origin::start("v1");
    let folder = temp_dir();
    let file = folder.path().join("v2.yaml");
    std::fs::write(&file, format!("- {}\n", origin.address())).unwrap();
    let service = ServiceText::new("shop")
        .version("v1", &[origin.address()])
        .version_yaml("v2", "{ endpoints: { file: v2.yaml } }")
        .with("shadow: { to: v2, compare: { status: true } }")
        .with(
            "rollout: { to: v2, start: manual, steps: [ { weight: 100%, hold: 1m } ], guards: [ { name: \"say \\\"no\\\"\", errorRate: \"> 1%\", over: 30s } ] }",
        );
    let mut serin = Serin::run(SERIN, &ConfigText::simple(service).write_to(folder.path()));
    let (http, admin) = (serin.address("http"), serin.address("admin"));
    assert_eq!(get(http, "shop", "/").status, 200);
    let answered = "serin_responses_total{service=\"shop\",version=\"v1\",code=\"200\"} 1";
    eventually("it is counted", || metrics(admin).lines().any(|line| line == answered));
    let shown = |line: &str| match line.rsplit_once(' ') {
        Some((series, _)) if !line.starts_with('#') => series.to_owned(),
        Some(_) | None => line.to_owned(),
    };
    let origin = origin.address().to_string();
    let found: Vec<String> =
        metrics(admin).lines().map(|line| shown(line).replace(&origin, "ORIGIN")).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/operate/exposition.txt");
    let text = found.join("\n") + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let recorded = std::fs::read_to_string(path).unwrap();
    assert!(text == recorded, "{text}");
}

/// `docs/metrics.md` lists what is declared. `BLESS=1` writes it anew.
#[test]
fn every_metric_stands_in_the_document() {
    let mut all: Vec<_> = serin_proxy::metrics::all().chain(serin_control::metrics()).collect();
    all.sort_by_key(|metric| metric.name);
    let mut table = String::from("| Metric | | Labels | |\n|---|---|---|---|\n");
    for metric in all {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (metric.kind.as_str(), labels.join(" "));
        table.push_str(&format!("| `{}` | {kind} | {labels} | {} |\n", metric.name, metric.help));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, after) = text.split_once("<!-- metrics -->\n").unwrap();
    let (found, after) = after.split_once("<!-- end -->").unwrap();
    if std::env::var_os("BLESS").is_some() {
        let text = format!("{before}<!-- metrics -->\n{table}<!-- end -->{after}");
        std::fs::write(path, text).unwrap();
    } else {
        assert!(found == table, "docs/metrics.md does not list what is declared: BLESS=1");
    }
}
