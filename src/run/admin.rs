//! The admin API beside the data plane: on control's runtime, so that no operator and no scraper
//! is ever on a request's way.

use super::RunError;
use super::handover::Takeover;
use super::parts::{Occasion, Parts};
use serin_config::model::{Admin, AdminAddress, Config};
use serin_control::api::{
    Api, AppliedConfig, Bound, Hooks, Loaded, NoCanary, Serve, bind, bind_probes, inherit,
};
use serin_control::intents;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The admin address, for a process that takes over.
pub(super) struct Door {
    pub(super) address: AdminAddress,
    /// To be handed over, until they are closed: of the API, and of `admin.probes`.
    pub(super) sockets: Mutex<Vec<OwnedFd>>,
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
    let (socket, probes_socket) = takeover.admin(&config.admin);
    let bound = match socket {
        Some(socket) => inherit(&config.admin, socket)?,
        None => runtime.block_on(bind(&config.admin))?,
    };
    let probes = config.admin.probes.map(|at| runtime.block_on(bind_probes(at, probes_socket)));
    let probes = probes.transpose()?;
    let api = Api::new(parts.control.handle(), &config.admin, bound.reach(), hooks(parts));
    let api = api.map_err(RunError::AdminTls)?;
    warn_of_open(&config.admin);
    tracing::info!(listener = "admin", address = %bound.address(), "listening");
    let (serve, served) = watch::channel(Serve::Accept);
    let address = config.admin.address.clone();
    let probes_socket = probes.as_ref().map(Bound::socket).transpose()?;
    let sockets = [Some(bound.socket()?), probes_socket].into_iter().flatten().collect();
    parts.open_door(Door { address, sockets: Mutex::new(sockets), serve }, api.clone());
    if let Some(probes) = probes {
        tracing::info!(listener = "probes", address = %probes.address(), "listening");
        runtime.spawn(probes.serve_probes(api.clone(), served.clone()));
    }
    Ok(runtime.spawn(bound.serve(api, served)))
}

/// Everybody who can run a program here is an operator then, a container on the host's network too.
fn warn_of_open(admin: &Admin) {
    if let (AdminAddress::Tcp(address), []) = (&admin.address, admin.tokens.as_slice()) {
        tracing::warn!(
            %address,
            "the admin API needs no token: every program on this machine may change everything; a unix socket or admin.tokens keeps it to some"
        );
    }
}

fn hooks(parts: &Arc<Parts>) -> Hooks {
    // Weak, because the API is itself one of the parts.
    let weak = || Arc::downgrade(parts);
    let (reload, check, ready, upgrade) = (weak(), weak(), weak(), weak());
    let (canary, end) = (weak(), weak());
    let going = || NoCanary::Unfit("it is shutting down".to_owned());
    Hooks {
        reload: Arc::new(move |adopt| match reload.upgrade() {
            Some(parts) => parts.reload(Occasion::Asked, &adopt),
            None => Ok(AppliedConfig::default()),
        }),
        canary: Arc::new(move |asked| match canary.upgrade() {
            Some(parts) => parts.begin_canary(asked),
            None => Err(going()),
        }),
        end_canary: Arc::new(move || end.upgrade().is_some_and(|parts| parts.end_canary())),
        check: Arc::new(move |text| match (text, check.upgrade()) {
            (Some(text), _) => {
                let warnings = serin_config::check_text("request", text)?;
                Ok(Loaded { intents: None, warnings })
            }
            (None, Some(parts)) => {
                let loaded = parts.load()?;
                Ok(Loaded { intents: Some(intents(&loaded.config)), warnings: loaded.warnings })
            }
            (None, None) => Ok(Loaded { intents: None, warnings: Vec::new() }),
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
