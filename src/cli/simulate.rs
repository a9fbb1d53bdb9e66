//! `serin simulate`: the rules of a configuration against a made or recorded course of traffic,
//! on a simulated clock. What decides is what decides in production.

mod build;
mod file;
mod quantity;
mod recording;
mod show;

use super::Exit;
use super::output::{self, Format};
use serin_config::{Options, render_all};
use serin_core::rollout::Phase;
use serin_core::simulate::{Report, run as play};
use std::path::PathBuf;

/// Run the rules against a made course of traffic, on a simulated clock
///
/// Leaves with 3 when the rollout was rolled back, with 4 when it waits, 0 when it is done or
/// goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration: a file, or a folder whose *.yaml files are read together
    path: PathBuf,
    /// The course of traffic
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// Another course of chance than the scenario's
    #[arg(long)]
    seed: Option<u64>,
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

pub(crate) fn run(args: &Args) -> Exit {
    let config = match serin_config::load(&args.path, &Options::default()) {
        Ok(loaded) => loaded.config,
        Err(refused) => {
            output::note(&render_all(&refused.faults, output::style_of(&std::io::stderr())));
            return Exit::InvalidConfiguration;
        }
    };
    let built = file::read(&args.scenario)
        .and_then(|scenario| build::simulation(&config, scenario, &args.scenario, args.seed));
    let (heading, simulation) = match built {
        Ok(built) => built,
        Err(fault) => {
            output::note(&fault);
            return Exit::Error;
        }
    };
    let report = play(simulation);
    match args.output {
        Format::Json => output::json(&show::json(&heading, &report)),
        Format::Text => output::line(&show::text(&heading, &report, output::width())),
    }
    exit_of(&report)
}

fn exit_of(report: &Report) -> Exit {
    match report.position.rollout.as_ref().map(|course| course.phase) {
        None | Some(Phase::Complete | Phase::Running | Phase::Dark) => Exit::Done,
        Some(Phase::RolledBack | Phase::Superseded) => Exit::RolledBack,
        Some(Phase::Pending | Phase::Holding | Phase::Paused | Phase::Inconclusive) => {
            Exit::Waiting
        }
    }
}
