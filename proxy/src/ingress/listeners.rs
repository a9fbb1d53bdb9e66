//! The listeners in force, and the threads that serve them.
//!
//! A change is prepared whole (files read, sockets bound) before any of it takes effect, so that a
//! fault leaves everything as it was. A listener that a reload does not change keeps its sockets
//! and its connections; one that is gone stops accepting, and its connections finish.

use super::listener::{Counters, ListenerState};
use super::socket;
use super::tls::{TlsError, TlsState};
use super::worker::{self, Opening, WorkerHandle};
use crate::accesslog::AccessLog;
use crate::lane::FullLane;
use arc_swap::ArcSwap;
use serin_config::model::Listener;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::watch;

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("listener {name}: cannot listen on {address}: {why}")]
    Bind { name: String, address: SocketAddr, why: io::Error },
    #[error("listener {name}: {why}")]
    Tls { name: String, why: TlsError },
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

pub(crate) struct Ingress {
    workers: Vec<WorkerHandle>,
    listeners: Mutex<BTreeMap<String, Running>>,
    shutdown: watch::Sender<bool>,
    abort: watch::Sender<bool>,
    /// Disconnects when the last thread has ended.
    alive: Mutex<mpsc::Receiver<()>>,
}

pub(super) struct Running {
    model: Listener,
    bound: SocketAddr,
    pub(super) state: Arc<ArcSwap<ListenerState>>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Nothing about it has changed, the content of its certificates' files included.
    fn is_made_of(&self, model: &Listener) -> bool {
        let state = self.state.load();
        let same_tls = match (&model.tls, &state.tls) {
            (Some(model), Some(tls)) => tls.is_made_of(model),
            (Some(_), None) | (None, _) => true,
        };
        self.model == *model && same_tls
    }
}

/// Listeners that are ready to be put in force.
pub(crate) struct Prepared(Vec<Change>);

enum Change {
    Keep { name: String },
    Renew { model: Listener, state: ListenerState },
    Open { model: Listener, state: ListenerState, bound: SocketAddr, sockets: Vec<TcpListener> },
}

impl Ingress {
    /// Starts the threads; `lane` makes the lane of each.
    pub(crate) fn start(
        threads: u16,
        log: &AccessLog,
        lane: impl Fn() -> FullLane,
    ) -> Result<Self, ListenError> {
        let (shutdown, watch_shutdown) = watch::channel(false);
        let (abort, watch_abort) = watch::channel(false);
        let (living, alive) = mpsc::channel();
        let workers = (0..threads.max(1))
            .map(|index| {
                let watches = worker::Watches {
                    shutdown: watch_shutdown.clone(),
                    abort: watch_abort.clone(),
                    living: living.clone(),
                };
                worker::start(index, lane(), log.clone(), watches)
            })
            .collect::<io::Result<_>>()
            .map_err(ListenError::Thread)?;
        let (listeners, alive) = (Mutex::default(), Mutex::new(alive));
        Ok(Self { workers, listeners, shutdown, abort, alive })
    }

