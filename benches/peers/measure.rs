//! One scenario, all peers, in rounds.

use crate::backends::Backends;
use crate::machine::{Place, await_port, cpu, memory};
use crate::peer::{Kind, Peer};
use crate::scenario::{Load, Scenario};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// What one round gave.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    /// Microseconds.
    pub(crate) cpu: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) failed: f64,
    /// Kilobytes for each connection.
    pub(crate) memory: f64,
    /// For each request.
    pub(crate) copies: f64,
}

pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) rounds: Vec<Figures>,
}

pub(crate) fn scenario(
    scenario: Scenario,
    kinds: &[Kind],
    rounds: usize,
    seconds: u64,
) -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let backends = Backends::start(folder.path(), scenario.place(), scenario.messages())?;
    let fill = backends.fill(folder.path());
    if scenario == Scenario::Idle {
        return idle_rows(kinds, rounds, folder.path(), &fill);
    }
    let mut peers = Vec::new();
    for kind in kinds {
        if let Some(template) = kind.template(scenario.config()) {
            let peer = Peer::start(*kind, &template, folder.path(), &fill, scenario.place())?;
            if *kind == Kind::Serin && scenario.config() == "split" {
                start_rollout(peer.admin)?;
            }
            peers.push((peer, Vec::new()));
        }
    }
    // Connections are opened and caches warmed in a round that does not count.
    for (peer, _) in &peers {
        round(scenario, peer, 1, folder.path(), &backends)?;
    }
    for _ in 0..scenario.rounds(rounds) {
        for (peer, figures) in &mut peers {
            figures.push(round(scenario, peer, seconds, folder.path(), &backends)?);
        }
    }
    Ok(peers.into_iter().map(|(peer, rounds)| Row { kind: peer.kind, rounds }).collect())
}

fn round(
    scenario: Scenario,
    peer: &Peer,
    seconds: u64,
    folder: &Path,
    backends: &Backends,
) -> Result<Figures, String> {
    match scenario.load(peer.port, seconds, folder) {
        Load::Idle => Err("idle connections are held, not asked".to_owned()),
        Load::Command(mut command) => {
            let (before, asked) = (cpu(peer.pid()), backends.asked()?);
            let output = command.output().map_err(|e| e.to_string())?;
            if scenario.mirrors() {
                // A copy may leave after its request was answered, and costs all the same.
                std::thread::sleep(Duration::from_secs(1));
            }
            let (used, asked) = (cpu(peer.pid()) - before, backends.asked()? - asked);
            let text = String::from_utf8_lossy(&output.stdout);
            let said = String::from_utf8_lossy(&output.stderr);
            if let Some(line) = said.lines().find(|line| line.starts_with("the first that failed"))
            {
                eprintln!("{}: {line}", peer.kind.name());
            }
            if !output.status.success() {
                let complaint = String::from_utf8_lossy(&output.stderr);
                return Err(format!(
                    "{}: the load generator failed: {complaint}",
                    peer.kind.name()
                ));
            }
            let mut figures = match scenario {
                Scenario::Http2 | Scenario::Grpc => from_h2load(&text),
                Scenario::Fixed
                | Scenario::MirrorFixed
                | Scenario::WebSocket
                | Scenario::GrpcStream => from_json(&text),
                Scenario::Small
                | Scenario::Split
                | Scenario::Unpinned
                | Scenario::Mirror
                | Scenario::Post
                | Scenario::Large
                | Scenario::Tls
                | Scenario::Fresh
                | Scenario::Handshake
                | Scenario::Routes
                | Scenario::HttpsBackend
                | Scenario::Upload
                | Scenario::Idle => from_wrk(&text),
            }
            .ok_or_else(|| format!("{}: the load generator said:\n{text}", peer.kind.name()))?;
            figures.copies = asked / figures.requests.max(1.0) - 1.0;
            figures.cpu = used.as_secs_f64() * 1e6 / figures.requests.max(1.0);
            Ok(figures)
        }
    }
}

