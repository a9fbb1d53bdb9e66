//! Starting and stopping.

use crate::command::Refusal;
use crate::controller::{
    self, Clock, ConsequenceView, Controller, Effects, INBOX, Message, contradictions,
    settle_before_start,
};
use crate::event::Event;
use crate::gates::Gates;
use crate::handle::{Handle, Inner};
use crate::journal::schema::Checkpoint;
use crate::journal::{
    FileJournal, Folder, Journal, JournalError, Lock, LockError, Storage, Writer, read,
};
use crate::metrics::Tallies;
use crate::notify::Notifier;
use crate::outbound::Outbound;
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::plane::DataPlane;
use serin_core::rollout::Ask;
use serin_core::time::Now;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, oneshot};

/// Events that a slow listener may fall behind before it is served from the journal again.
pub(crate) const LIVE_EVENTS: usize = 1024;
/// What the disk gets when Serin stops, to take what was lowered last.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// What notifications under way get when Serin stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Control while it runs. Dropping it stops it.
#[derive(Debug)]
pub struct Control {
    handle: Handle,
    inbox: SyncSender<Message>,
    controller: Mutex<Option<JoinHandle<()>>>,
    runtime: Option<Runtime>,
    io: tokio::runtime::Handle,
    lock: Mutex<Option<Lock>>,
}

/// What is not in the configuration.
#[derive(Default)]
pub struct Options {
    /// How long to wait for another process, which is handing over, to let go of the journal.
    pub lock_wait: Duration,
    /// On the configuration's `state.dir`, when it was taken before: see [`lock`].
    pub lock: Option<Lock>,
    /// How long a stop waits for a disk that does not answer; 10 s when not given.
    pub stop_wait: Option<Duration>,
    /// Services whose configuration is believed where it contradicts the journal.
    pub adopt: Vec<ServiceName>,
    /// Instead of the configuration's `state.dir`.
    pub storage: Option<Box<dyn Storage>>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("lock_wait", &self.lock_wait).finish_non_exhaustive()
    }
}

#[derive(Debug, Error)]
pub enum StartError {
    #[error("state.dir {} cannot be used: {fault}", dir.display())]
    Folder { dir: PathBuf, fault: std::io::Error },
    #[error(transparent)]
    Locked(#[from] LockError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(
        "the configuration contradicts the journal, and nothing was started: {}\nput the configuration right, or start with --adopt-stable SERVICE to give every request to the file's `stable`",
        Refusal::Contradicts(.0.clone())
    )]
    Contradicts(Vec<ConsequenceView>),
    #[error("{0}")]
    Adopting(String),
    #[error("no thread could be started: {0}")]
    Thread(std::io::Error),
}

impl Control {
    /// Opens the journal, resumes what was running, and publishes the first splits.
    pub fn start(
        config: Arc<Config>,
        plane: Arc<dyn DataPlane>,
        options: Options,
    ) -> Result<Self, StartError> {
        let Options { lock_wait, lock, stop_wait, adopt, storage } = options;
        let (storage, lock) = match storage {
            Some(storage) => (storage, None),
            None => match lock {
                Some(lock) => (watched(&config.state_dir, &lock)?, Some(lock)),
                None => open_folder(&config, lock_wait)?,
            },
        };
        let clock = Clock::start();
        let events = broadcast::channel(LIVE_EVENTS).0;
        let mut writer = Writer::open(storage, events.clone())?;
        let checkpoint = checkpoint(&mut writer);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("serin-control-io")
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let tallies = Arc::new(Tallies::new());
        let (inbox, messages) = sync_channel(INBOX);
        let journal = journal(writer, &inbox)?;
        let now = clock.now();
        may_start(&config, &*journal, &adopt, now)?;
        let handle = Handle::new(Inner::new(
            Arc::clone(&config),
            Arc::clone(&plane),
            events,
            Arc::clone(journal.memory()),
            Arc::clone(&tallies),
            Some(inbox.clone()),
        ));
        let effects = LiveEffects::new(&config, &tallies, runtime.handle(), &inbox);
        let inner = Arc::clone(&handle.inner);
        let state =
            Controller::start(config, plane, journal, checkpoint, inner, Box::new(effects), now);
        let stop_wait = stop_wait.unwrap_or(STOP_WAIT);
        let controller = std::thread::Builder::new()
            .name("serin-controller".to_owned())
            .spawn(move || controller::run(state, &messages, clock, stop_wait))
            .map_err(StartError::Thread)?;
        let io = runtime.handle().clone();
        let (controller, runtime) = (Mutex::new(Some(controller)), Some(runtime));
        Ok(Self { handle, inbox, controller, runtime, io, lock: Mutex::new(lock) })
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Control's own runtime: for what serves control, never for requests of clients.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.io
    }

    /// Lets go of the journal, for a process that takes over: from here on nothing is decided, and the
    /// weights stay as they are. Blocks.
    pub fn hand_over(&self) {
        let (done, closed) = oneshot::channel();
        if self.inbox.send(Message::Yield { done }).is_ok() {
            // An error means that the controller has died, and the journal with it.
            let _ = closed.blocking_recv();
        }
        *self.lock() = None;
    }

