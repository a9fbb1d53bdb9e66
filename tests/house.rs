//! The arrows between the crates, and what `core` may know: `docs/architecture.md` as a test.
//!
//! It reads manifests through `cargo metadata` and sources as text. It never builds anything.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may `use` whom. A crate that is not listed here has no place in the house yet.
const ARROWS: &[(&str, &[&str])] = &[
    ("serin-core", &[]),
    ("serin-config", &["serin-core"]),
    ("serin-control", &["serin-core", "serin-config"]),
    ("serin-proxy", &["serin-core", "serin-config"]),
    ("serin-loadtest", &["serin-core"]),
    ("serin-testkit", &[]),
    ("serin", &["serin-core", "serin-config", "serin-control", "serin-loadtest", "serin-proxy"]),
];

/// All that `core` is built from. jiff knows calendars and time zones; it is never asked for the time.
const CORE_DEPENDENCIES: &[&str] = &["jiff"];

#[test]
fn arrows_run_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let house = packages();
    let ours: BTreeSet<&str> = house.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(ours, allowed.keys().copied().collect(), "crates of the workspace");
    for package in &house {
        for used in package.dependencies("normal").intersection(&ours) {
            assert!(allowed[package.name.as_str()].contains(used), "{} uses {used}", package.name);
        }
    }
}

/// A test of one side that needs the other belongs to the root package.
#[test]
fn proxy_and_control_do_not_meet_in_tests_either() {
    for package in packages() {
        let tests = package.dependencies("dev");
        match package.name.as_str() {
            "serin-proxy" => assert!(!tests.contains("serin-control")),
            "serin-control" => assert!(!tests.contains("serin-proxy")),
            _ => {}
        }
    }
}

#[test]
fn core_stands_on_a_short_list() {
    let house = packages();
    let core = house.iter().find(|p| p.name == "serin-core").expect("a core");
    assert_eq!(core.dependencies("normal"), CORE_DEPENDENCIES.iter().copied().collect());
    assert_eq!(core.dependencies("build"), BTreeSet::new());
}

#[test]
fn core_never_reaches_outside() {
    let outside =
        ["std::env", "std::fs", "std::io", "std::net", "std::process", "Instant", "SystemTime"];
    for file in sources(&root().join("core/src")) {
        let text = std::fs::read_to_string(&file).expect("a source");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for (line, what) in code.flat_map(|l| outside.iter().map(move |what| (l, what))) {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let found = line.match_indices(what).any(|(at, _)| {
                !line[..at].ends_with(word) && !line[at + what.len()..].starts_with(word)
            });
            assert!(!found, "{what} in {}: {line}", file.display());
        }
    }
}

/// A request's way through the proxy leads from room to room, and none looks back at who comes before it.
#[test]
fn no_room_of_the_proxy_knows_the_rooms_before_it() {
    for (room, strangers) in [
        ("wire", &["ingress", "downstream", "request", "exchange", "upstream", "route"][..]),
        ("ingress", &["downstream", "request", "exchange", "upstream", "route", "service"]),
        ("route", &["ingress", "downstream", "request", "exchange"]),
        ("request", &["downstream", "exchange"]),
        ("exchange", &["downstream"]),
        ("tunnel", &["downstream", "request", "exchange"]),
        ("upstream", &["downstream", "request", "exchange"]),
    ] {
        for file in sources(&root().join("proxy/src").join(room)) {
            let text = std::fs::read_to_string(&file).expect("a source");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for stranger in strangers {
                let used = format!("crate::{stranger}");
                let line = code.lines().find(|line| line.contains(&used));
                assert_eq!(line, None, "{}", file.display());
            }
        }
    }
}

/// Whoever looks for a file of a request's way finds it on the picture.
#[test]
fn a_requests_way_is_drawn_with_every_file_that_it_comes_by() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).expect("the page");
    let picture = page.split("```").find(|part| part.contains(" ingress/ ")).expect("a picture");
    let word = |c: char| !c.is_alphanumeric() && c != '_';
    let drawn: BTreeSet<&str> = picture.split(word).collect();
    for room in ["ingress", "downstream", "request", "exchange", "tunnel"] {
        for file in sources(&root().join("proxy/src").join(room)) {
            let name = file.file_stem().and_then(|name| name.to_str()).expect("a name");
            let known = matches!(name, "mod" | "tests") || drawn.contains(name);
            assert!(known, "{} is not on the picture of docs/architecture.md", file.display());
        }
    }
}

/// What is stored is not what is shown: a view that changes must not change the disk.
#[test]
fn the_journal_knows_nothing_of_what_is_shown() {
    let shown = ["view", "event", "command", "api", "history", "controller"];
    for file in sources(&root().join("control/src/journal")) {
        let text = std::fs::read_to_string(&file).expect("a source");
        for module in shown {
            let used = format!("crate::{module}");
            let line = text.lines().find(|line| line.contains(&used));
            assert_eq!(line, None, "{}", file.display());
        }
    }
}

/// `Debug` may change with any compiler, so nothing is stored, named or compared by it.
#[test]
fn nothing_on_disk_is_written_by_debug() {
    for folder in ["control/src/journal/schema", "control/src/controller"] {
        for file in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).expect("a source");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let line = code.lines().find(|line| line.contains(":?}") && !line.contains("custom("));
            assert_eq!(line, None, "{}", file.display());
        }
    }
}

/// A crate without them would escape `unsafe_code = "forbid"`.
#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in packages() {
        let manifest = std::fs::read_to_string(&package.manifest).expect("a manifest");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
    }
}

struct Package {
    name: String,
    manifest: PathBuf,
    /// By kind, then name.
    dependencies: BTreeSet<(String, String)>,
}

impl Package {
    fn dependencies(&self, kind: &str) -> BTreeSet<&str> {
        let same = self.dependencies.iter().filter(|(k, _)| k == kind);
        same.map(|(_, name)| name.as_str()).collect()
    }
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let dependency =
        |d: &Value| (d["kind"].as_str().unwrap_or("normal").to_owned(), text(&d["name"]));
    let package = |p: &Value| Package {
        name: text(&p["name"]),
        manifest: text(&p["manifest_path"]).into(),
        dependencies: p["dependencies"].as_array().into_iter().flatten().map(dependency).collect(),
    };
    metadata["packages"].as_array().into_iter().flatten().map(package).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let inside = |path: PathBuf| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    };
    paths.flat_map(inside).filter(|p| p.extension().is_some_and(|e| e == "rs")).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
