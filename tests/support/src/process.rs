//! The binary as a process: started, watched by what it logs, and ended in every way.
//!
//! A test passes `env!("CARGO_BIN_EXE_serin")`, which only the root package's tests know. The
//! ports are free ones, so the process says where it listens: one line for each listener that
//! has the word `listening`, the listener's name (`admin` for the admin API) and the address.

use crate::wait::{PATIENCE, eventually};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A running `serin run`. It is killed when the value goes away.
#[derive(Debug)]
pub struct Serin {
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
}

/// How long a process that has ended may leave what it wrote unread. A successor keeps its streams open
/// for longer.
const UNREAD: Duration = Duration::from_secs(2);

impl Serin {
    /// `serin run --config PATH`. Returns at once; [`Serin::address`] waits.
    pub fn run(binary: &str, config: &Path) -> Self {
        Self::start(Command::new(binary).arg("run").arg("--config").arg(config))
    }

    /// Any command of the binary that goes on until it is ended.
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let log = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().map(|stdout| keep(stdout, Arc::clone(&log)));
        let stderr = child.stderr.take().map(|stderr| keep(stderr, Arc::clone(&log)));
        Self { child, log, readers: stdout.into_iter().chain(stderr).collect() }
    }

    /// Where a listener listens, as soon as it does.
    pub fn address(&mut self, listener: &str) -> SocketAddr {
        eventually(&format!("{listener} listens"), || {
            let ended = self.child.try_wait().expect("a process to ask");
            let log = self.log();
            assert!(ended.is_none(), "the process ended before it listened:\n{log}");
            log.lines().find_map(|line| address_in(line, listener))
        })
    }

    /// Everything it has written so far, on both streams.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name: `TERM`, `HUP`, `STOP`.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.pid())).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {name}");
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }

    /// Waits until it has ended by itself, and until what it wrote is in its log.
    pub fn ended(&mut self) -> ExitStatus {
        let status =
            eventually("the process ends", || self.child.try_wait().expect("a process to ask"));
        let began = Instant::now();
        while self.readers.iter().any(|reader| !reader.is_finished()) && began.elapsed() < UNREAD {
            thread::sleep(Duration::from_millis(1));
        }
        status
    }
}

impl Drop for Serin {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- what the process wrote:\n{}", self.log());
        }
    }
}

fn keep(stream: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&line);
            log.push('\n');
        }
    })
}

fn address_in(line: &str, listener: &str) -> Option<SocketAddr> {
    let mut words = line.split(|c: char| c.is_whitespace() || "\"'=,{}".contains(c));
    let about = line.contains("listening") && words.clone().any(|word| word == listener);
    about.then(|| words.find_map(|word| word.parse().ok())).flatten()
}

/// What a command of the binary that ends by itself has said.
#[derive(Debug)]
pub struct Finished {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command of the binary to its end; panics past [`PATIENCE`].
pub fn finish<S: AsRef<OsStr>>(binary: &str, arguments: &[S]) -> Finished {
    let mut command = Command::new(binary);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let stdout = child.stdout.take().map(gather);
    let stderr = child.stderr.take().map(gather);
    let status = eventually(&format!("{command:?} ends within {PATIENCE:?}"), || {
        child.try_wait().expect("a process to ask")
    });
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader.map_or_else(String::new, |r| r.join().expect("a reader"))
    };
    Finished { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

fn gather(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _broken = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn an_address_is_found_in_plain_and_json_logs() {
        let plain =
            "2026-11-21T02:00:00Z  INFO serin: listening listener=http address=127.0.0.1:81";
        assert_eq!(address_in(plain, "http"), "127.0.0.1:81".parse().ok());
        assert_eq!(address_in(plain, "https"), None);
        let json = r#"{"fields":{"message":"listening","listener":"admin","address":"[::1]:82"}}"#;
        assert_eq!(address_in(json, "admin"), "[::1]:82".parse().ok());
        assert_eq!(address_in("listening: http 127.0.0.1:83", "http"), "127.0.0.1:83".parse().ok());
    }
}
