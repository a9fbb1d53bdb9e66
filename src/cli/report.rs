//! `serin report`: the post-mortem of one rollout.

use super::remote::{Remote, finish};
use super::{Exit, output};
use crate::client::{Client, Failure, segment};
use serde_json::Value;
use serin_control::ServiceView;

/// Print the post-mortem of a rollout in Markdown
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rollout, like checkout-17, or a service: its last one
    rollout: String,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(show(args))
}

fn show(args: &Args) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let path = |id: &str| format!("/v1/rollouts/{}", segment(id));
    let read = |id: &str| match args.remote.is_json() {
        true => client.get(&path(id)),
        false => client.get(&format!("{}/report", path(id))),
    };
    let answer = match read(&args.rollout) {
        Ok(answer) => answer,
        Err(failure) => match last_of(&client, &args.rollout) {
            Some(id) => read(&id)?,
            None => return Err(failure),
        },
    };
    if args.remote.is_json() {
        output::json(&answer.read::<Value>()?);
    } else {
        output::line(answer.text().trim_end());
    }
    Ok(Exit::Done)
}

/// The last rollout of the service of this name, if there is one.
fn last_of(client: &Client, service: &str) -> Option<String> {
    let answer = client.get(&format!("/v1/services/{}", segment(service))).ok()?;
    Some(answer.read::<ServiceView>().ok()?.rollout?.id)
}