fn start_rollout(admin: u16) -> Result<(), String> {
    await_port(admin)?;
    let body = "{\"to\":\"v2\",\"reason\":\"bench\"}";
    let mut stream = TcpStream::connect(("127.0.0.1", admin)).map_err(|e| e.to_string())?;
    let head = format!(
        "POST /v1/services/app/rollout HTTP/1.1\r\nHost: 127.0.0.1:{admin}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).map_err(|e| e.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    let ok = answer.starts_with("HTTP/1.1 2");
    // The split is in force within a tick or two.
    std::thread::sleep(Duration::from_secs(1));
    if ok { Ok(()) } else { Err(format!("the rollout was not started:\n{answer}")) }
}

/// Each round has fresh processes: one that has served as many connections before has the memory for
/// them already, and would seem to need none.
fn idle_rows(
    kinds: &[Kind],
    rounds: usize,
    folder: &Path,
    fill: &[(&'static str, String)],
) -> Result<Vec<Row>, String> {
    let present = |kind: &&Kind| kind.template(Scenario::Idle.config()).is_some();
    let mut rows: Vec<Row> =
        kinds.iter().filter(present).map(|kind| Row { kind: *kind, rounds: Vec::new() }).collect();
    for _ in 0..rounds {
        for row in &mut rows {
            let Some(template) = row.kind.template(Scenario::Idle.config()) else { continue };
            let peer = Peer::start(row.kind, &template, folder, fill, Place::Pinned)?;
            row.rounds.push(idle(&peer).map_err(|e| format!("{}: {e}", row.kind.name()))?);
        }
    }
    Ok(rows)
}

const IDLE: usize = 5_000;

/// The first connection is not counted: what the process sets up once is not a connection's.
fn idle(peer: &Peer) -> Result<Figures, String> {
    let _first = hold(peer)?;
    std::thread::sleep(Duration::from_millis(500));
    let before = memory(peer.pid());
    let mut held = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        held.push(hold(peer)?);
    }
    std::thread::sleep(Duration::from_secs(1));
    let kilobytes = memory(peer.pid()).saturating_sub(before) as f64;
    Ok(Figures { requests: IDLE as f64, memory: kilobytes / IDLE as f64, ..Figures::default() })
}

/// A connection that has been answered once and is kept.
fn hold(peer: &Peer) -> Result<TcpStream, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", peer.port)).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|e| e.to_string())?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").map_err(|e| e.to_string())?;
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).map_err(|e| e.to_string())?;
    match buffer[..read].starts_with(b"HTTP/1.1 200") {
        true => Ok(stream),
        false => Err(format!("an answer of {:?}", String::from_utf8_lossy(&buffer[..read]))),
    }
}

/// A number with its unit, as wrk writes times: `1.23ms`.
fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units
        .iter()
        .find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

fn word_after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|l| l.trim().strip_prefix(label))?;
    line.split_whitespace().next()
}

fn from_wrk(text: &str) -> Option<Figures> {
    let requests = text.lines().find(|l| l.contains(" requests in "))?;
    let failed = text.lines().find_map(|l| l.trim().strip_prefix("Non-2xx or 3xx responses:"));
    Some(Figures {
        requests: requests.split_whitespace().next()?.parse().ok()?,
        per_second: word_after(text, "Requests/sec:")?.parse().ok()?,
        p50: micros(word_after(text, "50%")?)?,
        p99: micros(word_after(text, "99%")?)?,
        failed: failed.and_then(|n| n.trim().parse().ok()).unwrap_or(0.0),
        ..Figures::default()
    })
}

fn from_h2load(text: &str) -> Option<Figures> {
    let line = text.lines().find(|l| l.starts_with("requests:"))?;
    let number_before = |label: &str| {
        let before = line.split(label).next()?.trim();
        before.rsplit([' ', ',']).next()?.parse::<f64>().ok()
    };
    let finished = text.lines().find(|l| l.starts_with("finished in"))?;
    let rate = finished.split(", ").nth(1)?.split(' ').next()?;
    let time = text.lines().find_map(|l| l.strip_prefix("time for request:"))?;
    Some(Figures {
        requests: number_before("succeeded")?,
        per_second: rate.parse().ok()?,
        p50: micros(time.split_whitespace().nth(2)?)?,
        failed: number_before("failed")?,
        ..Figures::default()
    })
}

fn from_json(text: &str) -> Option<Figures> {
    let report: serde_json::Value = serde_json::from_str(text).ok()?;
    let total = report.get("total")?;
    let millis = |q: &str| Some(total.get("latencyMs")?.get(q)?.as_f64()? * 1e3);
    Some(Figures {
        requests: total.get("requests")?.as_f64()?,
        per_second: total.get("requests")?.as_f64()? / report.get("seconds")?.as_f64()?,
        p50: millis("p50")?,
        p99: millis("p99")?,
        failed: total.get("failures")?.as_f64()?,
        ..Figures::default()
    })
}
