//! `serin check`: every fault of a configuration, with its line and a caret.

use super::Exit;
use super::output::{self, Format};
use serde::Serialize;
use serin_config::{Fault, Options, render_all};
use std::path::PathBuf;

/// Check a configuration: every fault with its line, and what to write instead
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file, or a folder whose *.yaml files are read together
    path: PathBuf,
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    /// Look up the host names of endpoints too
    #[arg(long)]
    resolve: bool,
    /// Connect to every endpoint, as requests and health checks would, and say what is wrong with it
    #[arg(long)]
    probe: bool,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    ok: bool,
    faults: &'a [Fault],
    /// Found beyond those listed.
    more: usize,
    /// Only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoints: Option<Vec<Tried>>,
}

#[derive(Debug, Serialize)]
struct Tried {
    service: String,
    version: String,
    endpoint: String,
    fault: Option<String>,
}

pub(crate) fn run(args: &Args) -> Exit {
    let options = Options { resolve: args.resolve, ..Options::default() };
    let (faults, more, config) = match serin_config::load(&args.path, &options) {
        Ok(loaded) => (loaded.warnings, 0, Some(loaded.config)),
        Err(refused) => (refused.faults, refused.more, None),
    };
    let summary = config.as_ref().map(|config| {
        let lines = config.copies().into_iter().chain(config.evidence());
        let lines = lines.map(|line| format!("\n{line}"));
        config.summary() + &lines.collect::<String>()
    });
    let endpoints = match config.as_ref().filter(|_| args.probe).map(tried).transpose() {
        Ok(endpoints) => endpoints,
        Err(error) => {
            output::note(&format!("error: cannot try endpoints: {error}"));
            return Exit::Error;
        }
    };
    let unfit = endpoints.iter().flatten().any(|tried| tried.fault.is_some());
    match args.output {
        Format::Json => {
            output::json(&Answer { ok: summary.is_some(), faults: &faults, more, endpoints });
        }
        Format::Text => {
            if !faults.is_empty() {
                output::note(&render_all(&faults, output::style_of(&std::io::stderr())));
            }
            for tried in endpoints.iter().flatten() {
                output::line(&line(tried));
            }
            match &summary {
                Some(summary) => output::line(&format!("ok: {summary}")),
                None => output::note(&refusal(&faults, more)),
            }
        }
    }
    match summary {
        Some(_) if unfit => Exit::Error,
        Some(_) => Exit::Done,
        None => Exit::InvalidConfiguration,
    }
}

fn tried(config: &serin_config::model::Config) -> std::io::Result<Vec<Tried>> {
    let probed = serin_proxy::probe_endpoints(config)?;
    let tried = probed.into_iter().map(|found| Tried {
        service: found.service,
        version: found.version,
        endpoint: found.endpoint,
        fault: found.fault,
    });
    Ok(tried.collect())
}

fn line(tried: &Tried) -> String {
    let Tried { service, version, endpoint, fault } = tried;
    let found = fault.as_deref().unwrap_or("ok");
    format!("{service} {version} {endpoint}: {found}")
}

/// The last line, which is the one a terminal still shows after a long list.
fn refusal(faults: &[Fault], more: usize) -> String {
    let errors = faults.iter().filter(|f| f.severity == serin_config::Severity::Error).count();
    let warnings = faults.len() - errors;
    let mut text = format!("invalid: {}", counted(errors, "error"));
    if warnings > 0 {
        text.push_str(&format!(", {}", counted(warnings, "warning")));
    }
    if more > 0 {
        text.push_str(&format!(", and {more} more"));
    }
    text
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
