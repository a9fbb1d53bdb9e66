//! `serin completions`: what a shell needs to complete our words.

use super::Exit;
use clap_complete::Shell;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, command: &mut clap::Command) -> Exit {
    clap_complete::generate(args.shell, command, "serin", &mut std::io::stdout());
    Exit::Done
}
