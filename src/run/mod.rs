//! Data plane and control put together, until a signal says that it is over.
//!
//! Control is asked for the first splits before the first connection is accepted, and for those of
//! another configuration before that serves its first request.

mod admin;
mod parts;
mod signals;

use crate::expiry::{self, Expiry};
use admin::Admin;
use parts::Occasion;
pub(crate) use parts::Parts;
use serin_config::model::Config;
use serin_config::{Faults, Loaded};
use serin_control::api::{BindError, Verdict};
use serin_control::{Control, Handle, Options as ControlOptions, StartError};
use serin_proxy::{Options, Proxy, ProxyError};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

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
    pub(crate) loaded: Loaded,
    pub(crate) threads: Option<NonZeroU16>,
    pub(crate) grace: Duration,
}

/// Serves until a signal says that it is over.
pub(crate) fn run(run: Run) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let grace = run.grace;
    let running = Running::start(run)?;
    runtime.block_on(signals::until_told_to_stop(&running.parts))?;
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
        let config = Arc::new(run.loaded.config);
        let steer = |plane| {
            let options = ControlOptions { lock_wait: HANDOVER, ..ControlOptions::default() };
            Control::start(config.clone(), plane, options).map_err(RunError::from)
        };
        let options = Options { threads: run.threads };
        let (proxy, control) = Proxy::start_steered(config.clone(), &options, steer)?;
        for collector in proxy.collectors()? {
            control.handle().register(collector)?;
        }
        let parts = Arc::new(Parts::new(run.path, proxy, control, Expiry::default()));
        let admin = Admin::serve(&parts, &config)?;
        for listener in &config.listeners {
            if let Some(address) = parts.proxy.address(&listener.name) {
                tracing::info!(listener = listener.name, %address, "listening");
            }
        }
        warn_of_what_is_missing(&config);
        parts.control.runtime().spawn(expiry::watch(Arc::downgrade(&parts)));
        parts.watch(run.loaded.files);
        Ok(Self { parts, admin })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.parts.control.handle()
    }

    /// Reads the configuration again and puts it in force.
    pub(crate) async fn reload(&self) -> Verdict {
        let parts = Arc::clone(&self.parts);
        let reloaded = tokio::task::spawn_blocking(move || parts.reload(Occasion::Asked)).await;
        reloaded.unwrap_or_else(|e| Err(Faults::of_file(self.parts.path(), e.to_string())))
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
