//! `serin why`: the evidence behind the last verdict.

use super::remote::{Remote, finish};
use super::words::{self, field};
use super::{Exit, output};
use crate::client::{Failure, segment};
use serin_control::{Unit, Why};

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
    // A number with nothing beside it is a time that is left, and the reason has said that.
    let beside = why.threshold.or(why.stable_observed).is_some() || why.samples > 0;
    if let Some(observed) = why.observed.filter(|_| beside) {
        say("observed", over(why.unit, observed, why.samples));
    }
    if let Some(stable) = why.stable_observed {
        say("stable", over(why.unit, stable, why.stable_samples));
    }
    if let Some(threshold) = why.threshold {
        say("threshold", figure(why.unit, threshold));
    }
    if let Some(failures) = &why.failures {
        say("failures", failures.summary.clone());
    }
    say("at", why.at.to_string());
    for (i, bad) in why.bad_requests.iter().enumerate() {
        let label = if i == 0 { "bad request" } else { "" };
        say(label, format!("{}  {}  {}", bad.request_id, bad.what, bad.at));
    }
    lines
}

/// Not every rule rests on requests, and a count is of nothing but itself.
fn over(unit: Option<Unit>, observed: f64, samples: u64) -> String {
    let figure = figure(unit, observed);
    match samples == 0 || unit.is_some_and(Unit::is_count) {
        true => figure,
        false => format!("{figure} over {}", words::counted(samples, "request")),
    }
}

/// What was decided before verdicts had units has none.
fn figure(unit: Option<Unit>, number: f64) -> String {
    unit.map_or_else(|| words::trimmed(number, 5), |unit| unit.write(number))
}
