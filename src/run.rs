//! Data plane and control put together, until a signal says that it is over.
//!
//! Control is asked for the first splits before the first connection is accepted. A reload is
//! taken by the data plane first and then by control, whole or not at all; when either refuses,
//! what was in force stays so, and control says why.

use crate::expiry::{self, Expiry};
use serin_config::Faults;
use serin_config::model::Config;
use serin_control::api::{Api, BindError, Hooks, Verdict, bind};
use serin_control::{Control, Handle, Options as ControlOptions, StartError};
use serin_proxy::{Options, Proxy, ProxyError};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

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
    #[error("a metric was registered twice: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(#[from] std::io::Error),
}

pub(crate) struct Run {
    /// Where the configuration came from, and is read from again.
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
    pub(crate) threads: Option<NonZeroU16>,
    pub(crate) grace: Duration,
}

/// Serves until a signal says that it is over.
pub(crate) fn run(run: Run) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let grace = run.grace;
    let running = Running::start(run)?;
    runtime.block_on(until_told_to_stop(&running.parts))?;
    tracing::info!("stopping: no new connections, waiting for what is in flight");
    running.stop(grace, &runtime);
    Ok(())
}

/// Data plane, control and admin API at work. Its owner has a runtime and says when it is over.
pub(crate) struct Running {
    parts: Arc<Parts>,
    admin: Admin,
}

impl Running {
    pub(crate) fn start(run: Run) -> Result<Self, RunError> {
        let config = Arc::new(run.config);
        let steer = |plane| {
            let options = ControlOptions { lock_wait: HANDOVER, ..ControlOptions::default() };
            Control::start(config.clone(), plane, options).map_err(RunError::from)
        };
        let options = Options { threads: run.threads };
        let (proxy, control) = Proxy::start_steered(config.clone(), &options, steer)?;
        for collector in proxy.collectors()? {
            control.handle().register(collector)?;
        }
        let (api, expiry) = (OnceLock::new(), Expiry::default());
        let parts = Arc::new(Parts { path: run.path, proxy, control, api, expiry });
        let admin = serve_admin(&parts, &config)?;
        for listener in &config.listeners {
            if let Some(address) = parts.proxy.address(&listener.name) {
                tracing::info!(listener = listener.name, %address, "listening");
            }
        }
        warn_of_what_is_missing(&config);
        parts.control.runtime().spawn(watch_expiry(Arc::downgrade(&parts)));
        Ok(Self { parts, admin })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.parts.control.handle()
    }

    /// Reads the configuration again and puts it in force.
    pub(crate) async fn reload(&self) -> Verdict {
        let parts = Arc::clone(&self.parts);
        let reloaded = tokio::task::spawn_blocking(move || parts.reload()).await;
        reloaded.unwrap_or_else(|e| Err(Faults::of_file(&self.parts.path, e.to_string())))
    }

    /// `runtime` is the caller's; it only waits.
    pub(crate) fn stop(self, grace: Duration, runtime: &Runtime) {
        if !self.parts.proxy.shutdown(grace) {
            tracing::warn!(?grace, "requests were cut off when the grace period ended");
        }
        runtime.block_on(self.admin.stop());
        self.parts.control.stop();
    }
}

/// What the files may say and this release does not do.
fn warn_of_what_is_missing(config: &Config) {
    for service in config.services.values().filter(|service| service.shadow.is_some()) {
        tracing::warn!(service = %service.name, "shadow: no copies are sent by this release");
    }
}

struct Parts {
    path: PathBuf,
    proxy: Proxy,
    control: Control,
    api: OnceLock<Api>,
    expiry: Expiry,
}

impl Parts {
    fn load(&self) -> Result<serin_config::Loaded, Faults> {
        serin_config::load(&self.path, &serin_config::Options::default())
    }

    /// Blocks: not for a thread that serves others.
    fn reload(&self) -> Verdict {
        let handle = self.control.handle();
        let refused = |faults: Faults| {
            let first = faults.faults.first().map_or_else(String::new, |f| f.message.clone());
            handle.reload_failed(first);
            faults
        };
        let loaded = self.load().map_err(refused)?;
        let whole = |message| refused(Faults::of_file(&self.path, message));
        let config = Arc::new(loaded.config);
        self.proxy.apply(config.clone()).map_err(|e| whole(e.to_string()))?;
        if let Some(api) = self.api.get() {
            api.reconfigure(&config.admin);
        }
        handle.reconfigure_blocking(config).map_err(|e| whole(e.to_string()))?;
        self.tell_expiring();
        Ok(loaded.warnings)
    }

    fn tell_expiring(&self) {
        self.expiry.tell(self.proxy.certificates(), &self.control.handle());
    }
}

/// The first look is at once.
async fn watch_expiry(parts: Weak<Parts>) {
    let mut looks = tokio::time::interval(expiry::LOOK);
    loop {
        looks.tick().await;
        let Some(parts) = parts.upgrade() else { return };
        parts.tell_expiring();
    }
}

struct Admin {
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Admin {
    async fn stop(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        let _ = self.served.await;
    }
}

/// On control's runtime, so that no operator and no scraper is ever on a request's way.
fn serve_admin(parts: &Arc<Parts>, config: &Config) -> Result<Admin, RunError> {
    let runtime = parts.control.runtime();
    let api = Api::new(parts.control.handle(), &config.admin, hooks(parts));
    let bound = runtime.block_on(bind(&config.admin))?;
    tracing::info!(listener = "admin", address = %bound.address(), "listening");
    let _ = parts.api.set(api.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let served = runtime.spawn(bound.serve(api, async {
        let _ = stopped.await;
    }));
    Ok(Admin { stop, served })
}

fn hooks(parts: &Arc<Parts>) -> Hooks {
    // Weak, because the API is itself one of the parts.
    let (reload, check, ready) =
        (Arc::downgrade(parts), Arc::downgrade(parts), Arc::downgrade(parts));
    Hooks {
        reload: Arc::new(move || reload.upgrade().map_or_else(|| Ok(Vec::new()), |p| p.reload())),
        check: Arc::new(move |text| match (text, check.upgrade()) {
            (Some(text), _) => serin_config::from_str("request", text).map(|l| l.warnings),
            (None, Some(parts)) => parts.load().map(|l| l.warnings),
            (None, None) => Ok(Vec::new()),
        }),
        not_ready: Arc::new(move || match ready.upgrade() {
            Some(parts) if parts.proxy.is_ready() => None,
            Some(_) => Some("a service has no ready endpoint behind its stable version".to_owned()),
            None => Some("shutting down".to_owned()),
        }),
    }
}

async fn until_told_to_stop(parts: &Arc<Parts>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = received(&mut hang_up) => reload_aside(parts),
        }
    }
}

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending().await
    }
}

/// What was refused is told by control; nobody waits for the answer.
fn reload_aside(parts: &Arc<Parts>) {
    let parts = Arc::clone(parts);
    tokio::task::spawn_blocking(move || {
        if let Err(refused) = parts.reload() {
            tracing::error!(faults = refused.faults.len(), "the configuration was refused");
        }
    });
}
