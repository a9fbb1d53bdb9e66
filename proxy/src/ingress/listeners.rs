//! The listeners in force, and the threads that serve them.
//!
//! A change is prepared whole (files read, sockets bound) before any of it takes effect, so that a
//! fault leaves everything as it was. An address that a reload does not change keeps its sockets
//! and its connections; one that is gone accepts what waits already, then nothing more, and its
//! connections finish.
//!
//! A shutdown has two stages. While it *parts*, nothing new is accepted and each connection ends
//! after its next answer; while it *leaves*, idle ones end at once. A process that has handed over
//! only parts: its clients need not notice.

use super::listener::{Counters, ListenerState};
use super::socket::{self, Inherited};
use super::tighten::tightens;
use super::tls::{TlsError, TlsState};
use super::worker::{self, Opening, Serve, WorkerHandle};
use crate::heartbeat::Heartbeats;
use arc_swap::ArcSwap;
use serin_config::model::Listener;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
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
    /// Opened by another process, for listeners to come.
    inherited: Mutex<Vec<Inherited>>,
    /// Changes when connections are to look whether their listener has become stricter.
    tightened: watch::Sender<()>,
    parting: watch::Sender<bool>,
    leaving: watch::Sender<bool>,
    abort: watch::Sender<bool>,
    /// Disconnects when the last thread has ended.
    alive: Mutex<mpsc::Receiver<()>>,
}

pub(super) struct Running {
    model: Listener,
    bound: SocketAddr,
    pub(super) state: Arc<ArcSwap<ListenerState>>,
    /// To be handed over; the threads have descriptors of their own.
    sockets: Vec<TcpListener>,
    stop: watch::Sender<bool>,
    /// What connections may still be served by that came before a reload.
    earlier: Vec<Weak<ListenerState>>,
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

    /// New connections get the new state; those that a stricter one might not have let in end.
    /// Says whether there are such.
    fn renew(&mut self, model: Listener, state: Arc<ListenerState>) -> bool {
        let old = self.state.swap(Arc::clone(&state));
        self.earlier.retain(|earlier| earlier.strong_count() > 0);
        self.earlier.push(Arc::downgrade(&old));
        let stricter = tightens((&self.model, &old), (&model, &state));
        if stricter {
            self.earlier.iter().filter_map(Weak::upgrade).for_each(|earlier| earlier.outdate());
        }
        self.model = model;
        stricter
    }
}

/// Listeners that are ready to be put in force.
pub(crate) struct Prepared(Vec<Change>);

enum Change {
    Keep {
        name: String,
    },
    /// `from` is the listener that has the address now, perhaps under another name.
    Renew {
        from: String,
        model: Listener,
        state: ListenerState,
    },
    Open {
        model: Listener,
        state: ListenerState,
        bound: SocketAddr,
        sockets: Vec<TcpListener>,
        /// The same ones, for the threads.
        theirs: Vec<TcpListener>,
    },
}

impl Ingress {
    /// Starts the threads; `serve` makes what each gives its connections to.
    pub(crate) fn start<S: Serve>(
        threads: u16,
        heartbeats: &Arc<Heartbeats>,
        inherited: Vec<Inherited>,
        serve: impl Fn() -> S,
    ) -> Result<Self, ListenError> {
        let (tightened, watch_tightened) = watch::channel(());
        let (parting, watch_parting) = watch::channel(false);
        let (leaving, watch_leaving) = watch::channel(false);
        let (abort, watch_abort) = watch::channel(false);
        let (living, alive) = mpsc::channel();
        let workers = (0..threads.max(1))
            .map(|index| {
                let watches = worker::Watches {
                    tightened: watch_tightened.clone(),
                    shutdown: watch_parting.clone(),
                    leaving: watch_leaving.clone(),
                    abort: watch_abort.clone(),
                    living: living.clone(),
                };
                worker::start(index, serve(), Arc::clone(heartbeats), watches)
            })
            .collect::<io::Result<_>>()
            .map_err(ListenError::Thread)?;
        let (listeners, alive) = (Mutex::default(), Mutex::new(alive));
        let inherited = Mutex::new(inherited);
        Ok(Self { workers, listeners, inherited, tightened, parting, leaving, abort, alive })
    }

