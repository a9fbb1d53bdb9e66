//! A proxy with control in this process, two origins, and a crowd of keep-alive clients.

use serin_control::{
    Actor, Command, Control, Handle, Options as ControlOptions, Order, Outcome, Refusal,
    RolloutView, StartRollout,
};
use serin_core::ids::ServiceName;
use serin_proxy::{Options, Proxy, ProxyError};
use serin_testkit::{ConfigText, Connection, Origin, ServiceText, eventually, temp_dir};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) const HOST: &str = "shop.test";

pub(crate) struct Bench {
    pub(crate) stable: Origin,
    pub(crate) candidate: Origin,
    pub(crate) address: SocketAddr,
    handle: Handle,
    runtime: tokio::runtime::Runtime,
    _parts: (Proxy, Control),
    _dir: tempfile::TempDir,
}

pub(crate) fn config(stable: &Origin, candidate: &Origin, rollout: &str) -> ConfigText {
    let service = ServiceText::new("shop")
        .version("v1", &[stable.address()])
        .version("v2", &[candidate.address()])
        .with("outliers: { consecutiveFailures: 0 }")
        .with("retries: { attempts: 0 }")
        .with("session: { by: none }")
        .with(&format!("rollout: {{ to: v2, {rollout} }}"));
    ConfigText::simple(service).with("accessLog: { format: off }")
}

pub(crate) fn service() -> ServiceName {
    ServiceName::new("shop").expect("a name")
}

impl Bench {
    /// `rollout` is what follows `to: v2`.
    pub(crate) fn open(rollout: &str) -> Self {
        Self::with(rollout, "")
    }

    /// With more of the file, as YAML.
    pub(crate) fn with(rollout: &str, more: &str) -> Self {
        let (stable, candidate) = (Origin::start("v1"), Origin::start("v2"));
        let dir = temp_dir();
        let path = config(&stable, &candidate, rollout).with(more).write_to(dir.path());
        let loaded = serin_config::load(&path, &serin_config::Options::default());
        let config = Arc::new(loaded.unwrap_or_else(|faults| panic!("{faults:?}")).config);
        let steer = |plane| {
            let control = Control::start(config.clone(), plane, ControlOptions::default());
            Ok::<_, ProxyError>(control.expect("control starts"))
        };
        let (proxy, control) =
            Proxy::start_steered(config.clone(), &Options::default(), steer).expect("a proxy");
        let address = proxy.address("http").expect("the listener");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let handle = control.handle();
        Self { stable, candidate, address, handle, runtime, _parts: (proxy, control), _dir: dir }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn command(&self, command: Command) -> Result<Outcome, Refusal> {
        let order = Order::new(command, Actor("test".into()));
        self.runtime.block_on(self.handle.command(&service(), order))
    }

    /// Starts the rollout once its first look allows it.
    pub(crate) fn start(&self) {
        let begin = || {
            let reason = "a live run".to_owned();
            let start = StartRollout { to: None, reason, release: None, committed_at: None };
            self.command(Command::Start(start)).is_ok()
        };
        eventually("the rollout starts", begin);
    }

    pub(crate) fn rollout(&self) -> Option<RolloutView> {
        self.handle.snapshot().service("shop").and_then(|s| s.rollout.clone())
    }

    pub(crate) fn weight(&self) -> u16 {
        let snapshot = self.handle.snapshot();
        snapshot.service("shop").and_then(|s| s.weights.get("v2").copied()).unwrap_or(0)
    }

    pub(crate) fn state(&self) -> &'static str {
        self.rollout().map_or("none", |r| r.state.as_str())
    }

    /// Looks every millisecond; `None` when it does not come to hold within so long.
    pub(crate) fn until(
        &self,
        at_most: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let began = Instant::now();
        while began.elapsed() < at_most {
            if holds(self) {
                return Some(began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }

    pub(crate) fn load(&self, per_second: u64) -> Load {
        Load::start(self.address, per_second)
    }
}

/// So many requests a second over sixteen kept-alive connections.
pub(crate) struct Load {
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    good: AtomicU64,
    failed: AtomicU64,
    /// No whole answer at all.
    broken: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) good: u64,
    pub(crate) failed: u64,
    pub(crate) broken: u64,
}

const CLIENTS: u64 = 16;

impl Load {
    fn start(address: SocketAddr, per_second: u64) -> Self {
        let (counts, stop) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
        let (shared, stopping) = (Arc::clone(&counts), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let every = Duration::from_nanos(1_000_000_000 * CLIENTS / per_second);
            runtime.expect("a runtime").block_on(async {
                let client = |_| {
                    tokio::spawn(client(address, every, Arc::clone(&shared), Arc::clone(&stopping)))
                };
                let clients: Vec<_> = (0..CLIENTS).map(client).collect();
                for client in clients {
                    client.await.expect("a client");
                }
            });
        });
        Self { counts, stop, thread: Some(thread) }
    }

    pub(crate) fn seen(&self) -> Seen {
        let Counts { good, failed, broken } = &*self.counts;
        Seen { good: good.load(SeqCst), failed: failed.load(SeqCst), broken: broken.load(SeqCst) }
    }

    /// Lets every client finish its request.
    pub(crate) fn finish(mut self) -> Seen {
        self.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the clients");
        }
        self.seen()
    }
}

async fn client(address: SocketAddr, every: Duration, counts: Arc<Counts>, stop: Arc<AtomicBool>) {
    let mut connection = Connection::http1(address, HOST).await;
    let mut turns = tokio::time::interval(every);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    while !stop.load(SeqCst) {
        turns.tick().await;
        let request = connection.request("GET", "/", "");
        match connection.try_send(request).await {
            Ok(answer) if answer.status < 500 => counts.good.fetch_add(1, SeqCst),
            Ok(_) => counts.failed.fetch_add(1, SeqCst),
            Err(_) => {
                connection = Connection::http1(address, HOST).await;
                counts.broken.fetch_add(1, SeqCst)
            }
        };
    }
}

/// Asserts a bar on time only where it was asked for.
pub(crate) fn bar(what: &str, took: Duration, at_most: Duration) {
    println!("{what}: {took:?} (bar {at_most:?})");
    if std::env::var_os("SERIN_BARS").is_some() {
        assert!(took <= at_most, "{what}: {took:?} is over {at_most:?}");
    }
}
