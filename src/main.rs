//! The one binary. Everything it can do is a verb in `cli/`.

mod cli;
mod client;
mod demo;
mod expiry;
mod limits;
mod logging;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
