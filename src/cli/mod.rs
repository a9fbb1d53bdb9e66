//! The command line: one file per verb, and the exit codes that pipelines branch on.

mod check;
mod completions;
mod output;
mod schema;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a pipeline branches on. Nothing else ever leaves the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Healthy, or done.
    Done = 0,
    Error = 1,
    InvalidConfiguration = 2,
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
    Check(check::Args),
    Schema(schema::Args),
    Completions(completions::Args),
}

pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let exit = match cli.verb {
        Verb::Check(args) => check::run(&args),
        Verb::Schema(args) => schema::run(&args),
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