    /// Takes the journal back from a process that did not take over after all, with whatever it has
    /// written. Blocks.
    pub fn take_back(&self, wait: Duration) -> Result<(), StartError> {
        let (storage, lock) = open_folder(&self.handle.config(), wait)?;
        let mut writer = Writer::open(storage, self.handle.inner.events.clone())?;
        let checkpoint = checkpoint(&mut writer);
        let journal = journal(writer, &self.inbox)?;
        *self.lock() = lock;
        let (done, resumed) = oneshot::channel();
        if self.inbox.send(Message::Resume { journal, checkpoint, done }).is_ok() {
            let _ = resumed.blocking_recv();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lock>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Persists what is only persisted now and then, and stops deciding. The weights stay as they
    /// are. Once is enough; blocks until it is done.
    pub fn stop(&self) {
        let _ = self.inbox.send(Message::Stop);
        let controller = self.controller.lock().unwrap_or_else(PoisonError::into_inner).take();
        if controller.is_some_and(|controller| controller.join().is_err()) {
            tracing::error!("the controller had died; weights were frozen by the data plane");
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop();
        if let Some(runtime) = self.runtime.take() {
            // Joining from within another runtime's thread would be an error.
            std::thread::scope(|scope| {
                scope.spawn(|| runtime.shutdown_timeout(LAST_WORDS));
            });
        }
    }
}

fn journal(writer: Writer, inbox: &SyncSender<Message>) -> Result<Box<dyn Journal>, JournalError> {
    let wake = inbox.clone();
    let journal = FileJournal::threaded(writer, move || {
        // A full inbox means that the controller is about to look anyway.
        let _ = wake.try_send(Message::Wake);
    })?;
    Ok(Box::new(journal))
}

type Opened = (Box<dyn Storage>, Option<Lock>);

fn open_folder(config: &Config, wait: Duration) -> Result<Opened, StartError> {
    let dir = &config.state_dir;
    let lock = lock(dir, wait)?;
    Ok((watched(dir, &lock)?, Some(lock)))
}

/// The folder, which notices when its lock is taken away.
fn watched(dir: &Path, lock: &Lock) -> Result<Box<dyn Storage>, StartError> {
    let mut folder = folder(dir)?;
    folder.watch(lock);
    Ok(Box::new(folder))
}

fn folder(dir: &Path) -> Result<Folder, StartError> {
    let fault = |fault| StartError::Folder { dir: dir.to_owned(), fault };
    Folder::create(dir).map_err(fault)
}

/// Makes sure that no other process works with this state folder, before anything else is opened that
/// two processes cannot share. Waits for so long for one that is ending.
pub fn lock(dir: &Path, wait: Duration) -> Result<Lock, StartError> {
    folder(dir)?;
    Ok(Lock::take(dir, wait)?)
}

/// A start refuses a configuration by which somebody would be served by what nobody has judged. What
/// only costs a candidate its share is taken, because then it is better to serve.
pub(crate) fn may_start(
    config: &Config,
    journal: &dyn Journal,
    adopt: &[ServiceName],
    now: Now,
) -> Result<(), StartError> {
    let refused = contradictions(config, &read(journal.memory()), adopt);
    if !refused.is_empty() {
        return Err(StartError::Contradicts(refused));
    }
    settle_before_start(config, journal, adopt, now)
        .map_err(|fault| StartError::Adopting(format!("stable could not be adopted: {fault}")))
}

/// Checkpoint that cannot be read cost certainty, not safety: they begin anew.
pub(crate) fn checkpoint(writer: &mut Writer) -> Option<Checkpoint> {
    let bytes = match writer.last_checkpoint() {
        Ok(bytes) => bytes?,
        Err(fault) => {
            tracing::warn!(%fault, "the windows file cannot be read; windows begin anew");
            return None;
        }
    };
    let checkpoint = Checkpoint::decode(&bytes);
    if checkpoint.is_none() {
        tracing::warn!("the windows file is damaged; windows begin anew");
    }
    checkpoint
}

/// The real effects: tasks of control's own runtime.
struct LiveEffects {
    notifier: Notifier,
    outbound: Outbound,
    gates: Gates,
    tallies: Arc<Tallies>,
    runtime: tokio::runtime::Handle,
    inbox: SyncSender<Message>,
}

impl LiveEffects {
    fn new(
        config: &Config,
        tallies: &Arc<Tallies>,
        runtime: &tokio::runtime::Handle,
        inbox: &SyncSender<Message>,
    ) -> Self {
        let outbound = Outbound::new();
        Self {
            notifier: Notifier::start(&config.notifications, &outbound, tallies, runtime),
            gates: Gates::new(outbound.clone()),
            outbound,
            tallies: Arc::clone(tallies),
            runtime: runtime.clone(),
            inbox: inbox.clone(),
        }
    }
}

impl Effects for LiveEffects {
    fn tell(&self, event: &Event) {
        self.notifier.tell(event);
    }

    fn ask(&self, service: &ServiceName, ask: Ask) {
        let (gates, inbox, service) = (self.gates.clone(), self.inbox.clone(), service.clone());
        self.runtime.spawn(async move {
            let answer = gates.ask(&service, &ask).await;
            let message = Message::GateAnswered { service, gate: ask.gate, answer };
            // An answer that finds the inbox full is lost, and the gate is asked again.
            let _ = inbox.try_send(message);
        });
    }

    fn reconfigure(&mut self, config: &Config) {
        let notifications = &config.notifications;
        self.notifier =
            Notifier::start(notifications, &self.outbound, &self.tallies, &self.runtime);
    }
}
