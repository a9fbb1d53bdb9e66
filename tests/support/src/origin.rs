//! An origin that speaks real HTTP: HTTP/1.1 and cleartext HTTP/2 on one port.
//!
//! What it does follows from the path (see [`Origin`]) and from a fault that a test switches on
//! and off while it runs. It has threads of its own, so a test needs no runtime for it.

mod serve;

use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What a request looked like to the origin. The first ten thousand are kept.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// With the query.
    pub path: String,
    /// In lower case, in order.
    pub headers: Vec<(String, String)>,
    pub http2: bool,
    /// Which connection, counted from 0.
    pub connection: u64,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

const MOST_SEEN: usize = 10_000;

/// What goes wrong, for one request in `every`, while the fault is on. Health checks
/// (`/readyz`) are spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Status(u16),
    Delay(Duration),
    /// Never answers.
    Hang,
    /// Ends the connection (HTTP/2: the stream) instead of answering.
    Drop,
    /// Promises more body than it sends.
    Truncate,
}

/// Behaviour by path; every answer carries `x-version`, and anything else is 200 with the
/// version's name as body:
///
/// | Path | Answer |
/// |---|---|
/// | `/status/503` | that status, at once |
/// | `/delay/250` | after so many milliseconds |
/// | `/echo` | JSON: `version`, `method`, `path`, `headers` (name → list), `length`, `hash` |
/// | `/body` | the request's body, as it comes |
/// | `/bytes/1048576` | so many bytes, with a length |
/// | `/stream/10/100` | so many chunks, so many milliseconds apart |
/// | `/sse/5` | so many server-sent events, 10 ms apart |
/// | `/trailers` | a body, then the trailers `x-trailer: yes` and `x-other: too` |
/// | `/grpc/13` | 200, an empty message and `grpc-status` in the trailers |
/// | `/truncate` | promises 100 bytes, sends 50, ends |
/// | `/drop` | no answer, the connection ends |
/// | `/hang` | no answer, the connection stays |
/// | `/upgrade` | 101 to whatever protocol was asked for, then echoes bytes |
/// | `/readyz` | 200, or 503 after `set_ready(false)`; not counted as a request |
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    state: Arc<State>,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    version: String,
    ready: AtomicBool,
    faults: Mutex<Option<(u64, Fault)>>,
    connections: AtomicU64,
    requests: AtomicU64,
    health_checks: AtomicU64,
    in_flight: AtomicU64,
    by_path: Mutex<BTreeMap<String, u64>>,
    seen: Mutex<Vec<Seen>>,
}

impl Origin {
    /// An origin of a version of this name, on a port of its own.
    pub fn start(version: &str) -> Self {
        Self::start_at(version, "127.0.0.1:0".parse().expect("an address"))
    }

    /// The same at a given address: how an origin that was stopped comes back.
    pub fn start_at(version: &str, address: SocketAddr) -> Self {
        let state = Arc::new(State {
            version: version.to_owned(),
            ready: AtomicBool::new(true),
            faults: Mutex::new(None),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            health_checks: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            by_path: Mutex::new(BTreeMap::new()),
            seen: Mutex::new(Vec::new()),
        });
        let (stop, stopped) = watch::channel(false);
        let (address, thread) = serve::start(address, Arc::clone(&state), stopped);
        Self { address, state, stop, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that came in, health checks left out.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(SeqCst)
    }

    /// The same for one path, without its query.
    pub fn requests_to(&self, path: &str) -> u64 {
        lock(&self.state.by_path).get(path).copied().unwrap_or(0)
    }

    pub fn health_checks(&self) -> u64 {
        self.state.health_checks.load(SeqCst)
    }

    /// Connections that were accepted so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(SeqCst)
    }

    /// Requests whose answer has not begun.
    pub fn in_flight(&self) -> u64 {
        self.state.in_flight.load(SeqCst)
    }

    /// The requests themselves, the first ten thousand of them.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// What the health check's path answers.
    pub fn set_ready(&self, ready: bool) {
        self.state.ready.store(ready, SeqCst);
    }

    /// From now on one request in `every` suffers the fault; the first is the next one.
    pub fn break_one_in(&self, every: u64, fault: Fault) {
        assert!(every > 0, "one request in none");
        *lock(&self.state.faults) = Some((every, fault));
    }

    pub fn break_all(&self, fault: Fault) {
        self.break_one_in(1, fault);
    }

    pub fn heal(&self) {
        *lock(&self.state.faults) = None;
    }

    /// Closes the listener and every connection; returns when that is done.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The hash that `/echo` gives of a body: FNV-1a, 64 bits, in hex.
pub fn body_hash(body: &[u8]) -> String {
    let mut hash = BodyHash::default();
    hash.add(body);
    hash.hex()
}

struct BodyHash(u64);

impl Default for BodyHash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl BodyHash {
    fn add(&mut self, piece: &[u8]) {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        self.0 = piece.iter().fold(self.0, step);
    }

    fn hex(&self) -> String {
        format!("{:016x}", self.0)
    }
}

/// So many bytes that are not all alike.
fn filler(count: usize) -> Bytes {
    (0..count).map(|at| b"serin tests\n"[at % 12]).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
