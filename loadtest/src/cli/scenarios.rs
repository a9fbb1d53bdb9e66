//! `serin-loadtest scenario`: rollout scenarios, one after the other, and a verdict for each.

use clap::Args;
use serin_loadtest::report::{outcome_to_json, outcome_to_text, to_html, to_junit};
use serin_loadtest::scenario::{Outcome, Scenario, Setting, binary, run as perform};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// text or json.
    #[arg(short, long, default_value = "text")]
    output: String,
    /// Writes JUnit XML there.
    #[arg(long)]
    junit: Option<PathBuf>,
    /// Writes a report with plots there.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Makes every `within` so many times as long, for a slow machine
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    patience: u32,
    /// No line a second on standard error.
    #[arg(short, long)]
    quiet: bool,
}

/// Whether all expectations were met.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    // All are read before any is run: a typing error in the last should not cost the first's time.
    let read = |path: &PathBuf| Scenario::read(path).map(|s| (path.clone(), s));
    let scenarios: Result<Vec<_>, _> = arguments.files.iter().map(read).collect();
    let mut outcomes = Vec::new();
    for (path, scenario) in scenarios.map_err(|e| e.to_string())? {
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let setting = Setting { binary: binary(), folder, patience: arguments.patience };
        let outcome = one(&scenario, &setting, arguments.quiet)
            .map_err(|e| format!("{}: {e}", path.display()))?;
        if arguments.output != "json" {
            print!("{}", outcome_to_text(&outcome));
        }
        if !outcome.passed() && !outcome.log.is_empty() {
            eprintln!("the proxy wrote:\n{}", tail(&outcome.log));
        }
        outcomes.push(outcome);
    }
    if arguments.output == "json" {
        let all: Vec<_> = outcomes.iter().map(outcome_to_json).collect();
        println!("{}", serde_json::Value::Array(all));
    }
    write(arguments.junit.as_deref(), || to_junit(&outcomes))?;
    write(arguments.html.as_deref(), || to_html(&outcomes))?;
    Ok(outcomes.iter().all(Outcome::passed))
}

fn one(scenario: &Scenario, setting: &Setting, quiet: bool) -> Result<Outcome, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let progress = move |line: &str| {
        if !quiet {
            eprintln!("{line}");
        }
    };
    tokio::task::LocalSet::new().block_on(&runtime, perform(scenario, setting, progress))
}

fn write(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text()).map_err(|e| format!("{}: {e}", path.display()))
}

const TAIL: usize = 40;

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
