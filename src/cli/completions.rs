//! `serin completions`: what a shell needs to complete our words.

use super::{Exit, output};
use clap_complete::Shell;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, command: &mut clap::Command) -> Exit {
    // Made whole first: the generator panics where a reader has gone away.
    let mut made = Vec::new();
    clap_complete::generate(args.shell, command, "serin", &mut made);
    output::text(&String::from_utf8_lossy(&made));
    Exit::Done
}
