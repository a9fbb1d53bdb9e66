//! `serin upgrade`: a new process takes over from the running one.

use super::remote::{Remote, finish};
use super::{Exit, output};
use crate::client::{Ask, Failure};
use hyper::Method;
use serde_json::Value;

/// Hand over to a new process of the program that is on the disk now
///
/// Install the new binary under the same name first. The new process takes over the listening
/// sockets and the journal; the old one finishes its requests, WebSockets and streams. When the
/// new one cannot start, nothing has changed, and this says why.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(upgrade(args))
}

fn upgrade(args: &Args) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let upgraded: Value = client.ask(Method::POST, "/v1/upgrade", Ask::default())?.read()?;
    if args.remote.is_json() {
        output::json(&upgraded);
    } else {
        let of = |key: &str| upgraded[key].to_string().trim_matches('"').to_owned();
        output::line(&format!("process {} (serin {}) serves now", of("pid"), of("version")));
        output::line(&format!("process {} finishes what it has", of("previousPid")));
    }
    Ok(Exit::Done)
}
