//! The command line: one file per verb, and the exit codes that pipelines branch on.

mod check;
mod completions;
mod demo;
mod diff;
mod dora;
mod export;
mod follow;
mod freeze;
mod health;
mod man;
pub(crate) mod output;
mod quickstart;
mod reload;
mod remote;
mod report;
mod rollout;
mod run;
mod schema;
mod shadow;
mod simulate;
mod span;
mod status;
mod upgrade;
mod weights;
mod why;
mod words;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a pipeline branches on. Nothing else ever leaves the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Healthy, or done.
    Done = 0,
    Error = 1,
    InvalidConfiguration = 2,
    RolledBack = 3,
    /// Paused, holding, inconclusive: somebody or something has to come.
    Waiting = 4,
    TimedOut = 5,
    /// Stable fails an objective, and nothing graver is to be said.
    Failing = 6,
}

/// A traffic-shifting edge proxy.
#[derive(Debug, Parser)]
#[command(name = "serin", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Demo(demo::Args),
    Quickstart(quickstart::Args),
    Check(check::Args),
    Diff(diff::Args),
    Status(status::Args),
    Rollout(rollout::Args),
    Weights(weights::Args),
    Why(why::Args),
    Shadow(shadow::Args),
    Report(report::Args),
    Dora(dora::Args),
    Freeze(freeze::Args),
    Health(health::Args),
    Reload(reload::Args),
    Upgrade(upgrade::Args),
    Simulate(simulate::Args),
    Schema(schema::Args),
    Export(export::Args),
    Completions(completions::Args),
    Man(man::Args),
}

pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let exit = match cli.verb {
        Verb::Run(args) => run::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Quickstart(args) => quickstart::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Diff(args) => diff::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Rollout(args) => rollout::run(&args),
        Verb::Weights(args) => weights::run(&args),
        Verb::Why(args) => why::run(&args),
        Verb::Shadow(args) => shadow::run(&args),
        Verb::Report(args) => report::run(&args),
        Verb::Dora(args) => dora::run(&args),
        Verb::Freeze(args) => freeze::run(&args),
        Verb::Health(args) => health::run(&args),
        Verb::Reload(args) => reload::run(&args),
        Verb::Upgrade(args) => upgrade::run(&args),
        Verb::Simulate(args) => simulate::run(&args),
        Verb::Schema(args) => schema::run(&args),
        Verb::Export(args) => export::run(&args),
        Verb::Man(args) => man::run(&args, <Cli as clap::CommandFactory>::command()),
        Verb::Completions(args) => {
            completions::run(&args, &mut <Cli as clap::CommandFactory>::command())
        }
    };
    ExitCode::from(exit as u8)
}

/// clap leaves with 2 for a mistyped command; 2 is kept for configurations here.
fn usage(error: &clap::Error) -> ExitCode {
    let shown = error.print();
    let wrong = error.use_stderr() || shown.is_err();
    ExitCode::from(if wrong { Exit::Error } else { Exit::Done } as u8)
}
