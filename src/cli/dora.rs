//! `serin dora`: how often, how fast, how safely, and how quickly back.

use super::remote::{Remote, finish};
use super::{Exit, output, words};
use crate::client::{Failure, segment};
use serin_control::Dora;

/// Show deployment frequency, lead time, change failure rate and time to restore
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this service
    service: Option<String>,
    /// Over the last so many days
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(show(args))
}

fn show(args: &Args) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let mut path = format!("/v1/dora?days={}", args.days);
    if let Some(service) = &args.service {
        path.push_str(&format!("&service={}", segment(service)));
    }
    let dora: Dora = client.get(&path)?.read()?;
    if args.remote.is_json() {
        output::json(&dora);
    } else {
        output::line(&text(&dora).join("\n"));
    }
    Ok(Exit::Done)
}

fn text(dora: &Dora) -> Vec<String> {
    let seconds = |seconds: Option<f64>| match seconds {
        Some(seconds) => words::duration(seconds.max(0.0).round() as u64),
        None => "unknown".to_owned(),
    };
    let failures = match dora.change_failure_ratio {
        Some(ratio) => words::percent(ratio),
        None => "unknown".to_owned(),
    };
    let deployments = format!(
        "{} in {} days, {} a day",
        dora.deployments,
        words::trimmed(dora.days, 1),
        words::trimmed(dora.deployments_per_day, 2)
    );
    vec![
        format!("deployments          {deployments}"),
        format!("lead time            {}", seconds(dora.lead_time_seconds)),
        format!("change failure rate  {failures}"),
        format!("time to restore      {}", seconds(dora.time_to_restore_seconds)),
    ]
}