    /// Everything about `models` that can fail.
    pub(crate) fn prepare(&self, models: &[Listener]) -> Result<Prepared, ListenError> {
        let running = self.running();
        let mut changes = Vec::with_capacity(models.len());
        for model in models {
            let taken = |name: &str| models.iter().any(|m| m.name == name && m.name != model.name);
            changes.push(self.change(model, &running, taken)?);
        }
        Ok(Prepared(changes))
    }

    pub(crate) fn commit(&self, prepared: Prepared) {
        let mut running = self.running();
        let (mut next, mut stricter) = (BTreeMap::new(), false);
        for change in prepared.0 {
            let (name, listener) = match change {
                Change::Keep { name } => {
                    let Some(kept) = running.remove(&name) else { continue };
                    (name, kept)
                }
                Change::Renew { from, model, state } => {
                    let Some(mut kept) = running.remove(&from) else { continue };
                    stricter |= kept.renew(model, Arc::new(state));
                    (kept.model.name.clone(), kept)
                }
                Change::Open { model, state, bound, sockets, theirs } => {
                    let name = model.name.clone();
                    let state = Arc::new(ArcSwap::from_pointee(state));
                    let stop = self.accept(&state, theirs);
                    let earlier = Vec::new();
                    (name, Running { model, bound, state, sockets, stop, earlier })
                }
            };
            next.insert(name, listener);
        }
        for gone in running.values() {
            let _ = gone.stop.send(true);
        }
        *running = next;
        // What this configuration had no use for.
        self.inherited().clear();
        drop(running);
        if stricter {
            self.tightened.send_replace(());
        }
    }

