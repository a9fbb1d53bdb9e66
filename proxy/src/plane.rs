//! The data plane as control sees it.
//!
//! Requests load the generation behind one atomic pointer. Publishing a split and replacing the generation
//! exclude each other, so that neither loses what the other has just put in force; no request
//! waits for either.

use crate::clock;
use crate::config_generation::ConfigGeneration;
use crate::service::Service;
use crate::trial::{Side, Ticket, Trial};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::measure::{ServiceCounts, ServiceLatencies};
use serin_core::plane::{BadSample, DataPlane, Readiness};
use serin_core::shadow::ShadowReport;
use serin_core::split::Split;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Control that is silent for longer than this is stalled.
pub const SILENCE: Duration = Duration::from_secs(2);

/// What a request takes everything from.
pub(crate) struct Entered {
    pub(crate) generation: Arc<ConfigGeneration>,
    /// Only while another configuration is on trial.
    pub(crate) ticket: Option<Ticket>,
}

#[derive(Debug)]
pub struct Plane {
    generation: ArcSwap<ConfigGeneration>,
    /// Another configuration serves a share: what every request asks first, and nothing else
    /// about it while there is none.
    on_trial: AtomicBool,
    trial: ArcSwapOption<Trial>,
    /// The configuration that is about to come into force. Holding it, too, keeps others from
    /// changing anything.
    coming: Mutex<Option<Arc<ConfigGeneration>>>,
    /// Microseconds of [`clock::micros`].
    heard: AtomicU64,
    /// Control has spoken at all: before, it may be waiting for the journal, and nothing is served.
    begun: AtomicBool,
    /// The silence that lasts was logged.
    said: AtomicBool,
    draining: AtomicBool,
}

impl Plane {
    pub fn new(generation: ConfigGeneration) -> Self {
        generation.services().for_each(|service| service.come_into_force());
        Self {
            generation: ArcSwap::from_pointee(generation),
            on_trial: AtomicBool::new(false),
            trial: ArcSwapOption::empty(),
            coming: Mutex::default(),
            heard: AtomicU64::new(clock::micros(Instant::now())),
            begun: AtomicBool::new(false),
            said: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// The configuration in force. A request that outlives an await takes it with
    /// `Guard::into_inner` or [`Plane::world_full`].
    pub fn generation(&self) -> Guard<Arc<ConfigGeneration>> {
        self.generation.load()
    }

    pub fn world_full(&self) -> Arc<ConfigGeneration> {
        self.generation.load_full()
    }

    /// The configuration of a request that begins now.
    pub(crate) fn enter(&self) -> Entered {
        if self.on_trial.load(Relaxed)
            && let Some(trial) = self.trial.load_full()
        {
            let ticket = trial.draw();
            let generation = match ticket.side() {
                Side::Old => self.world_full(),
                Side::New => Arc::clone(ticket.generation()),
            };
            return Entered { generation, ticket: Some(ticket) };
        }
        Entered { generation: self.world_full(), ticket: None }
    }

    /// Lets a configuration serve its share beside the one in force.
    pub(crate) fn try_out(&self, trial: Trial) {
        self.trial.store(Some(Arc::new(trial)));
        self.on_trial.store(true, Relaxed);
    }

    pub(crate) fn trial(&self) -> Option<Arc<Trial>> {
        self.trial.load_full()
    }

    /// From here on every request gets the configuration in force.
    pub(crate) fn end_trial(&self) -> Option<Arc<Trial>> {
        self.on_trial.store(false, Relaxed);
        self.trial.swap(None)
    }

    /// Makes a configuration known to whoever publishes, before it is in force.
    pub fn announce(&self, generation: Arc<ConfigGeneration>) {
        *self.coming() = Some(generation);
    }

    /// It does not come into force after all.
    pub fn renounce(&self, generation: &ConfigGeneration) {
        *self.coming() = None;
        generation.retire(&self.generation());
    }

    /// Puts a configuration in force. Requests that began with the old one end with it.
    pub fn install(&self, generation: Arc<ConfigGeneration>) {
        let mut coming = self.coming();
        *coming = None;
        generation.services().for_each(|service| service.come_into_force());
        let before = self.generation.swap(Arc::clone(&generation));
        before.retire(&generation);
    }

    fn coming(&self) -> MutexGuard<'_, Option<Arc<ConfigGeneration>>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on each answer tells its client that it is the connection's last.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Whether this process goes away: what is asked before it writes an answer's head.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Whether control has been silent for too long. The weights stay as they are until it speaks.
    pub fn weights_frozen(&self, now: Instant) -> bool {
        let silent = clock::micros(now).saturating_sub(self.heard.load(Relaxed));
        Duration::from_micros(silent) > SILENCE
    }

    /// Says in the log, once per silence, that the weights are frozen. Called every now and then.
    pub fn watch(&self, now: Instant) {
        // Control begins after the data plane, and ends before it does.
        let at_work = self.begun.load(Relaxed) && !self.is_draining();
        let frozen = at_work && self.weights_frozen(now);
        if self.said.swap(frozen, Relaxed) == frozen {
            return;
        }
        if frozen {
            tracing::error!("control is silent: weights are frozen where they are");
        } else {
            tracing::info!("control is back: weights are no longer frozen");
        }
    }

    /// Looks whether health checks are to be believed, wherever requests are served.
    pub(crate) fn weigh_checks(&self, now: Instant) {
        self.generation().weigh_checks(now);
        if let Some(trial) = self.trial() {
            trial.generation.weigh_checks(now);
        }
    }

    fn of<T>(&self, service: &ServiceName, ask: impl FnOnce(&Service) -> T) -> Option<T> {
        self.generation().service(service).map(|service| ask(service))
    }
}

impl DataPlane for Plane {
    fn publish(&self, split: Arc<Split>) {
        // Services that both have share what is published; the one to come has others besides.
        let coming = self.coming();
        let coming = coming.as_ref().and_then(|generation| generation.service(&split.service));
        let published = match self.generation().service(&split.service).or(coming) {
            Some(service) => service.publish(Arc::clone(&split)),
            None => false,
        };
        let trial = self.trial.load();
        if published
            && let Some(trial) = &*trial
            && let Some(service) = trial.generation.service(&split.service)
        {
            service.prepare();
        }
    }

    fn heartbeat(&self) {
        self.heard.store(clock::micros(Instant::now()), Relaxed);
        self.begun.store(true, Relaxed);
    }

    fn own_lag(&self, ticked: Duration) -> Option<Duration> {
        self.generation().heartbeats.look(ticked, Instant::now())
    }

    fn counts(&self, service: &ServiceName) -> Option<ServiceCounts> {
        self.of(service, Service::counts)
    }

    fn latencies(&self, service: &ServiceName) -> Option<ServiceLatencies> {
        let now = clock::micros(Instant::now());
        self.of(service, |service| service.latencies(now))
    }

    fn readiness(&self, service: &ServiceName) -> Vec<Readiness> {
        let now = clock::mono(Instant::now());
        self.of(service, |service| service.readiness(now)).unwrap_or_default()
    }

    fn bad_samples(&self, service: &ServiceName, version: &VersionName) -> Vec<BadSample> {
        let samples =
            |service: &Service| service.version(version).map(|version| version.meter.bad_samples());
        self.of(service, samples).flatten().unwrap_or_default()
    }
    fn shadow(&self, service: &ServiceName) -> Option<ShadowReport> {
        self.of(service, |service| service.shadow().map(|shadow| shadow.report())).flatten()
    }
}
