//! What runs, and how another configuration takes its place: whole, or not at all.
//!
//! The files are read, checked, and everything about them that can fail is tried (sockets bound,
//! certificates and keys read) before any of it takes effect. Then control decides what the new
//! plans mean for rollouts under way, and the data plane swaps one pointer. What was refused leaves
//! everything as it was, and is told with file and line.

use super::admin::Door;
use super::handover::{self, Program};
use crate::expiry::Expiry;
use serin_config::model::{AdminAddress, Config};
use serin_config::{Fault, Faults, Loaded, Watch};
use serin_control::api::{Api, AppliedConfig, Serve, Upgraded, Verdict};
use serin_control::trial::Trials;
use serin_control::{ConsequenceView, Control, Refusal, intents};
use serin_core::ids::ServiceName;
use serin_proxy::Proxy;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use tokio::sync::watch;

/// Of many faults so many get a line in the log; the API has all.
const LOGGED: usize = 10;

pub(crate) struct Parts {
    path: PathBuf,
    /// What it was started with, and only another start can change: admin.address, admin.probes and
    /// state.dir.
    fixed: (AdminAddress, Option<SocketAddr>, PathBuf),
    pub(super) proxy: Proxy,
    pub(super) control: Control,
    pub(super) door: OnceLock<Door>,
    api: OnceLock<Api>,
    expiry: Expiry,
    watch: OnceLock<Watch>,
    /// Held while files are read, or the journal changes hands.
    changing: Mutex<()>,
    /// Held while a process that is to take over prepares, and takes over.
    upgrading: Mutex<()>,
    pub(super) trials: Mutex<Trials>,
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
    pub(super) fn new(
        path: PathBuf,
        config: &Config,
        proxy: Proxy,
        control: Control,
        expiry: Expiry,
    ) -> Self {
        Self {
            path,
            fixed: (config.admin.address.clone(), config.admin.probes, config.state_dir.clone()),
            proxy,
            control,
            door: OnceLock::new(),
            api: OnceLock::new(),
            expiry,
            watch: OnceLock::new(),
            changing: Mutex::default(),
            upgrading: Mutex::default(),
            trials: Mutex::default(),
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

    /// Ends the admin API, and gives its addresses up.
    pub(super) fn close_door(&self) {
        self.serve_admin(Serve::Stop);
        if let Some(door) = self.door.get() {
            door.sockets.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
        let _one = match self.upgrading.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err("a new process is being started already; wait for it".to_owned());
            }
        };
        self.may_hand_over()?;
        let program = Program::of_this_process();
        let program = program.ok_or("this process does not know its own name")?;
        handover::hand_over(self, &program)
    }

    pub(super) fn may_hand_over(&self) -> Result<(), String> {
        if self.proxy.is_going() {
            return Err("this process has handed over already, or is shutting down".to_owned());
        }
        if self.has_canary() {
            let why = "a configuration is on trial, and a new process would take it as a whole; end it first: serin reload --end";
            return Err(why.to_owned());
        }
        Ok(())
    }

    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
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
                let _ = parts.reload(Occasion::Changed, &[]);
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
    pub(super) fn reload(&self, occasion: Occasion, adopt: &[ServiceName]) -> Verdict {
        let _alone = self.changing();
        if self.proxy.is_going() {
            // The files are another process's business now, or nobody's.
            return Ok(AppliedConfig::default());
        }
        let taken = self.read()?;
        let taken = self.take(taken, occasion, adopt);
        if let Err(refused) = &taken {
            self.tell_refused(refused);
        }
        taken
    }

    /// Reads the files and follows those that were read; tells what is wrong with them.
    pub(super) fn read(&self) -> Result<Loaded, Faults> {
        let mut loaded = self.load().and_then(|loaded| self.admin_stays_shut(loaded));
        match &mut loaded {
            Ok(loaded) => {
                self.follow(&loaded.files);
                let restarts = self.needing_a_restart(&loaded.config);
                loaded.warnings.extend(restarts);
            }
            Err(refused) => {
                self.follow(&refused.files);
                self.tell_refused(refused);
            }
        }
        loaded
    }

    /// Refuses files that would open the admin API to everybody: its socket stays as it is bound,
    /// whatever address they name.
    fn admin_stays_shut(&self, loaded: Loaded) -> Result<Loaded, Faults> {
        match self.api.get().and_then(|api| api.refuses(&loaded.config.admin)) {
            None => Ok(loaded),
            Some(why) => {
                let refused = Faults::of_key(&self.path, "admin.tokens", why);
                Err(Faults { files: loaded.files, ..refused })
            }
        }
    }

    /// What the files say about things that stay as they are until a restart.
    fn needing_a_restart(&self, config: &Config) -> Vec<Fault> {
        let (address, probes, dir) = &self.fixed;
        let changed = [
            ("admin.address", *address != config.admin.address),
            ("admin.probes", *probes != config.admin.probes),
            ("state.dir", *dir != config.state_dir),
        ];
        let named = changed.into_iter().filter(|(_, changed)| *changed);
        let file = self.path.display().to_string();
        let warning = |(key, _): (&str, bool)| {
            let message = format!("{key} has changed, which takes effect with a restart only");
            tracing::warn!("{message}");
            Fault::warning(file.clone(), key.to_owned(), message)
        };
        named.map(warning).collect()
    }

    fn take(&self, loaded: Loaded, occasion: Occasion, adopt: &[ServiceName]) -> Verdict {
        let nothing = |warnings| AppliedConfig { warnings, consequences: Vec::new() };
        let handle = self.control.handle();
        let hash = &loaded.config.hash;
        if occasion == Occasion::Changed && handle.config().hash == *hash {
            self.supersede("the files say again what is in force");
            self.forget_canary();
            handle.reload_unneeded();
            return Ok(nothing(loaded.warnings));
        }
        if occasion == Occasion::Changed && self.is_canary(hash) {
            return Ok(nothing(loaded.warnings));
        }
        if !self.is_canary(hash) {
            self.supersede("the files have changed again");
        }
        let consequences = self.put_in_force(&Arc::new(loaded.config), adopt)?;
        let noted = consequences.iter().filter_map(|c| self.noted(c));
        let warnings = loaded.warnings.into_iter().chain(noted).collect();
        Ok(AppliedConfig { warnings, consequences })
    }

    /// What the files say and the journal knows better.
    fn noted(&self, consequence: &ConsequenceView) -> Option<Fault> {
        let note = consequence.note.clone()?;
        let path = format!("services.{}.stable", consequence.service);
        Some(Fault::warning(self.path.display().to_string(), path, note))
    }

    /// What the journal contradicts, each with its place and what to do.
    pub(super) fn contradicted(&self, refusal: Refusal) -> Faults {
        let file = self.path.display().to_string();
        let fault = |c: ConsequenceView| Fault::error(file.clone(), c.path, c.message);
        if let Refusal::Contradicts(all) = refusal {
            return Faults::of_files(&self.path, all.into_iter().map(fault).collect());
        }
        Faults::of_file(&self.path, refusal.to_string())
    }

    /// Whether a configuration contradicts the journal, asked before anything is taken.
    pub(super) fn may_take(&self, config: &Config) -> Result<(), Faults> {
        let foretold = self.control.handle().foretell_blocking(&intents(config), Vec::new());
        let refused: Vec<ConsequenceView> = foretold
            .map_err(|refusal| self.contradicted(refusal))?
            .into_iter()
            .filter(ConsequenceView::is_refused)
            .collect();
        match refused.is_empty() {
            true => Ok(()),
            false => Err(self.contradicted(Refusal::Contradicts(refused))),
        }
    }

    pub(super) fn put_in_force(
        &self,
        config: &Arc<Config>,
        adopt: &[ServiceName],
    ) -> Result<Vec<ConsequenceView>, Faults> {
        let handle = self.control.handle();
        // What control said; the data plane only knows that it said something.
        let mut steered = Ok(Vec::new());
        let steer = || match handle.reconfigure_blocking(config.clone(), adopt.to_vec()) {
            Ok(consequences) => {
                steered = Ok(consequences);
                Ok(())
            }
            Err(refusal) => {
                steered = Err(refusal.clone());
                Err(refusal)
            }
        };
        let applied = self.proxy.apply_steered(config.clone(), steer);
        let consequences = steered.map_err(|refusal| self.contradicted(refusal))?;
        applied.map_err(|e| Faults::of_file(&self.path, e.to_string()))?;
        if let Some(api) = self.api.get() {
            api.reconfigure(&config.admin);
        }
        self.forget_canary();
        self.tell_expiring();
        Ok(consequences)
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