    /// Requests carried by the fast lane and by the full one.
    pub(super) fn lanes(&self) -> (u64, u64) {
        let each = self.workers.iter().map(|worker| worker.lanes.get());
        each.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Everything about `models` that can fail.
    pub(crate) fn prepare(&self, models: &[Listener]) -> Result<Prepared, ListenError> {
        let running = self.running();
        models
            .iter()
            .map(|model| self.change(model, running.get(&model.name)))
            .collect::<Result<_, _>>()
            .map(Prepared)
    }

    pub(crate) fn commit(&self, prepared: Prepared) {
        let mut running = self.running();
        let mut next = BTreeMap::new();
        for change in prepared.0 {
            let (name, listener) = match change {
                Change::Keep { name } => {
                    let Some(kept) = running.remove(&name) else { continue };
                    (name, kept)
                }
                Change::Renew { model, state } => {
                    let Some(kept) = running.remove(&model.name) else { continue };
                    kept.state.store(Arc::new(state));
                    (model.name.clone(), Running { model, ..kept })
                }
                Change::Open { model, state, bound, sockets } => {
                    (model.name.clone(), self.open(model, state, bound, sockets))
                }
            };
            next.insert(name, listener);
        }
        for gone in running.values() {
            let _ = gone.stop.send(true);
        }
        *running = next;
    }

    /// Where a listener listens: the port that was chosen, where the configuration says 0.
    pub(crate) fn address(&self, name: &str) -> Option<SocketAddr> {
        self.running().get(name).map(|listener| listener.bound)
    }

    /// Every certificate that is served: its listener, its subject, and when it expires in seconds
    /// since the Unix epoch.
    pub(crate) fn expiries(&self) -> Vec<(String, String, i64)> {
        let of = |(name, listener): (&String, &Running)| {
            let state = listener.state.load();
            let tls = state.tls.iter();
            let all = tls.flat_map(|tls| tls.certificates().expiries());
            all.map(|(subject, expires)| (name.clone(), subject, expires)).collect::<Vec<_>>()
        };
        self.running().iter().flat_map(of).collect()
    }

    /// Stops accepting, closes what is idle, and waits for what is in flight, at most until the
    /// deadline. Says whether everything had ended by itself.
    pub(crate) fn shutdown(&self, deadline: Duration) -> bool {
        for listener in self.running().values() {
            let _ = listener.stop.send(true);
        }
        let _ = self.shutdown.send(true);
        let until = Instant::now() + deadline;
        let drained = self.all_ended(until);
        if !drained {
            let _ = self.abort.send(true);
            self.all_ended(Instant::now() + Duration::from_secs(1));
        }
        drained
    }

    /// Whether a shutdown has begun.
    pub(crate) fn is_going(&self) -> bool {
        *self.shutdown.borrow()
    }

    /// Ends everything now.
    pub(crate) fn abort(&self) {
        let _ = self.shutdown.send(true);
        let _ = self.abort.send(true);
    }

    fn all_ended(&self, until: Instant) -> bool {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.saturating_duration_since(Instant::now());
        matches!(alive.recv_timeout(left), Err(mpsc::RecvTimeoutError::Disconnected))
    }

    pub(super) fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, model: &Listener, running: Option<&Running>) -> Result<Change, ListenError> {
        let same_place = running.filter(|now| now.model.address == model.address);
        match (same_place, running) {
            (Some(now), _) if now.is_made_of(model) => {
                Ok(Change::Keep { name: model.name.clone() })
            }
            (Some(now), _) => {
                let state = state_of(model, Some(&now.state.load()))?;
                Ok(Change::Renew { model: model.clone(), state })
            }
            (None, old) => {
                let old = old.map(|old| old.state.load_full());
                let state = state_of(model, old.as_deref())?;
                let bind = |why| ListenError::Bind {
                    name: model.name.clone(),
                    address: model.address,
                    why,
                };
                let sockets = socket::bind(model.address, self.workers.len()).map_err(bind)?;
                let bound = sockets[0].local_addr().map_err(bind)?;
                Ok(Change::Open { model: model.clone(), state, bound, sockets })
            }
        }
    }

    fn open(
        &self,
        model: Listener,
        state: ListenerState,
        bound: SocketAddr,
        sockets: Vec<TcpListener>,
    ) -> Running {
        let state = Arc::new(ArcSwap::from_pointee(state));
        let (stop, stopped) = watch::channel(false);
        for (worker, socket) in self.workers.iter().zip(sockets) {
            let opening = Opening { socket, state: state.clone(), stop: stopped.clone() };
            let _ = worker.openings.send(opening);
        }
        Running { model, bound, state, stop }
    }
}

impl Drop for Ingress {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Tickets and certificates that a reload does not change live on, and so do the counts.
fn state_of(model: &Listener, old: Option<&ListenerState>) -> Result<ListenerState, ListenError> {
    let kept = |tls: &&Arc<TlsState>| model.tls.as_ref().is_some_and(|m| tls.is_made_of(m));
    let tls = match (&model.tls, old.and_then(|old| old.tls.as_ref()).filter(kept)) {
        (None, _) => None,
        (Some(_), Some(kept)) => Some(kept.clone()),
        (Some(tls), None) => Some(Arc::new(
            TlsState::new(tls).map_err(|why| ListenError::Tls { name: model.name.clone(), why })?,
        )),
    };
    let counters = old.map_or_else(|| Arc::new(Counters::default()), |old| old.counters.clone());
    Ok(ListenerState::new(model, tls, counters))
}
