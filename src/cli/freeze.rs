//! `serin freeze`: nothing starts or advances while it stands. Guards still roll back.

use super::remote::{Remote, finish};
use super::words::plain;
use super::{Exit, output};
use crate::client::{Ask, Failure};
use clap::ValueEnum;
use hyper::Method;
use serde_json::{Value, json};

/// Freeze all rollouts, lift the freeze, or show it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_enum)]
    word: Word,
    /// For the journal and the notifications
    #[arg(long, required_if_eq("word", "on"))]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Word {
    On,
    Off,
    Show,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(set(args))
}

fn set(args: &Args) -> Result<Exit, Failure> {
    let client = args.remote.client()?;
    let frozen = match args.word {
        Word::On => Some(true),
        Word::Off => Some(false),
        Word::Show => None,
    };
    let answer = match frozen {
        Some(frozen) => {
            let body = json!({ "frozen": frozen, "reason": args.reason });
            client.ask(Method::PUT, "/v1/freeze", Ask::body(body))?
        }
        None => client.get("/v1/freeze")?,
    };
    let freeze: Value = answer.read()?;
    if args.remote.is_json() {
        output::json(&freeze);
    } else {
        output::line(&text(&freeze));
    }
    Ok(Exit::Done)
}

fn text(freeze: &Value) -> String {
    let part = |key: &str| plain(freeze[key].as_str().unwrap_or("?"));
    match freeze["frozen"].as_bool() {
        Some(true) => {
            let durable = freeze["durable"].as_bool().unwrap_or(true);
            let not_yet = if durable { "" } else { "; not durable yet" };
            let (since, by, reason) = (part("since"), part("by"), part("reason"));
            format!("frozen since {since} by {by}: {reason}{not_yet}")
        }
        Some(false) | None => "not frozen".to_owned(),
    }
}
