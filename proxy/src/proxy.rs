//! The data plane as one thing: started, changed, asked, and shut down.

use crate::accesslog::AccessLog;
use crate::config_generation::{ConfigError, ConfigGeneration, Environment};
use crate::downstream::forwarder::Forwarder;
use crate::heartbeat;
use crate::ingress::{Ingress, IngressMeters, Inherited, ListenError, Prepared};
use crate::metrics::PlaneMeters;
use crate::plane::Plane;
use crate::trial::Trial;
use crate::upstream::read_authorities;
use serin_config::model::Config;
use serin_core::judge::Beside;
use serin_core::metrics::Metered;
use serin_core::plane::DataPlane;
use serin_core::time::Wall;
use serin_core::weights::BasisPoints;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Threads that serve requests; as many as there are cores when nothing is said.
    pub threads: Option<NonZeroU16>,
}

#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error(transparent)]
    ConfigGeneration(#[from] ConfigError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(
        "cannot read this machine's certificate authorities: {0}; install ca-certificates, or name their file in SSL_CERT_FILE"
    )]
    Authorities(String),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    #[error("it is shutting down")]
    Going,
    #[error("control did not take it: {0}")]
    Steering(String),
}

/// A certificate that a listener shows to its clients.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServedCertificate {
    pub listener: String,
    pub subject: String,
    pub expires: Wall,
}

/// A running data plane. Dropping it ends it at once; [`Proxy::shutdown`] lets it finish.
pub struct Proxy {
    plane: Arc<Plane>,
    ingress: Arc<Ingress>,
    log: AccessLog,
    environment: Environment,
    /// Health checks and name resolution: never a request.
    background: Option<Runtime>,
    changing: Mutex<()>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("plane", &self.plane).finish_non_exhaustive()
    }
}

/// How often control's silence is looked at, and health checks that have found nothing new.
const LOOK: Duration = Duration::from_secs(1);

/// Between two looks at what is still open.
const PAUSE: Duration = Duration::from_millis(10);

/// How long a configuration waits for the first resolution of its names and the first check of its
/// endpoints before it comes into force.
const PATIENCE: Duration = Duration::from_secs(1);

impl Proxy {
    /// Returns when every listener accepts.
    pub fn start(config: Arc<Config>, options: &Options) -> Result<Self, ProxyError> {
        let nobody_steers = |_| Ok::<_, ProxyError>(());
        Self::start_steered(config, options, nobody_steers).map(|(proxy, ())| proxy)
    }

    /// As [`Proxy::start`], and before the first connection is accepted whoever steers is given the
    /// data plane: no request is served by a split that is not the one in force.
    pub fn start_steered<T, E: From<ProxyError>>(
        config: Arc<Config>,
        options: &Options,
        steer: impl FnOnce(Arc<dyn DataPlane>) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        Self::start_inheriting(config, options, Vec::new(), steer)
    }

    /// As [`Proxy::start_steered`], with sockets that are open already; those that no listener of the
    /// configuration wants are closed.
    pub fn start_inheriting<T, E: From<ProxyError>>(
        config: Arc<Config>,
        options: &Options,
        inherited: Vec<Inherited>,
        steer: impl FnOnce(Arc<dyn DataPlane>) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let (proxy, listeners) = Self::build(config, options, inherited)?;
        let steering = steer(proxy.data_plane())?;
        proxy.ingress.commit(listeners);
        proxy.environment.upstreams.own.are(proxy.listening());
        Ok((proxy, steering))
    }

