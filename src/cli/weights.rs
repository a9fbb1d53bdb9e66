//! `serin weights`: a version's weight beside stable, by hand.

use super::remote::{Remote, finish};
use super::{Exit, output, span, words};
use crate::client::{Ask, Failure, segment};
use hyper::Method;
use serde_json::{Value, json};
use serin_control::ServiceView;

/// Set the candidate's weight by hand, with a rollout or without; a rollout pauses there
///
/// Without a rollout it begins the one that the configuration plans, paused at that weight. A
/// service without a plan is divided between stable and its one other version, and nothing judges
/// that. Refused when the service has changed since it was read, rather than overwriting what
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
    match candidate(&service) {
        Some(candidate) => weights.insert(candidate.to_owned(), json!(args.weight)),
        None if args.weight == 0 => None,
        None => return Err(Failure::Unclear(unclear(&service))),
    };
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
    let parts = parts.collect::<Vec<_>>().join(", ");
    let message = now["message"].as_str().map(|said| format!(" ({})", words::plain(said)));
    output::line(&format!("{}: {parts}{}", args.service, message.unwrap_or_default()));
    Ok(Exit::Done)
}

/// Whose weight is meant: of the rollout, of the plan, or of the only version beside stable.
fn candidate(service: &ServiceView) -> Option<&str> {
    let running = service.rollout.as_ref().filter(|rollout| !rollout.state.is_over());
    let planned = service.plan.as_ref().filter(|plan| plan.to != service.stable);
    let named = running.map(|rollout| &rollout.to).or(planned.map(|plan| &plan.to));
    let mut others = others(service);
    let only = others.next().filter(|_| others.next().is_none());
    named.map(String::as_str).or(only)
}

fn others(service: &ServiceView) -> impl Iterator<Item = &str> {
    let names = service.versions.iter().map(|version| version.name.as_str());
    names.filter(|name| *name != service.stable)
}

fn unclear(service: &ServiceView) -> String {
    let others: Vec<&str> = others(service).collect();
    let name = &service.name;
    if others.is_empty() {
        return format!("{name} has no version beside stable {}", service.stable);
    }
    format!(
        "{name} plans no rollout and has several versions beside stable: {}; PUT /v1/services/{name}/weights divides between any",
        others.join(", ")
    )
}
