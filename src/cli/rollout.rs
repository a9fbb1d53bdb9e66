//! `serin rollout …`: telling a rollout what to do, and waiting for what becomes of it.

use super::remote::{Remote, finish};
use super::{Exit, follow, output, span};
use crate::client::{Ask, Client, Failure, segment};
use clap::Subcommand;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Start, promote, approve, pause, resume, abort, undo or retry a rollout
///
/// With --wait the exit code says what became of it: 0 complete, 3 rolled back, 4 paused or
/// waiting for somebody, 5 timed out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    word: Word,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Begin to move a service to another version
    Start(Start),
    /// Go to the next step now, past holds, approvals and missing evidence
    Promote(Promote),
    /// Let the next step pass; its hold and evidence are still waited for
    Approve(Approve),
    /// Tick an item of a checklist ahead
    Tick(Tick),
    /// Stay at the present weight; guards still roll back
    Pause(Told),
    /// Go on after a pause
    Resume(Told),
    /// Go back to stable now
    Abort(Told),
    /// Take a completed rollout back: what was stable before it gets every request again, now
    Undo(Told),
    /// Begin the last rollout anew, also when its release is quarantined
    Retry(Told),
}

#[derive(Debug, clap::Args)]
struct Start {
    service: String,
    /// The version to bring in; the configuration's rollout.to when left out
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Refuse unless the configuration gives that version this release
    #[arg(long)]
    release: Option<String>,
    /// Take the place of a rollout under way: its share goes to stable; without it, the configuration's
    /// rollout.onBusy says what happens
    #[arg(long)]
    supersede: bool,
    /// When the change was committed, in RFC 3339; lead time counts from there
    #[arg(long, value_name = "TIME")]
    committed_at: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct Told {
    service: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct Promote {
    service: String,
    /// Refuse unless the rollout is on this step, as `serin status` counts them: a second promotion
    /// of one step is then none of the next
    #[arg(long, value_name = "N")]
    from_step: Option<u16>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct Approve {
    service: String,
    /// The step of this weight instead of the next one, like 50%
    #[arg(long, value_parser = span::parse_weight, value_name = "WEIGHT")]
    before: Option<u16>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct Tick {
    service: String,
    /// As the configuration writes it
    item: String,
    /// It is not done after all
    #[arg(long)]
    take_back: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct How {
    /// For the journal, the report and the notifications
    #[arg(long)]
    reason: Option<String>,
    /// Wait until it is over, or until only somebody can move it
    #[arg(long)]
    wait: bool,
    /// How long to wait, like 90s or 2h; without it there is no end
    #[arg(long, value_parser = span::parse, requires = "wait", value_name = "TIME")]
    timeout: Option<Duration>,
    /// A repetition with the same key is answered, and not done again
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// What is needed of the answer.
#[derive(Debug, Deserialize)]
struct Done {
    id: Option<String>,
    /// Instead of `id`: one that is to come.
    rollout: Option<String>,
    message: String,
}

pub(crate) fn run(args: &Args) -> Exit {
    finish(match &args.word {
        Word::Start(start) => begin(start),
        Word::Promote(promote) => {
            let from = promote.from_step.map(|step| ("fromStep", json!(step)));
            tell(&promote.service, "promote", from, &promote.how)
        }
        Word::Approve(approve) => {
            let before = approve.before.map(|before| ("before", json!(before)));
            tell(&approve.service, "approve", before, &approve.how)
        }
        Word::Tick(tick) => {
            let asked = [("item", json!(tick.item)), ("done", json!(!tick.take_back))];
            tell(&tick.service, "checklist", asked, &tick.how)
        }
        Word::Pause(told) => tell(&told.service, "pause", None, &told.how),
        Word::Resume(told) => tell(&told.service, "resume", None, &told.how),
        Word::Abort(told) => tell(&told.service, "abort", None, &told.how),
        Word::Undo(told) => tell(&told.service, "undo", None, &told.how),
        Word::Retry(told) => tell(&told.service, "retry", None, &told.how),
    })
}

fn begin(start: &Start) -> Result<Exit, Failure> {
    let mut body = Map::new();
    let given = [
        ("to", &start.to),
        ("release", &start.release),
        ("committedAt", &start.committed_at),
        ("reason", &start.how.reason),
    ];
    for (key, value) in given {
        if let Some(value) = value {
            body.insert(key.to_owned(), json!(value));
        }
    }
    if start.supersede {
        body.insert("supersede".to_owned(), json!(true));
    }
    let path = format!("/v1/services/{}/rollout", segment(&start.service));
    send(&start.service, &path, Value::Object(body), &start.how)
}

fn tell(
    service: &str,
    word: &str,
    more: impl IntoIterator<Item = (&'static str, Value)>,
    how: &How,
) -> Result<Exit, Failure> {
    let reason = how.reason.as_ref().map(|reason| ("reason", json!(reason)));
    let body = reason.into_iter().chain(more).map(|(key, value)| (key.to_owned(), value)).collect();
    let path = format!("/v1/services/{}/rollout/{word}", segment(service));
    send(service, &path, Value::Object(body), how)
}

fn send(service: &str, path: &str, body: Value, how: &How) -> Result<Exit, Failure> {
    let client: Client = how.remote.client()?;
    let ask = Ask { key: how.idempotency_key.clone(), ..Ask::body(body) };
    let answer = client.ask(Method::POST, path, ask)?;
    let done: Done = answer.read()?;
    match (how.wait, how.remote.is_json()) {
        (false, true) => output::json(&answer.read::<Value>()?),
        (_, false) => output::line(&done.message),
        (true, true) => {}
    }
    match done.id.or(done.rollout).filter(|_| how.wait) {
        Some(id) => follow::rollout(&client, service, &id, how.timeout, how.remote.output),
        None => Ok(Exit::Done),
    }
}
