//! A proxy with control in this process, two origins, and a crowd of keep-alive clients.

use serin_control::{
    Actor, Command, Control, Handle, Options as ControlOptions, Order, Outcome, Refusal,
    RolloutView, StartRollout,
};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::measure::{ServiceCounts, ServiceLatencies};
use serin_core::plane::{BadSample, DataPlane, Readiness};
use serin_core::shadow::ShadowReport;
use serin_core::split::Split;
use serin_proxy::{Options, Proxy, ProxyError};
use serin_testkit::{ConfigText, Connection, Origin, ServiceText, eventually, temp_dir};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) const HOST: &str = "shop.test";

pub(crate) struct TestServer {
    pub(crate) stable: Origin,
    pub(crate) candidate: Origin,
    pub(crate) address: SocketAddr,
    steered: Arc<Steered>,
    handle: Handle,
    runtime: tokio::runtime::Runtime,
    _parts: (Proxy, Control),
    _dir: tempfile::TempDir,
}

/// What a bench differs in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// What follows `to: v2`.
    pub(crate) rollout: &'a str,
    pub(crate) session: &'a str,
    /// More of the file, as YAML.
    pub(crate) more: &'a str,
    /// Without it only the tick stops a dead candidate.
    pub(crate) tripwire: bool,
}

impl<'a> Setup<'a> {
    pub(crate) fn of(rollout: &'a str) -> Self {
        Self { rollout, session: "by: none", more: "", tripwire: true }
    }
}

pub(crate) fn config(stable: &Origin, candidate: &Origin, rollout: &str) -> ConfigText {
    config_of(stable, candidate, Setup::of(rollout))
}

fn config_of(stable: &Origin, candidate: &Origin, setup: Setup<'_>) -> ConfigText {
    let service = ServiceText::new("shop")
        .version("v1", &[stable.address()])
        .version("v2", &[candidate.address()])
        .with("outliers: { consecutiveFailures: 0 }")
        .with("retries: { attempts: 0 }")
        .with("timeouts: { response: 10m }")
        .with(&format!("session: {{ {} }}", setup.session))
        .with(&format!("rollout: {{ to: v2, {} }}", setup.rollout));
    ConfigText::simple(service).with("accessLog: { format: off }").with(setup.more)
}

pub(crate) fn service() -> ServiceName {
    ServiceName::new("shop").expect("a name")
}

impl TestServer {
    /// `rollout` is what follows `to: v2`.
    pub(crate) fn open(rollout: &str) -> Self {
        Self::set_up(Setup::of(rollout))
    }

    pub(crate) fn set_up(setup: Setup<'_>) -> Self {
        let (stable, candidate) = (Origin::start("v1"), Origin::start("v2"));
        let dir = temp_dir();
        let path = config_of(&stable, &candidate, setup).write_to(dir.path());
        let loaded = serin_config::load(&path, &serin_config::Options::default());
        let config = Arc::new(loaded.unwrap_or_else(|faults| panic!("{faults:?}")).config);
        let steer = |plane| {
            let published = Mutex::default();
            let steered = Arc::new(Steered { plane, tripwire: setup.tripwire, published });
            let control =
                Control::start(config.clone(), steered.clone(), ControlOptions::default());
            Ok::<_, ProxyError>((control.expect("control starts"), steered))
        };
        let (proxy, (control, steered)) =
            Proxy::start_steered(config.clone(), &Options::default(), steer).expect("a proxy");
        let address = proxy.address("http").expect("the listener");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let handle = control.handle();
        let _parts = (proxy, control);
        Self { stable, candidate, address, steered, handle, runtime, _parts, _dir: dir }
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
            let start = StartRollout {
                to: None,
                reason,
                release: None,
                committed_at: None,
                supersede: false,
            };
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

    /// Every weight of the candidate that was ever in force, in order, each change once.
    pub(crate) fn weights(&self) -> Vec<u16> {
        self.steered.published().clone()
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
        let every = Duration::from_nanos(1_000_000_000 * CLIENTS / per_second);
        Load::start(self.address, Some(every))
    }

    /// As many as this machine can, each client's next request right after its last answer.
    pub(crate) fn full_load(&self) -> Load {
        Load::start(self.address, None)
    }
}

/// The real data plane, with a record of the weights that it was given.
struct Steered {
    plane: Arc<dyn DataPlane>,
    tripwire: bool,
    published: Mutex<Vec<u16>>,
}

impl Steered {
    fn published(&self) -> std::sync::MutexGuard<'_, Vec<u16>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DataPlane for Steered {
    fn publish(&self, mut split: Arc<Split>) {
        if !self.tripwire
            && let Some(rollout) = &mut Arc::make_mut(&mut split).rollout
        {
            rollout.tripwire = None;
        }
        let weight = split.rollout.as_ref().map_or(0, |rollout| rollout.weight.get());
        let mut published = self.published();
        if published.last() != Some(&weight) {
            published.push(weight);
        }
        self.plane.publish(split);
    }

    fn heartbeat(&self) {
        self.plane.heartbeat();
    }

    fn counts(&self, service: &ServiceName) -> Option<ServiceCounts> {
        self.plane.counts(service)
    }

    fn latencies(&self, service: &ServiceName) -> Option<ServiceLatencies> {
        self.plane.latencies(service)
    }

    fn readiness(&self, service: &ServiceName) -> Vec<Readiness> {
        self.plane.readiness(service)
    }

    fn bad_samples(&self, service: &ServiceName, version: &VersionName) -> Vec<BadSample> {
        self.plane.bad_samples(service, version)
    }

    fn shadow(&self, service: &ServiceName) -> Option<ShadowReport> {
        self.plane.shadow(service)
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
    /// Of the failed ones, those that no origin gave.
    ours: AtomicU64,
    /// No whole answer at all.
    broken: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) good: u64,
    pub(crate) failed: u64,
    pub(crate) ours: u64,
    pub(crate) broken: u64,
}

const CLIENTS: u64 = 16;

impl Load {
    fn start(address: SocketAddr, every: Option<Duration>) -> Self {
        let (counts, stop) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
        let (shared, stopping) = (Arc::clone(&counts), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
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
        let Counts { good, failed, ours, broken } = &*self.counts;
        let [good, failed, ours, broken] = [good, failed, ours, broken].map(|n| n.load(SeqCst));
        Seen { good, failed, ours, broken }
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

async fn client(
    address: SocketAddr,
    every: Option<Duration>,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
) {
    let mut connection = Connection::http1(address, HOST).await;
    let mut turns = every.map(tokio::time::interval);
    if let Some(turns) = &mut turns {
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    }
    while !stop.load(SeqCst) {
        if let Some(turns) = &mut turns {
            turns.tick().await;
        }
        let request = connection.request("GET", "/", "");
        match connection.try_send(request).await {
            Ok(answer) if answer.status < 500 => counts.good.fetch_add(1, SeqCst),
            Ok(answer) => {
                if answer.header("x-version").is_none() {
                    counts.ours.fetch_add(1, SeqCst);
                }
                counts.failed.fetch_add(1, SeqCst)
            }
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
