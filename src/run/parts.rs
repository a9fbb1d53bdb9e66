//! What runs, and how another configuration takes its place: whole, or not at all.
//!
//! The files are read, checked, and everything about them that can fail is tried (sockets bound,
//! certificates and keys read) before any of it takes effect. Then control decides what the new
//! plans mean for rollouts under way, and the data plane swaps one pointer. What was refused leaves
//! everything as it was, and is told with file and line.

use super::admin::Door;
use super::handover::{self, Program};
use crate::expiry::Expiry;
use serin_config::{Faults, Loaded, Watch};
use serin_control::Control;
use serin_control::api::{Api, Serve, Upgraded, Verdict};
use serin_proxy::Proxy;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;

/// Of many faults so many get a line in the log; the API has all.
const LOGGED: usize = 10;

pub(crate) struct Parts {
    path: PathBuf,
    pub(super) proxy: Proxy,
    pub(super) control: Control,
    pub(super) door: OnceLock<Door>,
    api: OnceLock<Api>,
    expiry: Expiry,
    watch: OnceLock<Watch>,
    /// Held while files are read or a process takes over.
    changing: Mutex<()>,
    handed_over: watch::Sender<bool>,
}

/// Why the files are read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Somebody said so.
    Asked,
    /// A file has changed. What says the same as before is not put in force anew.
    Changed,
}

impl Parts {
    pub(super) fn new(path: PathBuf, proxy: Proxy, control: Control, expiry: Expiry) -> Self {
        Self {
            path,
            proxy,
            control,
            door: OnceLock::new(),
            api: OnceLock::new(),
            expiry,
            watch: OnceLock::new(),
            changing: Mutex::default(),
            handed_over: watch::channel(false).0,
        }
    }

    pub(super) fn open_door(&self, door: Door, api: Api) {
        let _ = self.door.set(door);
        let _ = self.api.set(api);
    }

    pub(super) fn serve_admin(&self, what: Serve) {
        if let Some(door) = self.door.get() {
            door.serve.send_replace(what);
        }
    }

    pub(super) fn handed_over(&self) -> watch::Receiver<bool> {
        self.handed_over.subscribe()
    }

    /// Another process serves from now on.
    pub(super) fn part(&self) {
        self.proxy.part();
        self.serve_admin(Serve::HandedOver);
        self.handed_over.send_replace(true);
    }

    /// Hands over to a new process of the same program. Blocks.
    pub(super) fn upgrade(&self) -> Result<Upgraded, String> {
        let _alone = self.changing();
        if self.proxy.is_going() {
            return Err("this process has handed over already, or is shutting down".to_owned());
        }
        let program = Program::of_this_process();
        let program = program.ok_or("this process does not know its own name")?;
        handover::hand_over(self, &program)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reloads by itself from now on, whenever one of the files changes.
    pub(super) fn watch(self: &Arc<Self>, files: Vec<PathBuf>) {
        let parts = Arc::downgrade(self);
        let reload = move || {
            if let Some(parts) = parts.upgrade() {
                // What was refused is told by `reload` itself.
                let _ = parts.reload(Occasion::Changed);
            }
        };
        match Watch::start(files, reload) {
            Ok(watch) => {
                let _ = self.watch.set(watch);
            }
            Err(error) => tracing::error!(%error, "files are not watched; SIGHUP reloads"),
        }
    }

    pub(super) fn load(&self) -> Result<Loaded, Faults> {
        serin_config::load(&self.path, &serin_config::Options::default())
    }

    /// Blocks: not for a thread that serves others.
    pub(super) fn reload(&self, occasion: Occasion) -> Verdict {
        let _alone = self.changing();
        if self.proxy.is_going() {
            // The files are another process's business now, or nobody's.
            return Ok(Vec::new());
        }
        let loaded = self.load();
        self.follow(match &loaded {
            Ok(loaded) => &loaded.files,
            Err(refused) => &refused.files,
        });
        let taken = loaded.and_then(|loaded| self.take(loaded, occasion));
        if let Err(refused) = &taken {
            self.tell_refused(refused);
        }
        taken
    }

    fn take(&self, loaded: Loaded, occasion: Occasion) -> Verdict {
        let handle = self.control.handle();
        if occasion == Occasion::Changed && handle.config().hash == loaded.config.hash {
            handle.reload_unneeded();
            return Ok(loaded.warnings);
        }
        let whole = |message: String| Faults::of_file(&self.path, message);
        let config = Arc::new(loaded.config);
        let steer = || handle.reconfigure_blocking(config.clone());
        self.proxy.apply_steered(config.clone(), steer).map_err(|e| whole(e.to_string()))?;
        if let Some(api) = self.api.get() {
            api.reconfigure(&config.admin);
        }
        self.tell_expiring();
        Ok(loaded.warnings)
    }

    fn follow(&self, files: &[PathBuf]) {
        if let Some(watch) = self.watch.get() {
            watch.follow(files.to_vec());
        }
    }

    fn tell_refused(&self, refused: &Faults) {
        for fault in refused.errors().take(LOGGED) {
            tracing::error!("the configuration is refused: {}", fault.line());
        }
        let more = (refused.errors().count() + refused.more).saturating_sub(1);
        let first = refused.errors().next().map(serin_config::Fault::line);
        let mut text = first.unwrap_or_else(|| "for no given reason".to_owned());
        if more > 0 {
            text.push_str(&format!(" (and {more} more)"));
        }
        self.control.handle().reload_failed(text);
    }

    pub(crate) fn tell_expiring(&self) {
        self.expiry.tell(self.proxy.certificates(), &self.control.handle());
    }
}
