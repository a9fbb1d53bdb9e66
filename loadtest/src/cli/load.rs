//! `serin-loadtest run`: load, and what came of it.

use clap::Args;
use serin_loadtest::arrivals::{Spacing, Stretch};
use serin_loadtest::client::{Pool, PoolOptions, VersionBy, client_tls};
use serin_loadtest::drive::{Course, Run, Visit, drive};
use serin_loadtest::mix::{Mix, Request};
use serin_loadtest::report::{record_to_html, to_json, to_text};
use serin_loadtest::target::{Protocol, Target};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// http://, https://, ws:// or wss://, with the path if there is no --mix.
    url: String,
    /// Requests a second. `100..500` rises evenly; `100:10,500:20` is 100 for ten seconds and then 500
    /// for twenty.
    #[arg(long, default_value = "100", value_parser = rates)]
    rate: Rates,
    /// Seconds, for a rate that does not say how long.
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
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
    /// Writes a report with plots there.
    #[arg(long)]
    html: Option<PathBuf>,
    /// No line a second on standard error.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let target = Target::parse(&arguments.url).map_err(|e| e.to_string())?;
    let mix = mix(arguments, &target)?;
    let course = course(arguments)?;
    let pool = pool(arguments, target)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let local = tokio::task::LocalSet::new();
    let quiet = arguments.quiet;
    let started = move |run| {
        if !quiet {
            tokio::task::spawn_local(tell(run));
        }
    };
    let run = local
        .block_on(&runtime, drive(Rc::new(pool), Rc::new(mix), &course, started))
        .map_err(|e| e.to_string())?;
    let (record, lasted) = (run.record.borrow(), run.began.elapsed());
    match arguments.output.as_str() {
        "json" => println!("{}", to_json(&record, lasted)),
        _ => print!("{}", to_text(&record, lasted)),
    }
    if let Some(path) = &arguments.html {
        let html = record_to_html(&arguments.url, &record);
        std::fs::write(path, html).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn mix(arguments: &Arguments, target: &Target) -> Result<Mix, String> {
    let Some(path) = &arguments.mix else { return Ok(Mix::one(Request::get(&target.path))) };
    let named = |e: String| format!("{}: {e}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| named(e.to_string()))?;
    Mix::parse(&text).map_err(|e| named(e.to_string()))
}

fn pool(arguments: &Arguments, target: Target) -> Result<Pool, String> {
    let protocol = match (arguments.http2, target.protocol) {
        (Some(_), Protocol::WebSocket) => {
            return Err("WebSockets are spoken over HTTP/1.1 here: leave --http2 out".to_owned());
        }
        (Some(_), _) => Protocol::Http2,
        (None, protocol) => protocol,
    };
    let tls = target.tls.then(|| client_tls(arguments.ca.as_deref(), protocol)).transpose()?;
    let options = PoolOptions {
        connections: arguments.connections,
        streams: arguments.http2.unwrap_or(1),
        timeout: seconds(arguments.timeout)?,
        fresh: arguments.fresh,
    };
    let version_by = arguments.version_by.clone();
    Ok(Pool::new(target, protocol, tls, Vec::new(), version_by, &options))
}

fn course(arguments: &Arguments) -> Result<Course, String> {
    let rest = seconds(arguments.duration)?;
    let stretch = |&(from, to, lasting): &(f64, f64, Option<Duration>)| Stretch {
        from,
        to,
        lasting: lasting.unwrap_or(rest),
    };
    Ok(Course {
        stretches: arguments.rate.0.iter().map(stretch).collect(),
        spacing: if arguments.poisson { Spacing::Poisson } else { Spacing::Even },
        seed: arguments.seed,
        users: arguments.users,
        visit: Visit { requests: arguments.visit.max(1), think: seconds(arguments.think)? },
    })
}

fn seconds(number: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number).map_err(|e| format!("{number} s: {e}"))
}

async fn tell(run: Rc<Run>) {
    for second in 1.. {
        tokio::time::sleep_until((run.began + Duration::from_secs(second)).into()).await;
        let record = run.record.borrow();
        eprintln!(
            "{second:>4} s  {:>9} requests  {:>6} failed  {:>5} under way",
            record.total.requests,
            record.total.failures,
            run.under_way.get()
        );
    }
}

/// From, to, and for how long.
#[derive(Debug, Clone)]
struct Rates(Vec<(f64, f64, Option<Duration>)>);

fn rates(text: &str) -> Result<Rates, String> {
    let wrong = || format!("{text:?} is no rate; write 100, 100..500, or 100:10,500:20");
    let number = |text: &str| {
        let parsed = text.trim().parse::<f64>().ok();
        parsed.filter(|n| *n >= 0.0 && n.is_finite()).ok_or_else(wrong)
    };
    let one = |part: &str| {
        let (rate, lasting) = match part.split_once(':') {
            Some((rate, lasting)) => (rate, Some(seconds(number(lasting)?)?)),
            None => (part, None),
        };
        let (from, to) = rate.split_once("..").unwrap_or((rate, rate));
        Ok::<_, String>((number(from)?, number(to)?, lasting))
    };
    text.split(',').map(one).collect::<Result<_, _>>().map(Rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_constant_or_rises_or_goes_in_steps() {
        let read = |text| rates(text).map(|rates| rates.0);
        assert_eq!(read("100"), Ok(vec![(100.0, 100.0, None)]));
        let ten = Some(Duration::from_secs(10));
        assert_eq!(read("1..500:10,500:10"), Ok(vec![(1.0, 500.0, ten), (500.0, 500.0, ten)]));
        assert!(read("ten").is_err() && read("-1").is_err() && read("1:").is_err());
    }
}
