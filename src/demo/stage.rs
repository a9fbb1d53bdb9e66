//! What the demo plays on: three versions of a shop, Serin in front of them, and its clients.

use super::Options;
use crate::run::{Run, Running, Takeover};
use serin_control::Handle;
use serin_loadtest::arrivals::{Spacing, Stretch};
use serin_loadtest::backend::{Backend, Behaviour, Share};
use serin_loadtest::client::{Pool, PoolOptions, VersionBy};
use serin_loadtest::drive::{Course, Visit, drive};
use serin_loadtest::mix::{Mix, Request};
use serin_loadtest::target::{Protocol, Target};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU16;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Requests a second: enough to prove a healthy candidate within seconds.
pub(super) const RATE: f64 = 500.0;
pub(super) const SERVICE: &str = "shop";

pub(super) struct Stage {
    pub(super) http: SocketAddr,
    pub(super) admin: SocketAddr,
    backends: [Backend; 3],
    serin: Running,
    clients: Clients,
    folder: tempfile::TempDir,
}

impl Stage {
    pub(super) fn build(options: &Options) -> Result<Self, String> {
        let text = |e: std::io::Error| e.to_string();
        let folder = tempfile::Builder::new().prefix("serin-demo-").tempdir().map_err(text)?;
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let backend = |version: &str| Backend::start(version, anywhere, healthy()).map_err(text);
        let backends = [backend("v1")?, backend("v2")?, backend("v3")?];
        let (http, admin) = addresses(options)?;
        let addresses = [0, 1, 2].map(|at: usize| backends[at].address());
        let state = folder.path().join("state");
        let path = folder.path().join("serin.yaml");
        let config = configuration(http, admin, &state, &addresses, First::Healthy);
        std::fs::write(&path, config).map_err(text)?;
        let loaded = serin_config::load(&path, &serin_config::Options::default())
            .map_err(|faults| faults.to_string())?;
        let serin = Running::start(Run {
            path,
            loaded,
            threads: NonZeroU16::new(2),
            grace: Duration::from_secs(1),
            upgrade_grace: Duration::ZERO,
            watch: true,
            takeover: Takeover::default(),
            adopt: Vec::new(),
        })
        .map_err(|e| e.to_string())?;
        let clients = Clients::start(http)?;
        Ok(Self { http, admin, backends, serin, clients, folder })
    }

    pub(super) fn handle(&self) -> Handle {
        self.serin.handle()
    }

    /// The next release: v3 is to follow v2.
    pub(super) async fn release_v3(&self) -> Result<(), String> {
        let addresses = [0, 1, 2].map(|at: usize| self.backends[at].address());
        let state = self.folder.path().join("state");
        let text = configuration(self.http, self.admin, &state, &addresses, First::Broken);
        std::fs::write(self.folder.path().join("serin.yaml"), text).map_err(|e| e.to_string())?;
        self.serin.reload().await.map(|_| ()).map_err(|faults| faults.to_string())
    }

    /// One request in four of v3 fails from now on.
    pub(super) fn break_v3(&self) {
        self.backends[2].behave(Behaviour { errors: Share(0.25), ..healthy() });
    }

    /// Requests that clients sent, and those that failed.
    pub(super) fn clients(&self) -> (u64, u64) {
        (self.clients.sent.load(Relaxed), self.clients.failed.load(Relaxed))
    }

    pub(super) fn keep_configuration(&self, to: &Path) -> Result<(), String> {
        let from = self.folder.path().join("serin.yaml");
        std::fs::copy(from, to).map(|_| ()).map_err(|e| format!("{}: {e}", to.display()))
    }

    pub(super) fn strike(self, runtime: &Runtime) {
        self.clients.stop();
        self.serin.stop(Duration::from_secs(1), runtime);
    }
}

fn healthy() -> Behaviour {
    Behaviour {
        latency: Duration::from_millis(4),
        latency_p99: Duration::from_millis(20),
        ..Behaviour::default()
    }
}

