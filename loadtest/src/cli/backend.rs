//! `serin-loadtest backend`: one version that misbehaves as told, until it is interrupted.

use clap::Args;
use serin_loadtest::backend::{Backend, Behaviour, Share};
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What it calls itself.
    version: String,
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Median milliseconds to an answer.
    #[arg(long, default_value_t = 0.0)]
    latency: f64,
    /// Milliseconds of the 99th percentile.
    #[arg(long, default_value_t = 0.0)]
    latency_p99: f64,
    /// Percent of the requests that are answered with 500.
    #[arg(long, default_value_t = 0.0)]
    errors: f64,
    #[arg(long, default_value_t = 0)]
    body_bytes: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let millis = |ms: f64| Duration::try_from_secs_f64(ms / 1e3).map_err(|e| e.to_string());
    let behaviour = Behaviour {
        latency: millis(arguments.latency)?,
        latency_p99: millis(arguments.latency_p99)?,
        errors: Share(arguments.errors / 100.0),
        body_bytes: arguments.body_bytes,
        ..Behaviour::default()
    };
    let backend = Backend::start(&arguments.version, arguments.listen, behaviour)
        .map_err(|e| format!("{}: {e}", arguments.listen))?;
    println!("{} listens on {}", backend.version(), backend.address());
    loop {
        std::thread::park();
    }
}
