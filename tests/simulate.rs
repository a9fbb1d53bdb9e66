//! The scenarios that ship with Serin, run by the binary: each timeline is kept beside its file.
//!
//! After a change that is meant to alter them, `SERIN_BLESS=1 cargo test --test simulate` writes
//! them anew; the difference is then part of the review.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CONFIG: &str = "examples/scenarios/shop.yaml";

fn simulate(scenario: &Path, more: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command.current_dir(root).args(["simulate", CONFIG, "--scenario"]).arg(scenario).args(more);
    command.env("NO_COLOR", "1").output().unwrap()
}

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/scenarios");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut scenarios: Vec<PathBuf> = files
        .filter(|path| {
            path.extension().is_some_and(|e| e == "yaml") && !path.ends_with("shop.yaml")
        })
        .collect();
    scenarios.sort();
    scenarios
}

fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn every_shipped_scenario_has_the_course_that_is_kept_beside_it() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 10);
    let mut differing = Vec::new();
    for scenario in scenarios {
        let output = simulate(&scenario, &[]);
        let exit = output.status.code().unwrap();
        let timeline = format!("{}exit code {exit}\n", String::from_utf8(output.stdout).unwrap());
        let longest = timeline.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= 80, "{}: a line of {longest}", scenario.display());
        let kept = scenario.with_extension("txt");
        if std::env::var_os("SERIN_BLESS").is_some() {
            std::fs::write(&kept, &timeline).unwrap();
        }
        if std::fs::read_to_string(&kept).unwrap_or_default() != timeline {
            differing.push(format!("{}:\n{timeline}", scenario.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn programs_get_the_same_course_as_an_object() {
    let output = simulate(Path::new("examples/scenarios/dead-candidate.yaml"), &["-o", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let course: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(course["state"], "rolledBack");
    assert_eq!(course["weight"], 0);
    let timeline = course["timeline"].as_array().unwrap();
    let back = timeline.iter().find(|entry| entry["what"] == "rolledBack").unwrap();
    assert!(back["atSeconds"].as_f64().unwrap() > 600.0);
    assert!(back["time"].as_str().unwrap().starts_with("2026-11-24T13:40:0"));
}

#[test]
fn another_seed_is_another_course_and_the_same_seed_the_same() {
    let with =
        |seed| simulate(Path::new("examples/scenarios/blue-green.yaml"), &["--seed", seed]).stdout;
    assert_eq!(with("7"), with("7"));
    assert_ne!(with("7"), with("8"));
}

/// Whatever threads the failures fall on: the bar is ten.
#[test]
fn a_candidate_that_turns_to_failing_everything_fails_at_most_ten_times() {
    let (_folder, path) = written(
        "scenario.yaml",
        "service: checkout\nstarts: \"2026-11-24T14:30[Europe/Paris]\"\nlasts: 6m\ntick: 20ms\n\
         traffic: { requestsPerSecond: 200, newSessions: 10% }\n\
         versions: { v41: { errors: 0.05% }, v42: { errors: 0% } }\n\
         course:\n  - { at: 1m, start: ship it }\n  - { at: 5m, versions: { v42: { errors: 100% } } }\n",
    );
    for seed in ["1", "2", "3"] {
        let output = simulate(&path, &["-o", "json", "--seed", seed]);
        let course: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(course["state"], "rolledBack", "{course:#}");
        let versions = course["versions"].as_array().unwrap();
        let v42 = versions.iter().find(|v| v["version"] == "v42").unwrap();
        assert!(v42["failed"].as_u64().unwrap() <= 10, "seed {seed}: {v42}");
    }
}

/// Nothing is wrong with the candidate in any of these, and what both versions go through is not held against it.
/// How many of a hundred may go back all the same; where more do, `docs/judgement.md` says so.
const SHAPES: [(&str, u32); 8] = [
    ("storms", 5),
    ("shifted-storms", 5),
    ("bursts", 5),
    ("swing", 5),
    ("broken-users", 5),
    ("retries", 5),
    ("trickle", 5),
    ("busy", 5),
];

/// `SERIN_LONG` plays many seeds; `SERIN_SEED` says from which on.
#[test]
fn what_both_versions_go_through_sends_no_candidate_back() {
    let long = std::env::var_os("SERIN_LONG").is_some();
    let from: u64 = std::env::var("SERIN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let runs = if long { 40 } else { 1 };
    for (name, most) in SHAPES {
        let path = PathBuf::from(format!("examples/scenarios/{name}.yaml"));
        let back = (from..from + runs).filter(|seed| {
            simulate(&path, &["--seed", &seed.to_string()]).status.code() == Some(3)
        });
        let (back, runs) = (back.count() as f64, runs as f64);
        let (share, z) = (back / runs, 1.96_f64);
        let middle = share + z * z / (2.0 * runs);
        let half = z * (share * (1.0 - share) / runs + z * z / (4.0 * runs * runs)).sqrt();
        let of = 1.0 + z * z / runs;
        let (low, high) = ((middle - half) / of * 100.0, (middle + half) / of * 100.0);
        println!("{name}: {back} of {runs} go back ({low:.0}–{high:.0}%)");
        assert!(share * 100.0 <= f64::from(most), "{name}: {back} of {runs}");
    }
}

#[test]
fn a_fault_of_a_scenario_is_named_with_its_line() {
    let faults = [
        ("service: checkout\nlasts: 1h\ntrafic: {}\n", ":3:", "trafic"),
        ("service: checkout\nlasts: 1 hour\n", ":2:", "1 hour"),
        ("service: chekout\nlasts: 1h\n", ":1:", "no service \"chekout\""),
        ("lasts: 1h\nservice: checkout\nversions:\n  v43: {}\n", ":4:", "no version \"v43\""),
        ("service: checkout\nlasts: 1h\nstarts: noon\n", ":3:", "noon"),
        (
            "service: checkout\nlasts: 1h\ncourse:\n  - { at: 1m }\n",
            ":4:",
            "nothing happens at this moment",
        ),
        (
            "service: checkout\nlasts: 1h\ncourse:\n  - { at: 1m, weight: 110% }\n",
            ":4:",
            "no weight",
        ),
    ];
    for (text, place, words) in faults {
        let (_folder, path) = written("scenario.yaml", text);
        let output = simulate(&path, &[]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(place) && said.contains(words), "{text}\n→ {said}");
    }
}

#[test]
fn recorded_counts_are_judged_as_if_they_came_now() {
    let mut recording = String::new();
    for minute in 0..40u32 {
        let at = minute * 60;
        let bad = if minute < 20 { 1 } else { 60 };
        let good = 1_200 - bad;
        recording.push_str(&format!(
            "{{\"at\": {at}, \"version\": \"v41\", \"good\": 10790, \"bad\": 10, \"latencyMs\": [[40, 10800]]}}\n\
             {{\"at\": {at}, \"version\": \"v42\", \"good\": {good}, \"bad\": {bad}, \"latencyMs\": [[40, 1200]]}}\n"
        ));
    }
    let (folder, path) = written(
        "scenario.yaml",
        "service: checkout\nlasts: 40m\nrecorded: counts.jsonl\ncourse:\n  - { at: 30s, start: replay }\n",
    );
    std::fs::write(folder.path().join("counts.jsonl"), &recording).unwrap();
    let output = simulate(&path, &["-o", "json"]);
    let course: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(course["state"], "rolledBack", "{course:#}");
    let back = course["timeline"].as_array().unwrap();
    let back = back.iter().find(|entry| entry["what"] == "rolledBack").unwrap();
    assert!(back["atSeconds"].as_f64().unwrap() >= 1_200.0, "{back}");

    std::fs::write(folder.path().join("counts.jsonl"), "{\"at\": 1}\n").unwrap();
    let said = String::from_utf8(simulate(&path, &[]).stderr).unwrap();
    assert!(said.contains("counts.jsonl:1: ") && said.contains("version"), "{said}");
}