/// Both are held at once, so that they differ, and released for Serin to take.
fn addresses(options: &Options) -> Result<(SocketAddr, SocketAddr), String> {
    let bind = |address: SocketAddr| {
        TcpListener::bind(address).map_err(|e| format!("cannot listen on {address}: {e}"))
    };
    let (http, admin) = (bind(options.http)?, bind(options.admin)?);
    let address = |l: &TcpListener| l.local_addr().map_err(|e| e.to_string());
    Ok((address(&http)?, address(&admin)?))
}

/// Which rollout the configuration plans.
#[derive(Clone, Copy)]
enum First {
    Healthy,
    Broken,
}

fn configuration(
    http: SocketAddr,
    admin: SocketAddr,
    state: &Path,
    backends: &[SocketAddr; 3],
    rollout: First,
) -> String {
    let (stable, to) = match rollout {
        First::Healthy => ("v1", "v2"),
        First::Broken => ("v2", "v3"),
    };
    let [v1, v2, v3] = backends;
    format!(
        "\
# The configuration of the demo. Holds are seconds here; minutes or hours are usual.
version: 1
listeners:
  - {{ name: http, address: \"{http}\", protocol: HTTP }}
admin: {{ address: \"{admin}\" }}
state: {{ dir: \"{}\" }}
services:
  {SERVICE}:
    stable: {stable}
    versions:
      v1: {{ release: \"1.0\", endpoints: [\"{v1}\"] }}
      v2: {{ release: \"1.1\", endpoints: [\"{v2}\"] }}
      v3: {{ release: \"1.2\", endpoints: [\"{v3}\"] }}
    slo: {{ availability: {{ objective: 99% }} }}
    rollout:
      to: {to}
      baseline: 0%
      steps:
        - {{ weight: 10%, hold: 6s }}
        - {{ weight: 50%, hold: 5s }}
        - {{ weight: 100%, hold: 3s }}
      evidence: {{ minRequests: 300 }}
      guards:
        - {{ name: errors, errorRate: \"> 5%\", over: 3s, action: rollback }}
routes:
  - {{ name: shop, matches: [ {{ path: {{ prefix: / }} }} ], service: {SERVICE} }}
accessLog: {{ format: off }}
",
        state.display()
    )
}

/// Traffic on a thread of its own.
struct Clients {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

/// Longer than any demo; it is cut off.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

impl Clients {
    fn start(http: SocketAddr) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let (sent, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let target = Target::parse(&format!("http://{http}/")).map_err(|e| e.to_string())?;
        let shared = (Arc::clone(&stop), Arc::clone(&sent), Arc::clone(&failed));
        let thread = std::thread::Builder::new()
            .name("demo clients".to_owned())
            .spawn(move || traffic(target, shared))
            .map_err(|e| e.to_string())?;
        Ok(Self { stop, sent, failed, thread })
    }

    fn stop(self) {
        self.stop.store(true, Relaxed);
        // A panic in it was printed by then.
        let _panicked = self.thread.join();
    }
}

fn traffic(target: Target, shared: (Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)) {
    let (stop, sent, failed) = shared;
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let options =
        PoolOptions { connections: 64, streams: 1, timeout: Duration::from_secs(10), fresh: false };
    let by = VersionBy::Header("x-version".to_owned());
    let pool = Pool::new(target, Protocol::Http1, None, Vec::new(), by, &options);
    let course = Course {
        stretches: vec![Stretch { from: RATE, to: RATE, lasting: FOR_EVER }],
        spacing: Spacing::Poisson,
        seed: 1,
        users: 0,
        visit: Visit::default(),
    };
    let report = move |run: Rc<serin_loadtest::drive::Run>| {
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let record = run.record.borrow();
                sent.store(record.total.requests, Relaxed);
                failed.store(record.total.failures, Relaxed);
            }
        });
    };
    let until = async move {
        while !stop.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            _ = drive(Rc::new(pool), Rc::new(Mix::one(Request::get("/"))), &course, report) => {}
            () = until => {}
        }
    });
}
