//! `serin export`: what the configuration means to other programs.

mod instance;
mod objectives;
mod rules;
mod shadow;

use super::Exit;
use super::output;
use rules::{File, Scrape};
use serin_config::{Options, render_all};
use std::path::{Path, PathBuf};

/// Write what other programs need to know of a configuration
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    PrometheusRules(PrometheusRules),
}

/// Recording and alerting rules for Prometheus
///
/// Burn-rate alerts over pairs of windows for every objective of the configuration, and alerts about
/// shadows, rollouts and the instance itself. What to do about each is in docs/runbook.md.
#[derive(Debug, clap::Args)]
struct PrometheusRules {
    /// A file, or a folder whose *.yaml files are read together
    path: PathBuf,
    /// The name of the scrape job whose series the rules look at
    #[arg(long, default_value = "serin")]
    job: String,
    /// Where the runbook is; each alert links to a heading of it
    #[arg(long, value_name = "URL", default_value = "docs/runbook.md")]
    runbook: String,
    /// Write to this file instead of to standard output
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Exit {
    match &args.what {
        What::PrometheusRules(args) => prometheus_rules(args),
    }
}

fn prometheus_rules(args: &PrometheusRules) -> Exit {
    let config = match serin_config::load(&args.path, &Options::default()) {
        Ok(loaded) => loaded.config,
        Err(refused) => {
            output::note(&render_all(&refused.faults, output::style_of(&std::io::stderr())));
            return Exit::InvalidConfiguration;
        }
    };
    let scrape = Scrape { job: args.job.clone() };
    let mut groups: Vec<_> =
        config.services.values().map(|service| objectives::group(service, &scrape)).collect();
    groups.extend(config.services.values().filter_map(|service| shadow::group(service, &scrape)));
    groups.extend(instance::groups(&config, &scrape));
    let text = File { runbook: args.runbook.clone(), groups }.yaml();
    match &args.write {
        None => output::text(&text),
        Some(file) => return written(file, &text),
    }
    Exit::Done
}

/// Whole or not at all: Prometheus may look at any moment.
fn written(file: &Path, text: &str) -> Exit {
    let beside = file.with_extension("new");
    let moved = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, file));
    match moved {
        Ok(()) => Exit::Done,
        Err(fault) => {
            output::note(&format!("error: cannot write {}: {fault}", file.display()));
            Exit::Error
        }
    }
}
