//! `serin why`: the evidence behind the last verdict.

use super::remote::{Remote, finish};
use super::words::{self, field};
use super::{Exit, output};
use crate::client::{Failure, segment};
use serin_control::Why;

/// Show the rule, the numbers and the requests behind the last verdict
///
/// With -o json also everything that the decision was computed from.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    service: String,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(show(args))
}

fn show(args: &Args) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let why: Why = client.get(&format!("/v1/services/{}/why", segment(&args.service)))?.read()?;
    if args.remote.is_json() {
        output::json(&why);
    } else {
        output::line(&text(&why, output::width()).join("\n"));
    }
    Ok(Exit::Done)
}

fn text(why: &Why, width: usize) -> Vec<String> {
    let mut lines = vec![format!("{}: {} ({})", why.service, why.verdict, why.rollout)];
    let mut say = |label: &str, text: String| {
        lines.extend(field(label, &text, width));
    };
    say("because", why.reason.clone());
    say("rule", why.rule.clone());
    if let Some(observed) = why.observed {
        say("observed", format!("{} over {}", figure(observed), samples(why.samples)));
    }
    if let Some(stable) = why.stable_observed {
        say("stable", format!("{} over {}", figure(stable), samples(why.stable_samples)));
    }
    if let Some(threshold) = why.threshold {
        say("threshold", figure(threshold));
    }
    say("at", why.at.to_string());
    for (i, bad) in why.bad_requests.iter().enumerate() {
        let label = if i == 0 { "bad request" } else { "" };
        say(label, format!("{}  {}  {}", bad.request_id, bad.what, bad.at));
    }
    lines
}

fn samples(n: u64) -> String {
    words::counted(n, "request")
}

/// As it was computed: what it means depends on the rule.
fn figure(number: f64) -> String {
    words::trimmed(number, 5)
}
