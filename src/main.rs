//! The one binary. Everything it can do is a verb in `cli/`.

mod cli;
mod client;
mod demo;
mod expiry;
mod limits;
mod logging;
mod run;

use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// Gives what an attack or a busy hour took back to the system within seconds. How it is set stands
/// in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    cli::run()
}
