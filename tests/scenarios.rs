//! The rollout scenarios of `loadtest/scenarios` against the real binary; and a sabotaged copy of
//! each, which must fail by the expectation that it is about.
//!
//! A scenario ends as soon as its rollout does. What it waits for may take twenty times as long
//! as the file says: on a slow machine it is of interest what happens, not how soon.

use serin_loadtest::report::outcome_to_text;
use serin_loadtest::scenario::{Outcome, Scenario, Setting, run};
use std::path::{Path, PathBuf};

const PATIENCE: u32 = 20;

/// As it is, and with the second of each pair put in the place of the first.
fn passes_and_fails_sabotaged(file: &str, sabotage: &[(&str, &str)], missed: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("loadtest/scenarios");
    let text = std::fs::read_to_string(folder.join(file)).expect("a scenario");
    let sabotaged = sabotage.iter().fold(text.clone(), |text, (part, other)| {
        assert!(text.contains(part), "{file} has no {part:?} to sabotage");
        text.replace(part, other)
    });
    let (good, bad) = std::thread::scope(|scope| {
        let good = scope.spawn(|| perform(&text, &folder));
        let bad = scope.spawn(|| perform(&sabotaged, &folder));
        (good.join().expect("the scenario"), bad.join().expect("its sabotaged copy"))
    });
    assert!(good.passed(), "{}\n{}", outcome_to_text(&good), good.log);
    let found = bad.findings.iter().find(|finding| finding.expected.contains(missed));
    let found = found.unwrap_or_else(|| panic!("{file} expects nothing like {missed:?}"));
    assert!(!found.met, "the sabotage was not noticed:\n{}", outcome_to_text(&bad));
    assert_eq!(bad.troubles, [""; 0], "it failed for another reason:\n{}", bad.log);
}

fn perform(text: &str, folder: &Path) -> Outcome {
    let scenario = Scenario::parse(text).expect("a scenario");
    let setting = Setting {
        binary: PathBuf::from(env!("CARGO_BIN_EXE_serin")),
        folder: folder.to_owned(),
        patience: PATIENCE,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, run(&scenario, &setting, |_| {})).expect("a scenario that runs")
}

// Tests begin in the order of their names; the one that takes longest begins first.

#[test]
fn a_candidate_whose_latency_doubles_is_taken_back() {
    passes_and_fails_sabotaged(
        "latency.yaml",
        &[
            ("become: { latency: 20ms, latencyP99: 80ms }", "become: { latency: 10ms }"),
            ("lasting: 180s", "lasting: 45s"),
        ],
        "is rolledBack",
    );
}

#[test]
fn a_candidate_that_turns_to_errors_goes_at_once() {
    passes_and_fails_sabotaged("errors.yaml", &[("errors: 100%", "errors: 0%")], "is rolledBack");
}

#[test]
fn a_healthy_candidate_completes_and_moves_nobody_back() {
    passes_and_fails_sabotaged(
        "healthy.yaml",
        &[("v42: { latency: 2ms, latencyP99: 8ms }", "v42: { latency: 2ms, errors: 30% }")],
        "is complete",
    );
}

#[test]
fn an_outage_of_both_versions_is_not_blamed_on_the_new_one() {
    passes_and_fails_sabotaged(
        "shared-outage.yaml",
        &[("v41, become: { latency: 1ms, errors: 30% }", "v41, become: { latency: 1ms }")],
        "shared cause",
    );
}

#[test]
fn too_little_traffic_is_neither_a_promotion_nor_a_failure() {
    passes_and_fails_sabotaged(
        "low-traffic.yaml",
        &[("rate: 2, lasting: 10s, connections: 4", "rate: 400, lasting: 60s")],
        "ends holding",
    );
}
