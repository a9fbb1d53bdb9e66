//! `serin health`: whether an instance takes traffic; made for container health checks.

use super::remote::{Remote, finish};
use super::words::plain;
use super::{Exit, output};
use crate::client::{Ask, Failure};
use hyper::Method;
use serde_json::Value;

/// Show whether the instance takes traffic, and what is not well
///
/// Exit codes: 0 ready, 1 not ready or not reachable, 6 with --objectives while stable fails one.
/// Needs no token.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave with 6 while a service's stable fails an objective. Not for container checks: a
    /// restarted edge heals no backend
    #[arg(long)]
    objectives: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(show(args))
}

fn show(args: &Args) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let answer = client.exchange(Method::GET, "/readyz", Ask::default())?;
    let health: Value = answer.read()?;
    if args.remote.is_json() {
        output::json(&health);
    } else {
        output::line(&text(&health).join("\n"));
    }
    Ok(match answer.status {
        200 if args.objectives && fails_an_objective(&health) => Exit::Failing,
        200 => Exit::Done,
        _ => Exit::Error,
    })
}

fn fails_an_objective(health: &Value) -> bool {
    health["checks"].as_array().into_iter().flatten().any(|check| {
        let name = check["name"].as_str().unwrap_or_default();
        name.starts_with("objectives ") && check["ok"].as_bool() != Some(true)
    })
}

/// The verdict, and below it only what is not well.
fn text(health: &Value) -> Vec<String> {
    let ready = health["ready"].as_bool() == Some(true);
    let mut lines = vec![if ready { "ready" } else { "not ready" }.to_owned()];
    for check in health["checks"].as_array().into_iter().flatten() {
        if check["ok"].as_bool() != Some(true) {
            let part = |key: &str| plain(check[key].as_str().unwrap_or("not well"));
            lines.push(format!("  {}: {}", part("name"), part("detail")));
        }
    }
    lines
}
