//! Data plane and control put together, until a signal says that it is over.
//!
//! Control is asked for the first splits before the first connection is accepted, and for those of
//! another configuration before that serves its first request.

mod admin;
mod canary;
mod handover;
mod parts;
mod signals;
pub(crate) mod systemd;

use crate::expiry::{self, Expiry};
pub(crate) use handover::Takeover;
use parts::Occasion;
pub(crate) use parts::Parts;
use serin_config::{Faults, Loaded};
use serin_control::api::{BindError, Verdict};
use serin_control::{Control, Handle, Options as ControlOptions, StartError};
use serin_core::ids::ServiceName;
use serin_proxy::{Options, Proxy, ProxyError};
use signals::{Over, Signals};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// How often a process that has handed over looks whether everything has ended.
const LOOK: Duration = Duration::from_millis(50);
/// A process that is handing over has so long to let go of the journal.
const HANDOVER: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Control(#[from] StartError),
    #[error(transparent)]
    Admin(#[from] BindError),
    #[error("{0}")]
    AdminTls(String),
    #[error("cannot listen for signals: {0}")]
    Signals(#[from] std::io::Error),
    #[error("cannot take over: {0}")]
    Takeover(String),
}

pub(crate) struct Run {
    /// Where the configuration came from, and is read from again.
    pub(crate) path: PathBuf,
    pub(crate) loaded: Loaded,
    pub(crate) threads: Option<NonZeroU16>,
    pub(crate) grace: Duration,
    /// How long a process that has handed over may finish what it has.
    pub(crate) upgrade_grace: Duration,
    /// Whether files that change are taken up by themselves.
    pub(crate) watch: bool,
    pub(crate) takeover: Takeover,
    /// Services whose `stable` is believed where it contradicts the journal.
    pub(crate) adopt: Vec<ServiceName>,
}

/// Serves until a signal says that it is over.
pub(crate) fn run(run: Run) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (grace, upgrade_grace) = (run.grace, run.upgrade_grace);
    let mut signals = runtime.block_on(async { Signals::listen() })?;
    let running = Running::start(run)?;
    systemd::notify("READY=1");
    match runtime.block_on(signals.until_over(&running.parts)) {
        Over::Told => {
            systemd::notify("STOPPING=1");
            tracing::info!("stopping: no new connections, waiting for what is in flight");
            running.stop(grace, &runtime);
        }
        Over::HandedOver => running.linger(upgrade_grace, grace, &mut signals, &runtime),
    }
    Ok(())
}

/// Data plane, control and admin API at work. Its owner has a runtime and says when it is over.
pub(crate) struct Running {
    parts: Arc<Parts>,
    admin: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(run: Run) -> Result<Self, RunError> {
        let config = Arc::new(run.loaded.config);
        let (takeover, adopt) = (run.takeover, run.adopt);
        // Before any address is opened: two processes on one would each get a part of the clients. One
        // that takes over gets the lock last, and its addresses from the process before.
        let mut lock = match takeover.is_a_hand_over() {
            true => None,
            false => Some(serin_control::lock(&config.state_dir, HANDOVER)?),
        };
        let steer = |plane| {
            takeover.prepared().map_err(RunError::Takeover)?;
            let options = ControlOptions {
                lock_wait: HANDOVER,
                lock: lock.take(),
                adopt,
                ..ControlOptions::default()
            };
            Control::start(config.clone(), plane, options).map_err(RunError::from)
        };
        let options = Options { threads: run.threads };
        let inherited = takeover.listeners();
        let (proxy, control) = Proxy::start_inheriting(config.clone(), &options, inherited, steer)?;
        for metered in proxy.meters() {
            control.handle().register(metered);
        }
        let parts = Arc::new(Parts::new(run.path, &config, proxy, control, Expiry::default()));
        let admin = admin::serve(&parts, &config, &takeover)?;
        for listener in &config.listeners {
            if let Some(address) = parts.proxy.address(&listener.name) {
                tracing::info!(listener = listener.name, %address, "listening");
            }
        }
        if config.listeners.is_empty() {
            tracing::warn!("the configuration has no listeners, so no client is served");
        }
        parts.control.runtime().spawn(expiry::watch(Arc::downgrade(&parts)));
        takeover.serving().map_err(RunError::Takeover)?;
        if run.watch {
            parts.watch(run.loaded.files);
        }
        Ok(Self { parts, admin })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.parts.control.handle()
    }

    /// Reads the configuration again and puts it in force.
    pub(crate) async fn reload(&self) -> Verdict {
        let parts = Arc::clone(&self.parts);
        let reloaded =
            tokio::task::spawn_blocking(move || parts.reload(Occasion::Asked, &[])).await;
        reloaded.unwrap_or_else(|e| Err(Faults::of_file(self.parts.path(), e.to_string())))
    }

    /// `runtime` is the caller's; it only waits. Tunnels (WebSockets) may last as long as they like, so
    /// what another process needs to begin, the addresses and the state, is given up before they end.
    pub(crate) fn stop(self, grace: Duration, runtime: &Runtime) {
        let Self { parts, admin } = self;
        let until = Instant::now() + grace;
        let tunnels = parts.proxy.comes_to_tunnels(grace);
        let close_admin = || {
            parts.close_door();
            // It may have ended by itself.
            let _ = runtime.block_on(admin);
        };
        if tunnels {
            tracing::info!("only upgraded connections are left: another process can begin");
            close_admin();
            // Last, because whoever is to follow waits for the lock before it opens an address.
            parts.control.hand_over();
            cut_off(&parts, until, grace);
        } else {
            cut_off(&parts, until, grace);
            close_admin();
        }
        parts.control.stop();
    }

    /// Another process serves: finishes what is in flight, for so long at most, or for `grace` once
    /// it is told to end.
    fn linger(self, limit: Duration, grace: Duration, signals: &mut Signals, runtime: &Runtime) {
        // Its last answer tells whoever asked for the hand-over.
        let _ = runtime.block_on(self.admin);
        self.parts.control.stop();
        let until = Instant::now() + limit;
        while !self.parts.proxy.has_ended(Duration::ZERO) {
            let told = runtime.block_on(signals.told_within(LOOK));
            if told || Instant::now() >= until {
                let grace = if told { grace } else { Duration::ZERO };
                self.parts.proxy.shutdown(grace);
                return;
            }
        }
        self.parts.proxy.shutdown(Duration::ZERO);
    }
}

/// Waits for what is in flight, and ends what is not over by then.
fn cut_off(parts: &Parts, until: Instant, grace: Duration) {
    if !parts.proxy.shutdown(until.saturating_duration_since(Instant::now())) {
        tracing::warn!(?grace, "requests were cut off when the grace period ended");
    }
}
