//! The documents for operators: every configuration in them passes `serin check` as it stands there.

use crate::tools::{read, serin};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a recipe leaves out: a listener, and a route to each of its services.
fn whole(block: &str, folder: &std::path::Path) -> String {
    let parsed: Value = serde_saphyr::from_str(block).unwrap_or_else(|e| panic!("{e}\n{block}"));
    let mut text = String::new();
    if parsed["version"].is_null() {
        text.push_str("version: 1\n");
    }
    if parsed["listeners"].is_null() {
        text.push_str("listeners: [ { name: http, address: \"127.0.0.1:8080\" } ]\n");
    }
    text.push_str(&block.replace("/run/secrets", &folder.display().to_string()));
    if parsed["routes"].is_null() {
        text.push_str("routes:\n");
        for name in parsed["services"].as_object().into_iter().flat_map(|map| map.keys()) {
            let route =
                format!("  - {{ name: {name}, hostnames: [{name}.example], service: {name} }}\n");
            text.push_str(&route);
        }
    }
    text
}

fn blocks(document: &str) -> Vec<String> {
    let text = read(document);
    let blocks = text.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

fn passes(document: &str, block: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cookie-key"), "a key of thirty-two bytes or more").unwrap();
    let file = folder.path().join("serin.yaml");
    std::fs::write(&file, whole(block, folder.path())).unwrap();
    let checked = serin(&["check", &file.display().to_string()]);
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!((checked.status.code(), told.as_str()), (Some(0), ""), "{document}:\n{block}");
}

#[test]
fn every_recipe_is_a_configuration() {
    let blocks = blocks("docs/rollouts.md");
    assert!(blocks.len() >= 6, "{}", blocks.len());
    blocks.iter().for_each(|block| passes("docs/rollouts.md", block));
}

/// Theirs is marked with its own language; ours is `yaml` and stands beside each.
#[test]
fn what_one_migrates_to_is_a_configuration() {
    let blocks = blocks("docs/migrating.md");
    assert!(blocks.len() >= 5, "{}", blocks.len());
    blocks.iter().for_each(|block| passes("docs/migrating.md", block));
}

/// Links between our documents lead somewhere.
#[test]
fn no_link_leads_nowhere() {
    let documents = [
        "docs/rollouts.md",
        "docs/migrating.md",
        "docs/runbook.md",
        "docs/running.md",
        "docker/README.md",
        "README.md",
    ];
    for document in documents {
        let folder = std::path::Path::new(document).parent().unwrap();
        let text = read(document);
        let anchors: BTreeSet<String> = headings(&text);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if path.starts_with("http") {
                continue;
            }
            if path.is_empty() {
                assert!(anchors.contains(anchor), "{document}: #{anchor}");
            } else {
                let to = crate::tools::root().join(folder).join(path);
                assert!(to.exists(), "{document}: {link}");
            }
        }
    }
}

/// As GitHub names them.
fn headings(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    lines
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|line| line.chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}
