//! `serin status`: what runs, how far it is, and what it waits for.

mod card;
mod watch;

use super::follow::{self, Goal};
use super::output::{self, Style};
use super::remote::{Remote, finish};
use super::{Exit, span};
use crate::client::{Client, Failure, segment};
use serin_control::{RolloutState, ServiceView, Snapshot};
use std::sync::Arc;
use std::time::Duration;

/// Show services, rollouts, weights, figures and budgets
///
/// Exit codes: 0 healthy or done, 3 rolled back, 4 paused or holding, 5 timed out, 6 stable fails
/// an objective.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this service
    service: Option<String>,
    /// Draw anew every second, until interrupted
    #[arg(long, conflicts_with = "wait_for")]
    watch: bool,
    /// Wait until all services (or the given one) are so
    #[arg(long, value_enum, value_name = "STATE")]
    wait_for: Option<Goal>,
    /// How long to wait, like 90s or 15m; without it there is no end
    #[arg(long, value_parser = span::parse, requires = "wait_for", value_name = "TIME")]
    timeout: Option<Duration>,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(show(args))
}

fn show(args: &Args) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let only = args.service.as_deref();
    if args.watch {
        return watch::watch(&client, only, args.remote.output);
    }
    if let Some(goal) = args.wait_for {
        return follow::until(&client, only, goal, args.timeout, args.remote.output);
    }
    let snapshot = read(&client, only)?;
    if args.remote.is_json() {
        output::json(&snapshot);
    } else {
        let style = output::style_of(&std::io::stdout());
        output::line(&text(&snapshot, output::width(), style).join("\n"));
    }
    Ok(exit_of(&snapshot.services))
}

/// The whole snapshot, or what is left of it with one service.
pub(crate) fn read(client: &Client, only: Option<&str>) -> Result<Snapshot, Failure> {
    let mut snapshot: Snapshot = client.get("/v1/services")?.read()?;
    if let Some(only) = only {
        snapshot.services.retain(|service| service.name == only);
        if snapshot.services.is_empty() {
            // Asking for it by name lets the server say which names there are.
            client.get(&format!("/v1/services/{}", segment(only)))?;
        }
    }
    Ok(snapshot)
}

/// The whole screen, line by line.
pub(crate) fn text(snapshot: &Snapshot, width: usize, style: Style) -> Vec<String> {
    let mut lines = card::general(snapshot, width, style);
    for service in &snapshot.services {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(card::service(service, width, style));
    }
    if snapshot.services.is_empty() {
        lines.push("no services".to_owned());
    }
    lines
}

/// The worst of them.
fn exit_of(services: &[Arc<ServiceView>]) -> Exit {
    let exits = services.iter().flat_map(|service| {
        let rollout = service.rollout.as_ref().map(|rollout| follow::exit_of(rollout.state));
        rollout.into_iter().chain(service.slo.missed.as_ref().map(|_| Exit::Failing))
    });
    exits
        .min_by_key(|exit| match exit {
            Exit::RolledBack => 0,
            Exit::Failing => 1,
            Exit::Waiting => 2,
            Exit::Done | Exit::Error | Exit::InvalidConfiguration | Exit::TimedOut => 3,
        })
        .unwrap_or(Exit::Done)
}

/// Whether somebody has to look at it.
pub(crate) fn is_stuck(state: RolloutState) -> bool {
    match state {
        RolloutState::Paused | RolloutState::Inconclusive => true,
        RolloutState::Pending
        | RolloutState::Dark
        | RolloutState::Running
        | RolloutState::Holding
        | RolloutState::RolledBack
        | RolloutState::Superseded
        | RolloutState::Complete => false,
    }
}