    fn build(
        config: Arc<Config>,
        options: &Options,
        inherited: Vec<Inherited>,
    ) -> Result<(Self, Prepared), ProxyError> {
        read_authorities().map_err(ProxyError::Authorities)?;
        let threads = options.threads.map_or_else(cores, NonZeroU16::get);
        let background = background()?;
        let environment = Environment::new(usize::from(threads), Some(background.handle().clone()));
        environment.upstreams.own.are(configured(&config));
        let log = AccessLog::start(&config.access_log)?;
        let generation = ConfigGeneration::build(config.clone(), None, &environment)?;
        generation.settle(PATIENCE);
        let plane = Arc::new(Plane::new(generation));
        environment.begin(&config)?;
        let forwarder = || Forwarder::new(plane.clone(), log.clone());
        let ingress = Arc::new(Ingress::start(
            threads,
            &plane.generation().heartbeats,
            inherited,
            forwarder,
        )?);
        let listeners = ingress.prepare(&config.listeners)?;
        let changed = Arc::clone(&environment.upstreams.changed);
        background.spawn(watch(plane.clone(), changed));
        let heartbeats = Arc::clone(&environment.upstreams.heartbeats);
        background.spawn(heartbeat::of_background(heartbeats));
        let background = Some(background);
        let changing = Mutex::new(());
        Ok((Self { plane, ingress, log, environment, background, changing }, listeners))
    }

    /// Puts another configuration in force: whole, or not at all.
    pub fn apply(&self, config: Arc<Config>) -> Result<(), ProxyError> {
        self.apply_steered(config, || Ok::<_, Infallible>(()))
    }

