//! The admin API beside the data plane: on control's runtime, so that no operator and no scraper
//! is ever on a request's way.

use super::RunError;
use super::handover::Takeover;
use super::parts::{Occasion, Parts};
use serin_config::model::{AdminAddress, Config};
use serin_control::api::{Api, Hooks, NoCanary, Serve, bind, inherit};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The admin address, for a process that takes over.
pub(super) struct Door {
    pub(super) address: AdminAddress,
    pub(super) socket: OwnedFd,
    pub(super) serve: watch::Sender<Serve>,
}

/// Serves; ends when [`Door::serve`] says so.
pub(super) fn serve(
    parts: &Arc<Parts>,
    config: &Config,
    takeover: &Takeover,
) -> Result<JoinHandle<()>, RunError> {
    let runtime = parts.control.runtime();
    let _within = runtime.enter();
    let bound = match takeover.admin(&config.admin) {
        Some(socket) => inherit(&config.admin, socket)?,
        None => runtime.block_on(bind(&config.admin))?,
    };
    let api = Api::new(parts.control.handle(), &config.admin, bound.reach(), hooks(parts));
    tracing::info!(listener = "admin", address = %bound.address(), "listening");
    let (serve, served) = watch::channel(Serve::Accept);
    let (address, socket) = (config.admin.address.clone(), bound.socket()?);
    parts.open_door(Door { address, socket, serve }, api.clone());
    Ok(runtime.spawn(bound.serve(api, served)))
}

fn hooks(parts: &Arc<Parts>) -> Hooks {
    // Weak, because the API is itself one of the parts.
    let weak = || Arc::downgrade(parts);
    let (reload, check, ready, upgrade) = (weak(), weak(), weak(), weak());
    let (canary, end) = (weak(), weak());
    let going = || NoCanary::Unfit("it is shutting down".to_owned());
    Hooks {
        reload: Arc::new(move || {
            reload.upgrade().map_or_else(|| Ok(Vec::new()), |p| p.reload(Occasion::Asked))
        }),
        canary: Arc::new(move |asked| match canary.upgrade() {
            Some(parts) => parts.begin_canary(asked),
            None => Err(going()),
        }),
        end_canary: Arc::new(move || end.upgrade().is_some_and(|parts| parts.end_canary())),
        check: Arc::new(move |text| match (text, check.upgrade()) {
            (Some(text), _) => serin_config::check_text("request", text),
            (None, Some(parts)) => parts.load().map(|l| l.warnings),
            (None, None) => Ok(Vec::new()),
        }),
        not_ready: Arc::new(move || match ready.upgrade() {
            Some(parts) => parts.proxy.not_ready(),
            None => Some("it is shutting down".to_owned()),
        }),
        upgrade: Arc::new(move || match upgrade.upgrade() {
            Some(parts) => parts.upgrade(),
            None => Err("it is shutting down".to_owned()),
        }),
    }
}
