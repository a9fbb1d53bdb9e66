//! The data plane put to work, until a signal says that it is over.

use serin_config::model::Config;
use serin_proxy::{Options, Proxy, ProxyError};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("cannot listen for signals: {0}")]
    Signals(#[from] std::io::Error),
}

pub(crate) fn run(
    config: Config,
    threads: Option<NonZeroU16>,
    grace: Duration,
) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = Arc::new(config);
    let proxy = Proxy::start(config.clone(), &Options { threads })?;
    for listener in &config.listeners {
        if let Some(address) = proxy.address(&listener.name) {
            tracing::info!(listener = listener.name, %address, "listening");
        }
    }
    runtime.block_on(told_to_stop())?;
    tracing::info!("stopping: no new connections, waiting for what is in flight");
    if !proxy.shutdown(grace) {
        tracing::warn!(?grace, "requests were cut off when the grace period ended");
    }
    Ok(())
}

async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
