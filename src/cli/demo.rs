//! `serin demo`: two rollouts in a minute, without any configuration.

use super::Exit;
use super::output;
use crate::demo::{Options, play};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Watch a rollout that succeeds and one that is rolled back, in half a minute
///
/// Starts versions of a small shop, Serin in front of them, and traffic; all of it on this machine, and
/// gone when it ends. Only the configuration that it used is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Lines only, no live view; so it is when the output is not a terminal
    #[arg(long)]
    plain: bool,
    /// Where the shop is served
    #[arg(long, default_value = "127.0.0.1:0")]
    http: SocketAddr,
    /// Where the admin API and the page are
    #[arg(long, default_value = "127.0.0.1:0")]
    admin: SocketAddr,
    /// Where the configuration is written at the end
    #[arg(long, default_value = "serin-demo.yaml")]
    write: PathBuf,
    /// Go on serving after the second rollout, until Ctrl-C
    #[arg(long)]
    stay: bool,
}

pub(crate) fn run(args: &Args) -> Exit {
    let options = Options {
        live: !args.plain && std::io::stdout().is_terminal(),
        http: args.http,
        admin: args.admin,
        write: args.write.clone(),
        stay: args.stay,
    };
    match play(&options) {
        Ok(()) => Exit::Done,
        Err(message) => {
            output::note(&format!("error: {message}"));
            Exit::Error
        }
    }
}