    /// The sockets of every listener, for a process that takes over.
    pub(crate) fn hand_over(&self) -> io::Result<Vec<Inherited>> {
        let of = |(name, running): (&String, &Running)| {
            let sockets = running.sockets.iter().map(TcpListener::try_clone);
            Ok(Inherited {
                listener: Some(name.clone()),
                address: running.model.address,
                sockets: sockets.collect::<io::Result<_>>()?,
            })
        };
        self.running().iter().map(of).collect()
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

    /// Stops accepting; every connection ends after its next answer.
    pub(crate) fn part(&self) {
        for listener in self.running().values_mut() {
            let _ = listener.stop.send(true);
            listener.sockets.clear();
        }
        let _ = self.parting.send(true);
    }

    /// Parts, and closes what is idle.
    pub(crate) fn begin_to_leave(&self) {
        self.part();
        let _ = self.leaving.send(true);
    }

    /// Whether tunnels are all that is open. Means something once nothing more is accepted.
    pub(crate) fn has_only_tunnels(&self) -> bool {
        self.workers.iter().all(|worker| worker.open.are_tunnels())
    }

    /// Parts, closes what is idle, and waits for what is in flight, at most until the deadline. Says
    /// whether everything had ended by itself.
    pub(crate) fn leave(&self, deadline: Duration) -> bool {
        self.begin_to_leave();
        let until = Instant::now() + deadline;
        let drained = self.has_ended(until);
        if !drained {
            let _ = self.abort.send(true);
            self.has_ended(Instant::now() + Duration::from_secs(1));
        }
        drained
    }

    /// Threads that have ended, of how many; their connections are gone, and what waits for them
    /// waits in vain.
    pub(crate) fn dead(&self) -> (usize, usize) {
        let dead = self.workers.iter().filter(|worker| worker.has_ended()).count();
        (dead, self.workers.len())
    }

    /// Whether nothing more is accepted.
    pub(crate) fn is_going(&self) -> bool {
        *self.parting.borrow()
    }

    /// Ends everything now.
    pub(crate) fn abort(&self) {
        let _ = self.parting.send(true);
        let _ = self.abort.send(true);
    }

    /// Waits until every connection has ended; says whether that came before the deadline.
    pub(crate) fn has_ended(&self, until: Instant) -> bool {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.saturating_duration_since(Instant::now());
        matches!(alive.recv_timeout(left), Err(mpsc::RecvTimeoutError::Disconnected))
    }

    pub(super) fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inherited(&self) -> MutexGuard<'_, Vec<Inherited>> {
        self.inherited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `taken` says whether another listener to come has this name.
    fn change(
        &self,
        model: &Listener,
        running: &BTreeMap<String, Running>,
        taken: impl Fn(&str) -> bool,
    ) -> Result<Change, ListenError> {
        let named = running.get(&model.name);
        let same_place = |now: &&Running| now.model.address == model.address;
        // A fixed address under a name that goes away is the same place under another name.
        let renamed = || {
            let fixed = model.address.port() != 0;
            running.values().find(|now| fixed && same_place(now) && !taken(&now.model.name))
        };
        match named.filter(same_place).or_else(renamed) {
            Some(now) if now.is_made_of(model) => Ok(Change::Keep { name: model.name.clone() }),
            Some(now) => {
                let old = named.unwrap_or(now).state.load_full();
                let slots = Some(now.state.load_full());
                let state = state_of(model, Some(&old), slots.as_deref())?;
                Ok(Change::Renew { from: now.model.name.clone(), model: model.clone(), state })
            }
            None => {
                let old = named.map(|old| old.state.load_full());
                let state = state_of(model, old.as_deref(), None)?;
                self.open_sockets(model, state)
            }
        }
    }

    fn open_sockets(&self, model: &Listener, state: ListenerState) -> Result<Change, ListenError> {
        let failed =
            |why| ListenError::Bind { name: model.name.clone(), address: model.address, why };
        let inherited = self
            .inherited()
            .iter_mut()
            .find(|i| i.is_for(model))
            .map(|i| std::mem::take(&mut i.sockets));
        let sockets =
            socket::open(model.address, self.workers.len(), inherited.unwrap_or_default());
        let sockets = sockets.map_err(failed)?;
        let bound = sockets[0].local_addr().map_err(failed)?;
        let theirs = sockets.iter().map(TcpListener::try_clone).collect::<io::Result<_>>();
        let theirs = theirs.map_err(failed)?;
        Ok(Change::Open { model: model.clone(), state, bound, sockets, theirs })
    }

    /// Has every thread accept from its own, until the returned watch says otherwise.
    fn accept(
        &self,
        state: &Arc<ArcSwap<ListenerState>>,
        sockets: Vec<TcpListener>,
    ) -> watch::Sender<bool> {
        let (stop, stopped) = watch::channel(false);
        for (worker, socket) in self.workers.iter().cycle().zip(sockets) {
            let opening = Opening { socket, state: state.clone(), stop: stopped.clone() };
            let _ = worker.openings.send(opening);
        }
        stop
    }
}

impl Drop for Ingress {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Tickets and certificates that a reload does not change live on, and so do the counts of a name
/// and the places of an address.
fn state_of(
    model: &Listener,
    old: Option<&ListenerState>,
    place: Option<&ListenerState>,
) -> Result<ListenerState, ListenError> {
    let kept = |tls: &&Arc<TlsState>| model.tls.as_ref().is_some_and(|m| tls.is_made_of(m));
    let tls = match (&model.tls, old.and_then(|old| old.tls.as_ref()).filter(kept)) {
        (None, _) => None,
        (Some(_), Some(kept)) => Some(kept.clone()),
        (Some(tls), None) => Some(Arc::new(
            TlsState::new(tls).map_err(|why| ListenError::Tls { name: model.name.clone(), why })?,
        )),
    };
    let counters = old.map_or_else(|| Arc::new(Counters::default()), |old| old.counters.clone());
    Ok(ListenerState::new(model, tls, counters, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_has_ended_is_dead_and_one_that_serves_is_not() {
        let (serve, served) = mpsc::channel::<()>();
        let serving = std::thread::spawn(move || {
            let _ = served.recv();
        });
        let dead = std::thread::spawn(|| ());
        let ingress = Ingress {
            workers: vec![WorkerHandle::of(serving), WorkerHandle::of(dead)],
            listeners: Mutex::default(),
            inherited: Mutex::default(),
            tightened: watch::channel(()).0,
            parting: watch::channel(false).0,
            leaving: watch::channel(false).0,
            abort: watch::channel(false).0,
            alive: Mutex::new(mpsc::channel().1),
        };
        let patience = Instant::now() + Duration::from_secs(60);
        while ingress.dead() != (1, 2) {
            assert!(Instant::now() < patience, "{:?}", ingress.dead());
            std::thread::yield_now();
        }
        drop(serve);
    }
}
