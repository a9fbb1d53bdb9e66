//! Serin beside its peers: CPU per request, throughput and latency, in the same run.
//!
//! `cargo bench --bench peers -- --help`. Installs nothing: it uses whichever of nginx, haproxy,
//! envoy, traefik and caddy the machine has, and needs nginx (as the backend), wrk and h2load. The
//! proxy under test is pinned to one core with one worker, load and backend to another. Peers take
//! turns round by round, because the machine's speed drifts; medians and ratios are printed.

mod attack;
mod backends;
mod machine;
mod measure;
mod messages;
mod peer;
mod scenario;
mod table;

use peer::Kind;
use scenario::Scenario;
use std::process::ExitCode;

struct Arguments {
    rounds: usize,
    seconds: u64,
    scenarios: Vec<Scenario>,
    peers: Vec<Kind>,
    /// Memory under these in the place of scenarios; none named: all.
    attacks: Option<Vec<String>>,
}

const HELP: &str = "\
usage: cargo bench --bench peers -- [--rounds 3] [--seconds 4]
         [--scenarios split,post,...] [--peers serin,nginx,...]
       cargo bench --bench peers -- --attacks [unread-0,hpack-3,...] [--peers serin,nginx,...]
";

fn main() -> ExitCode {
    // `cargo test` builds and starts benches, too, without this flag.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|a| a == "--bench") {
        return ExitCode::SUCCESS;
    }
    let done = match arguments.iter().position(|a| a == messages::WORD) {
        Some(at) => messages::main(&arguments[at + 1..]),
        None => parse(&arguments).and_then(|parsed| run(&parsed)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<Arguments, String> {
    let mut parsed = Arguments {
        rounds: 3,
        seconds: 4,
        scenarios: Scenario::ALL.to_vec(),
        peers: Kind::ALL.to_vec(),
        attacks: None,
    };
    let mut words = arguments.iter().filter(|a| *a != "--bench").peekable();
    while let Some(word) = words.next() {
        if word == "--attacks" {
            let names = words.next_if(|next| !next.starts_with("--"));
            let names = names.map(|names| names.split(',').map(str::to_owned).collect());
            parsed.attacks = Some(names.unwrap_or_default());
            continue;
        }
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{HELP}"));
        match word.as_str() {
            "--rounds" => parsed.rounds = number(value()?)?,
            "--seconds" => parsed.seconds = number(value()?)?,
            "--scenarios" => parsed.scenarios = list(value()?, Scenario::named)?,
            "--peers" => parsed.peers = list(value()?, Kind::named)?,
            _ => return Err(HELP.to_owned()),
        }
    }
    Ok(parsed)
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn list<T>(text: &str, named: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let one = |name| named(name).ok_or_else(|| format!("{name:?} is not known\n{HELP}"));
    text.split(',').map(one).collect()
}

fn run(arguments: &Arguments) -> Result<(), String> {
    machine::require(&["nginx", "wrk", "h2load", "taskset"])?;
    let present: Vec<Kind> = arguments.peers.iter().copied().filter(|k| k.present()).collect();
    for kind in &present {
        println!("{:<8} {}", kind.name(), kind.version());
    }
    println!("machine  {}\n", machine::describe());
    if let Some(attacks) = &arguments.attacks {
        let names: Vec<&str> = attacks.iter().map(String::as_str).collect();
        return attack::run(&names, &present);
    }
    for scenario in &arguments.scenarios {
        let rows = measure::scenario(*scenario, &present, arguments.rounds, arguments.seconds)?;
        table::print(*scenario, &rows);
    }
    Ok(())
}
