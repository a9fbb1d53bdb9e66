//! `serin report`: the post-mortem of one rollout.

use super::remote::{Remote, finish};
use super::{Exit, output};
use crate::client::{Failure, segment};
use serde_json::Value;

/// Print the post-mortem of a rollout in Markdown
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rollout, like checkout-17; `serin status` names it
    id: String,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(show(args))
}

fn show(args: &Args) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let path = format!("/v1/rollouts/{}", segment(&args.id));
    if args.remote.is_json() {
        output::json(&client.get(&path)?.read::<Value>()?);
    } else {
        output::line(client.get(&format!("{path}/report"))?.text().trim_end());
    }
    Ok(Exit::Done)
}
