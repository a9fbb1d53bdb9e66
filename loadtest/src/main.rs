//! The load generator's command line.

mod cli;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Sends requests at the moments at which they are due, whatever became of the ones before, and
/// tells what each version did with them.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Load on any proxy, and a report by version
    Run(cli::load::Arguments),
    /// Rollout scenarios: traffic, faults, admin calls, expectations. Exit 1 if one is not met
    Scenario(cli::scenarios::Arguments),
    /// A version that misbehaves as told
    Backend(cli::backend::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Run(arguments) => cli::load::run(&arguments).map(|()| true),
        Verb::Scenario(arguments) => cli::scenarios::run(&arguments),
        Verb::Backend(arguments) => cli::backend::run(&arguments).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
