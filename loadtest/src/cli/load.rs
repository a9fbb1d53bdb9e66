//! `serin-loadtest run`: load, and what came of it.

use clap::Args;
use serin_loadtest::arrivals::{Spacing, Stretch};
use serin_loadtest::client::{Pool, PoolOptions, VersionBy, client_tls};
use serin_loadtest::drive::{Course, Visit, drive};
use serin_loadtest::mix::{Mix, Request};
use serin_loadtest::report::{to_json, to_text};
use serin_loadtest::target::{Protocol, Target};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// http://, https://, ws:// or wss://, with the path if there is no --mix.
    url: String,
    /// Requests a second; `100..500` rises evenly.
    #[arg(long, default_value = "100")]
    rate: String,
    /// Seconds.
    #[arg(long, default_value_t = 10.0)]
    duration: f64,
    /// Independent arrivals instead of even ones.
    #[arg(long)]
    poisson: bool,
    /// At most so many at once.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// HTTP/2, with so many streams on each connection.
    #[arg(long)]
    http2: Option<usize>,
    /// A new connection for every request.
    #[arg(long)]
    fresh: bool,
    /// So many users with cookies.
    #[arg(long, default_value_t = 0)]
    users: u32,
    /// Requests that each arrival sends, one after the other.
    #[arg(long, default_value_t = 1)]
    visit: u32,
    /// Seconds between an answer and the next request of a visit.
    #[arg(long, default_value_t = 0.0)]
    think: f64,
    /// A file of weighted requests, or an access log.
    #[arg(long)]
    mix: Option<PathBuf>,
    /// Where an answer says its version: header:NAME, body:FIELD, cookie:NAME or none.
    #[arg(long, default_value = "header:x-serin-version", value_parser = VersionBy::parse)]
    version_by: VersionBy,
    /// Seconds.
    #[arg(long, default_value_t = 30.0)]
    timeout: f64,
    /// The authorities to trust; without it every certificate is accepted.
    #[arg(long)]
    ca: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// text or json.
    #[arg(short, long, default_value = "text")]
    output: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let target = Target::parse(&arguments.url).map_err(|e| e.to_string())?;
    let mix = match &arguments.mix {
        None => Mix::one(Request::get(&target.path)),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
            Mix::parse(&text).map_err(|e| format!("{}: {e}", path.display()))?
        }
    };
    let protocol = if arguments.http2.is_some() { Protocol::Http2 } else { Protocol::Http1 };
    let tls = target.tls.then(|| client_tls(arguments.ca.as_deref(), protocol)).transpose()?;
    let options = PoolOptions {
        connections: arguments.connections,
        streams: arguments.http2.unwrap_or(1),
        timeout: Duration::from_secs_f64(arguments.timeout),
        fresh: arguments.fresh,
    };
    let pool = Pool::new(target, protocol, tls, Vec::new(), arguments.version_by.clone(), &options);
    let course = Course {
        stretches: vec![stretch(&arguments.rate, arguments.duration)?],
        spacing: if arguments.poisson { Spacing::Poisson } else { Spacing::Even },
        seed: arguments.seed,
        users: arguments.users,
        visit: Visit {
            requests: arguments.visit.max(1),
            think: Duration::from_secs_f64(arguments.think),
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let local = tokio::task::LocalSet::new();
    let run = local
        .block_on(&runtime, drive(Rc::new(pool), Rc::new(mix), &course, |_| {}))
        .map_err(|e| e.to_string())?;
    let (record, lasted) = (run.record.borrow(), run.began.elapsed());
    match arguments.output.as_str() {
        "json" => println!("{}", to_json(&record, lasted)),
        _ => print!("{}", to_text(&record, lasted)),
    }
    Ok(())
}

fn stretch(rate: &str, seconds: f64) -> Result<Stretch, String> {
    let number = |text: &str| {
        let parsed = text.parse::<f64>().ok().filter(|rate| *rate >= 0.0);
        parsed.ok_or_else(|| format!("{text:?} is no rate; write 100, or 100..500"))
    };
    let (from, to) = rate.split_once("..").unwrap_or((rate, rate));
    Ok(Stretch { from: number(from)?, to: number(to)?, lasting: Duration::from_secs_f64(seconds) })
}