    /// As [`Proxy::apply`], and before the first request is served by it whoever steers decides what
    /// it means: splits that are published meanwhile are those that it begins with. When the
    /// steering fails, the configuration is not put in force.
    pub fn apply_steered<E: std::fmt::Display>(
        &self,
        config: Arc<Config>,
        steer: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), ProxyError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ingress.is_going() {
            return Err(ProxyError::Going);
        }
        let listeners = self.ingress.prepare(&config.listeners)?;
        let before = self.plane.world_full();
        let own = [configured(&config), self.listening()].concat();
        self.environment.upstreams.own.are(own);
        let tried = self.plane.trial().filter(|trial| trial.generation.config == config);
        let generation = match tried {
            // It knows its endpoints already, and its requests go on.
            Some(trial) => Arc::clone(&trial.generation),
            None => self.built(&config, &before)?,
        };
        self.environment.begin(&config)?;
        self.plane.announce(generation.clone());
        if let Err(e) = steer() {
            self.plane.renounce(&generation);
            return Err(ProxyError::Steering(e.to_string()));
        }
        self.plane.install(generation);
        self.plane.end_trial();
        self.ingress.commit(listeners);
        self.environment.upstreams.own.are(self.listening());
        if before.config.access_log != config.access_log {
            self.log.apply(&config.access_log);
        }
        Ok(())
    }

    /// Lets a configuration serve a share of the requests, beside the one in force. It must have the
    /// same listeners.
    pub fn try_out(&self, config: &Arc<Config>, share: BasisPoints) -> Result<(), ProxyError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ingress.is_going() {
            return Err(ProxyError::Going);
        }
        let generation = self.built(config, &self.plane.world_full())?;
        self.plane.try_out(Trial::new(generation, share, self.environment.threads));
        Ok(())
    }

    /// What the two configurations have come to so far; `None` when one serves everything.
    pub fn tried(&self) -> Option<Beside> {
        self.plane.trial().map(|trial| trial.counts())
    }

    /// Serves everything by the configuration in force again. Requests that began with the other one
    /// end with it.
    pub fn end_trial(&self) {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trial) = self.plane.end_trial() {
            trial.generation.retire(&self.plane.generation());
        }
    }

    fn built(
        &self,
        config: &Arc<Config>,
        before: &ConfigGeneration,
    ) -> Result<Arc<ConfigGeneration>, ProxyError> {
        let generation = ConfigGeneration::build(config.clone(), Some(before), &self.environment)?;
        generation.settle(PATIENCE);
        Ok(Arc::new(generation))
    }

    /// Where a listener listens: the port that was chosen, where the configuration says 0.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.ingress.address(listener)
    }

    fn listening(&self) -> Vec<SocketAddr> {
        let config = &self.plane.generation().config;
        config.listeners.iter().filter_map(|listener| self.address(&listener.name)).collect()
    }

    /// The certificates as they are served now.
    pub fn certificates(&self) -> Vec<ServedCertificate> {
        let served = |(listener, subject, expires): (String, String, i64)| ServedCertificate {
            listener,
            subject,
            expires: Wall(expires.saturating_mul(1000)),
        };
        self.ingress.expiries().into_iter().map(served).collect()
    }

    /// What control steers and reads.
    pub fn data_plane(&self) -> Arc<dyn DataPlane> {
        self.plane.clone()
    }

    /// The configuration in force, with its generation.
    pub fn generation(&self) -> Arc<ConfigGeneration> {
        self.plane.world_full()
    }

    /// Everything that the data plane counts.
    pub fn meters(&self) -> Vec<Box<dyn Metered>> {
        let ingress = IngressMeters { ingress: self.ingress.clone(), log: self.log.clone() };
        vec![Box::new(PlaneMeters(self.plane.clone())), Box::new(ingress)]
    }

    /// Whether a shutdown or a hand-over has begun.
    pub fn is_going(&self) -> bool {
        self.ingress.is_going()
    }

    /// Why no requests should come here; `None` when they should: every thread serves, every service has
    /// somebody ready behind its stable version, and nobody has asked for a shutdown.
    pub fn not_ready(&self) -> Option<String> {
        if self.ingress.is_going() {
            return Some("it is shutting down".to_owned());
        }
        let (dead, all) = self.ingress.dead();
        if dead > 0 {
            return Some(format!("{dead} of {all} serving threads have died: restart it"));
        }
        let now = crate::clock::mono(Instant::now());
        let generation = self.plane.generation();
        let idle = generation.services().find(|service| !service.stable().is_ready(now))?;
        Some(format!("service {} has no ready endpoint behind its stable version", idle.name))
    }

    /// The sockets of every listener, for a process that takes over.
    pub fn hand_over(&self) -> io::Result<Vec<Inherited>> {
        self.ingress.hand_over()
    }

    /// Accepts nothing more; every connection ends after its next answer, and idle ones by
    /// themselves. For a process that has handed over.
    pub fn part(&self) {
        self.plane.drain();
        self.ingress.part();
    }

    /// Waits until everything has ended; says whether that was within so long. Blocks.
    pub fn has_ended(&self, within: Duration) -> bool {
        self.ingress.has_ended(Instant::now() + within)
    }

    /// Stops accepting, closes what is idle, and waits until nothing is open but tunnels, at most so
    /// long. Says whether tunnels are left, and nothing else. Blocks.
    pub fn comes_to_tunnels(&self, within: Duration) -> bool {
        self.plane.drain();
        self.ingress.begin_to_leave();
        let until = Instant::now() + within;
        loop {
            if self.ingress.has_ended(Instant::now() + PAUSE) {
                return false;
            }
            if self.ingress.has_only_tunnels() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }

    /// Stops accepting, closes what is idle, and waits for what is in flight, at most until the
    /// deadline. Says whether everything had ended by itself. Blocks: not for an asynchronous thread.
    pub fn shutdown(&self, deadline: Duration) -> bool {
        self.plane.drain();
        let drained = self.ingress.leave(deadline);
        self.log.flush(Duration::from_secs(1));
        self.environment.spans.flush(Duration::from_secs(1));
        drained
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ingress.abort();
        if let Some(background) = self.background.take() {
            background.shutdown_background();
        }
    }
}

async fn watch(plane: Arc<Plane>, health_changed: Arc<Notify>) {
    let mut every = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = every.tick() => plane.watch(Instant::now()),
            () = health_changed.notified() => {}
        }
        plane.weigh_checks(Instant::now());
    }
}

/// Where the listeners of a configuration are, as far as it says so.
fn configured(config: &Config) -> Vec<SocketAddr> {
    let addresses = config.listeners.iter().map(|listener| listener.address);
    addresses.filter(|address| address.port() != 0).collect()
}

fn background() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("serin-background")
        .enable_all()
        .build()
}

fn cores() -> u16 {
    std::thread::available_parallelism()
        .map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX))
}
