//! `serin reload`: the running instance reads its files anew.

use super::remote::{Remote, finish};
use super::words::plain;
use super::{Exit, output};
use crate::client::{Ask, Failure};
use hyper::Method;
use serde_json::{Value, json};

/// Read the configuration files of the running instance anew
///
/// With --canary, a share of requests tries them first: they are reverted by themselves when that
/// share fails more than the rest, and taken as a whole when the time is over. Without it they are
/// taken as a whole at once, also when they are on trial already.
///
/// Exit codes: 0 in force, or on trial; 2 the files are invalid, and nothing has changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The share of requests that tries them first, like 5%
    #[arg(long, value_name = "SHARE")]
    canary: Option<String>,
    /// How long, like 10m [default: 10m]
    #[arg(long = "for", value_name = "TIME", requires = "canary")]
    lasts: Option<String>,
    /// Give every request of this service to the `stable` of its file, also where the journal says that
    /// another version is stable; may be repeated
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["canary", "end"])]
    adopt_stable: Vec<String>,
    /// End a canary and go back to what is in force
    #[arg(long, conflicts_with = "canary")]
    end: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(reload(args))
}

fn reload(args: &Args) -> Result<Exit, Failure> {
    let (method, ask) = match (args.end, &args.canary) {
        (true, _) => (Method::DELETE, Ask::default()),
        (false, None) if args.adopt_stable.is_empty() => (Method::POST, Ask::default()),
        (false, None) => (Method::POST, Ask::body(json!({ "adoptStable": args.adopt_stable }))),
        (false, Some(share)) => {
            let mut body = json!({ "canary": share });
            if let Some(lasts) = &args.lasts {
                body["for"] = json!(lasts);
            }
            (Method::POST, Ask::body(body))
        }
    };
    let config: Value = args.remote.client()?.ask(method, "/v1/config/reload", ask)?.read()?;
    if args.remote.is_json() {
        output::json(&config);
        return Ok(Exit::Done);
    }
    for warning in config["warnings"].as_array().into_iter().flatten() {
        output::note(&format!("warning: {}", plain(warning["message"].as_str().unwrap_or("?"))));
    }
    super::diff::consequences(&config).iter().for_each(|line| output::line(line));
    output::line(&text(&config));
    Ok(Exit::Done)
}

fn text(config: &Value) -> String {
    let short =
        |hash: &Value| plain(hash.as_str().unwrap_or("?")).chars().take(12).collect::<String>();
    let hash = short(&config["hash"]);
    match config.get("canary").filter(|canary| !canary.is_null()) {
        None => format!("configuration {hash} is in force"),
        Some(canary) => format!(
            "configuration {} is on trial beside {hash}: {}% of requests, until {}",
            short(&canary["hash"]),
            canary["share"].as_f64().unwrap_or_default() / 100.0,
            plain(canary["until"].as_str().unwrap_or("?"))
        ),
    }
}
