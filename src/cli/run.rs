//! `serin run`: serves until it is told to stop.

use super::Exit;
use super::output;
use crate::run::{Run, Takeover, systemd};
use serin_config::{Fault, Options, render_all};
use serin_core::ids::ServiceName;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

/// Serve: SIGTERM or SIGINT stops accepting and leaves as soon as nothing is in flight
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file, or a folder whose *.yaml files are read together
    #[arg(short, long, env = "SERIN_CONFIG")]
    config: PathBuf,
    /// Threads that serve requests [default: one per core]
    #[arg(long)]
    threads: Option<NonZeroU16>,
    /// How long requests in flight may take after a SIGTERM, in seconds
    #[arg(long, default_value_t = 30)]
    grace: u64,
    /// Leave changed files alone until SIGHUP, or a reload, asks for them
    #[arg(long)]
    no_watch: bool,
    /// How long a process that has handed over may finish what it has, in seconds
    #[arg(long, default_value_t = 3600)]
    upgrade_grace: u64,
    /// Give every request of this service to the `stable` of its file, also where the journal says that
    /// another version is stable; may be repeated
    #[arg(long, value_name = "SERVICE")]
    adopt_stable: Vec<ServiceName>,
    /// Standard input is the process before, which hands over
    #[arg(long, hide = true)]
    take_over: bool,
}

pub(crate) fn run(args: &Args) -> Exit {
    crate::logging::start();
    crate::limits::raise();
    let takeover = match args.take_over {
        true => Takeover::from_predecessor(),
        false => Ok(systemd::sockets()),
    };
    let takeover = match takeover {
        Ok(takeover) => takeover,
        Err(e) => return failed(&e),
    };
    let loaded = match serin_config::load(&args.config, &Options::default()) {
        Ok(loaded) => loaded,
        Err(refused) => {
            output::note(&render_all(&refused.faults, output::style_of(&std::io::stderr())));
            let first = refused.errors().next().map_or_else(String::new, Fault::line);
            takeover.failed(format!("the configuration is invalid: {first}"));
            return Exit::InvalidConfiguration;
        }
    };
    if !loaded.warnings.is_empty() {
        output::note(&render_all(&loaded.warnings, output::style_of(&std::io::stderr())));
    }
    let run = Run {
        path: args.config.clone(),
        loaded,
        threads: args.threads,
        grace: Duration::from_secs(args.grace),
        upgrade_grace: Duration::from_secs(args.upgrade_grace),
        watch: !args.no_watch,
        takeover: takeover.clone(),
        adopt: args.adopt_stable.clone(),
    };
    match crate::run::run(run) {
        Ok(()) => Exit::Done,
        Err(e) => {
            takeover.failed(e.to_string());
            failed(&e)
        }
    }
}

fn failed(why: &dyn std::fmt::Display) -> Exit {
    output::note(&format!("error: {why}"));
    Exit::Error
}
