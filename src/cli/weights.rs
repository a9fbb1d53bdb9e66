//! `serin weights`: the candidate's weight by hand.

use super::remote::{Remote, finish};
use super::{Exit, output, span, words};
use crate::client::{Ask, Failure, segment};
use hyper::Method;
use serde_json::{Value, json};
use serin_control::ServiceView;

/// Set the candidate's weight by hand; the rollout pauses there
///
/// Refused when the service has changed since it was read, rather than overwriting what
/// somebody else just did.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    service: String,
    /// The candidate's share, like 25%
    #[arg(value_parser = span::parse_weight)]
    weight: u16,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(set(args))
}

fn set(args: &Args) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let path = format!("/v1/services/{}", segment(&args.service));
    let read = client.get(&path)?;
    let service: ServiceView = read.read()?;
    let mut weights = serde_json::Map::new();
    weights.insert(service.stable.clone(), json!(10_000 - args.weight));
    if let Some(rollout) = service.rollout.as_ref().filter(|rollout| !rollout.state.is_over()) {
        weights.insert(rollout.to.clone(), json!(args.weight));
    }
    // Without a rollout the sum is wrong or the weight is 0; the server says what to do instead.
    if weights.len() == 1 {
        weights.insert(service.stable.clone(), json!(10_000));
    }
    let ask = Ask { if_match: read.etag, ..Ask::body(json!({ "weights": weights })) };
    let answer = client.ask(Method::PUT, &format!("{path}/weights"), ask)?;
    let now: Value = answer.read()?;
    if args.remote.is_json() {
        output::json(&now);
        return Ok(Exit::Done);
    }
    let parts = now["weights"].as_object().into_iter().flatten().map(|(version, points)| {
        let points = points.as_u64().and_then(|points| u16::try_from(points).ok());
        format!("{version} {}", words::weight(points.unwrap_or(0)))
    });
    output::line(&format!("{}: {}", args.service, parts.collect::<Vec<_>>().join(", ")));
    Ok(Exit::Done)
}
