//! `serin export prometheus-rules`, judged by Prometheus' own tool on made data.

use crate::tools::{SERIN, must, program, read, root, serin};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A folder with the configuration of the tests, a certificate for it, and its rules.
fn made() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
    std::fs::write(folder.path().join("shop.pem"), key.cert.pem()).unwrap();
    std::fs::write(folder.path().join("shop.key"), key.signing_key.serialize_pem()).unwrap();
    for file in ["serin.yaml", "tests.yaml"] {
        std::fs::copy(root().join("tests/operate/alerts").join(file), folder.path().join(file))
            .unwrap();
    }
    export(&folder.path().join("serin.yaml"), &folder.path().join("rules.yaml"));
    folder
}

fn export(config: &Path, rules: &Path) {
    let arguments = ["export", "prometheus-rules", "--write"];
    must(Command::new(SERIN).args(arguments).args([rules, config]));
}

#[test]
fn prometheus_takes_the_rules_of_every_example() {
    let Some(promtool) = program("promtool", "rules of the examples") else { return };
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    for example in ["examples", "examples/quickstart", "examples/edge-tls", "examples/pipeline"] {
        export(&root().join(example), &rules);
        must(Command::new(&promtool).arg("check").arg("rules").arg(&rules));
    }
}

#[test]
fn each_alert_fires_on_made_data_and_stays_silent_beside_it() {
    let Some(promtool) = program("promtool", "alerts on made data") else { return };
    let folder = made();
    let mut test = Command::new(promtool);
    must(test.args(["test", "rules", "tests.yaml"]).current_dir(folder.path()));
}

#[test]
fn no_alert_is_without_a_test_and_without_a_page_in_the_runbook() {
    let folder = made();
    let rules = std::fs::read_to_string(folder.path().join("rules.yaml")).unwrap();
    let alert = |line: &str| line.trim().strip_prefix("- alert: ").map(str::to_owned);
    let alerts: BTreeSet<String> = rules.lines().filter_map(alert).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    let (tests, runbook) = (read("tests/operate/alerts/tests.yaml"), read("docs/runbook.md"));
    for alert in &alerts {
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "{alert} never fires");
        assert!(runbook.contains(&format!("## {alert}\n")), "{alert} is not in the runbook");
    }
    let headings =
        runbook.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(" Serin"));
    for heading in headings.filter(|heading| !heading.contains(' ')) {
        assert!(alerts.contains(&format!("Serin{heading}")), "no alert is called Serin{heading}");
    }
}

/// A latency rule that can never be exceeded would be an alert that lies.
#[test]
fn a_burn_rate_that_nothing_can_reach_makes_no_alert() {
    let folder = made();
    let config = folder.path().join("serin.yaml");
    let text =
        std::fs::read_to_string(&config).unwrap().replace("objective: 95%", "objective: 90%");
    std::fs::write(&config, text).unwrap();
    let rules = String::from_utf8(
        serin(&["export", "prometheus-rules", &config.display().to_string()]).stdout,
    )
    .unwrap();
    let limits =
        rules.lines().filter(|line| line.contains("ratio_rate1h{") && line.contains("slow"));
    assert_eq!(limits.count(), 0, "{rules}");
    assert!(rules.contains("> (6 * (1 - 0.9))"), "{rules}");
}

#[test]
fn every_selector_is_held_to_the_job() {
    let folder = made();
    let config = folder.path().join("serin.yaml").display().to_string();
    let exported = serin(&["export", "prometheus-rules", "--job", "edge-eu", &config]);
    let rules = String::from_utf8(exported.stdout).unwrap();
    let open = rules.matches("{job=\"edge-eu\"").count();
    let selectors =
        rules.lines().filter(|line| !line.contains("summary:") && !line.contains("description:"));
    let braces: usize = selectors.map(|line| line.matches('{').count()).sum();
    assert_eq!(open, braces, "{rules}");
}

#[test]
fn a_configuration_with_faults_leaves_the_old_rules_where_they_are() {
    let folder = made();
    let (config, rules) = (folder.path().join("serin.yaml"), folder.path().join("rules.yaml"));
    let before = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&config, "version: 1\nservices: 7\n").unwrap();
    let arguments = ["export", "prometheus-rules", "--write", &rules.display().to_string()];
    let refused = serin(&[&arguments[..], &[&config.display().to_string()]].concat());
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&rules).unwrap(), before);
}
