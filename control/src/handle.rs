//! The one door to control, for everyone outside.

use crate::command::{Actor, Order, Outcome, Refusal, Signal};
use crate::controller::{
    ConsequenceView, Latest, Message, Recorder, ServiceIntent, Wanted, bare, recorded,
    since_its_start, wall_now,
};
use crate::event::{Event, EventKind, Subscription};
use crate::history;
use crate::journal::schema::{self, Rollout};
use crate::journal::{Memory, Shared, read};
use crate::metrics::Tallies;
use crate::view::{
    CanaryView, ConfigView, Dora, EvidenceView, FreezeView, Health, HistoryView, RolloutRecord,
    ShadowView, Snapshot, Timestamp, Why,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::metrics::Metered;
use serin_core::plane::DataPlane;
use serin_core::time::{Mono, Now, Wall};
use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, oneshot};

/// Cheap to clone; every method is safe to call from a request handler.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) inner: Arc<Inner>,
}

/// What the handle, the controller and subscriptions share.
pub(crate) struct Inner {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    /// When the snapshot was taken, by a clock that nobody sets.
    taken: ArcSwap<Instant>,
    pub(crate) config: ArcSwap<Config>,
    pub(crate) events: broadcast::Sender<schema::Event>,
    /// By service.
    pub(crate) latest: ArcSwap<BTreeMap<ServiceName, Arc<Latest>>>,
    /// By service.
    pub(crate) recorders: ArcSwap<BTreeMap<String, Recorder>>,
    pub(crate) canary: ArcSwapOption<CanaryView>,
    pub(crate) tallies: Arc<Tallies>,
    /// Another one after a hand-over that did not succeed.
    memory: ArcSwap<RwLock<Memory>>,
    plane: Arc<dyn DataPlane>,
    /// `None` without a controller thread.
    door: Option<SyncSender<Message>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn new(
        config: Arc<Config>,
        plane: Arc<dyn DataPlane>,
        events: broadcast::Sender<schema::Event>,
        memory: Shared,
        tallies: Arc<Tallies>,
        door: Option<SyncSender<Message>>,
    ) -> Self {
        let empty = Snapshot {
            generation: 0,
            at: Timestamp::default(),
            services: Vec::new(),
            freeze: None,
            config: ConfigView {
                generation: 0,
                hash: config.hash.clone(),
                loaded_at: Timestamp::default(),
                failed: None,
                canary: None,
            },
            health: Health::default(),
        };
        Self {
            snapshot: ArcSwap::from_pointee(empty),
            taken: ArcSwap::from_pointee(Instant::now()),
            config: ArcSwap::new(config),
            events,
            latest: ArcSwap::default(),
            recorders: ArcSwap::default(),
            canary: ArcSwapOption::empty(),
            tallies,
            memory: ArcSwap::new(memory),
            plane,
            door,
        }
    }

    pub(crate) fn show(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.taken.store(Arc::new(Instant::now()));
    }

    pub(crate) fn remember(&self, memory: &Shared) {
        self.memory.store(Arc::clone(memory));
    }

    pub(crate) fn last_event(&self) -> u64 {
        read(&self.memory.load()).last_event
    }

    pub(crate) fn events_after(&self, id: u64) -> Vec<schema::Event> {
        read(&self.memory.load()).events_after(id)
    }

    fn send(&self, message: Message) -> Result<(), Refusal> {
        let inbox = self.door.as_ref().ok_or(Refusal::Stopped)?;
        inbox.try_send(message).map_err(|e| match e {
            TrySendError::Full(_) => Refusal::Busy,
            TrySendError::Disconnected(_) => Refusal::Stopped,
        })
    }
}

impl Handle {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// The state as of the last tick. One atomic load.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshot.load_full()
    }

    /// How old the snapshot is. A controller that is well takes one ten times a second.
    pub fn silence(&self) -> Duration {
        self.inner.taken.load().elapsed()
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.inner.config.load_full()
    }

    // --- asking for something ---------------------------------------------------------------

    /// Returns when the command is durable and in force, or refused.
    pub async fn command(&self, service: &ServiceName, order: Order) -> Result<Outcome, Refusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self.inner.send(Message::Order { service: service.clone(), order, reply });
        let result = match sent {
            Ok(()) => answer.await.unwrap_or(Err(Refusal::Stopped)),
            Err(refusal) => Err(refusal),
        };
        self.inner.tallies.commanded(result.is_ok());
        result
    }

    /// Adds business counts to a version's signals. Atomic: all of them or none.
    pub async fn signals(
        &self,
        service: &ServiceName,
        signals: Vec<Signal>,
    ) -> Result<(), Refusal> {
        let (done, answer) = oneshot::channel();
        self.inner.send(Message::Signals { service: service.clone(), signals, done })?;
        answer.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// While frozen nothing starts or advances; guards still roll back. `None` lifts the freeze.
    pub async fn freeze(&self, reason: Option<String>, actor: Actor) -> Result<(), Refusal> {
        let since = Timestamp(wall_now());
        let freeze = reason.map(|reason| FreezeView { since, reason, by: actor.0.clone() });
        let (done, answer) = oneshot::channel();
        self.inner.send(Message::Freeze { freeze, actor: actor.0, done })?;
        answer.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// Puts a checked configuration in force, once the data plane has it.
    ///
    /// It is refused as a whole, and changes nothing, where it contradicts the journal; of the services
    /// in `adopt` the configuration is believed. Blocks.
    pub fn reconfigure_blocking(
        &self,
        config: Arc<Config>,
        adopt: Vec<ServiceName>,
    ) -> Result<Vec<ConsequenceView>, Refusal> {
        let (done, answer) = oneshot::channel();
        let inbox = self.inner.door.as_ref().ok_or(Refusal::Stopped)?;
        // However busy control is: a configuration is in force on both sides, or on none.
        let message = Message::Reconfigure { config, adopt, done };
        inbox.send(message).map_err(|_| Refusal::Stopped)?;
        answer.blocking_recv().unwrap_or(Err(Refusal::Stopped))
    }

    /// What [`Handle::reconfigure_blocking`] would do to each service, now. Changes nothing; blocks.
    pub fn foretell_blocking(
        &self,
        intents: &BTreeMap<String, ServiceIntent>,
        adopt: Vec<ServiceName>,
    ) -> Result<Vec<ConsequenceView>, Refusal> {
        let understood = intents.iter().map(|(name, intent)| Wanted::new(name, intent));
        let wanted: Vec<Wanted> =
            understood.collect::<Result<_, _>>().map_err(|e| Refusal::Invalid(e.to_string()))?;
        let (done, answer) = oneshot::channel();
        self.inner.send(Message::Foretell { wanted, adopt, done })?;
        answer.blocking_recv().unwrap_or(Err(Refusal::Stopped))
    }

    /// The files say again what is in force: whatever was refused before is no longer there.
    pub fn reload_unneeded(&self) {
        if let Err(refusal) = self.inner.send(Message::ReloadUnneeded) {
            tracing::error!(%refusal, "a repaired configuration was not noted");
        }
    }

    /// A configuration that could not be loaded: seen in status, metric, event and notification.
    pub fn reload_failed(&self, fault: String) {
        if let Err(refusal) = self.inner.send(Message::ReloadFailed(fault)) {
            tracing::error!(%refusal, "a failed reload was not recorded");
        }
    }

    /// Something about a configuration that is no fault: seen in log and events.
    pub fn reload_told(&self, message: String) {
        let now = Now { mono: Mono::default(), wall: wall_now() };
        let event = bare(EventKind::Reloaded, message, now);
        if let Err(refusal) = self.inner.send(Message::Happened(event)) {
            tracing::error!(%refusal, "what became of a configuration was not recorded");
        }
    }

    /// What of a configuration on trial is to be seen; `None` when there is none.
    pub fn show_canary(&self, canary: Option<CanaryView>) {
        self.inner.canary.store(canary.map(Arc::new));
    }

    pub fn canary(&self) -> Option<CanaryView> {
        self.inner.canary.load().as_deref().cloned()
    }

    /// A certificate that has few days left.
    pub fn certificate_expiring(&self, listener: &str, subject: &str, expires: Wall) {
        let message = format!(
            "the certificate {subject} of listener {listener} expires {}",
            Timestamp(expires)
        );
        let now = Now { mono: Mono::default(), wall: wall_now() };
        let event = Event {
            severity: Some("P3".to_owned()),
            ..bare(EventKind::CertificateExpiring, message, now)
        };
        if let Err(refusal) = self.inner.send(Message::Happened(event)) {
            tracing::error!(%refusal, "an expiring certificate was not told");
        }
    }

    // --- looking ----------------------------------------------------------------------------

    /// Events after the given id, then those to come. `None`: only those to come.
    pub fn subscribe(&self, after: Option<u64>) -> Subscription {
        Subscription::new(Arc::clone(&self.inner), after)
    }

    /// The evidence behind the last verdict; `None` when the service never had one.
    pub fn why(&self, service: &ServiceName) -> Option<Why> {
        if let Some(latest) = self.inner.latest.load().get(service) {
            let bad = self.inner.plane.bad_samples(service, &latest.candidate);
            let bad = match &latest.decision.next.rollout {
                Some(rollout) => since_its_start(bad, rollout),
                None => bad,
            };
            return Some(history::why(&recorded(latest, &bad)));
        }
        let decision = read(&self.inner.memory.load()).last_decision(service.as_str())?;
        Some(history::why(&decision))
    }

    /// What was measured of a service over the last `period`, after a moment in seconds since 1970.
    pub fn history(
        &self,
        service: &ServiceName,
        period: Duration,
        after: Option<i64>,
    ) -> Option<HistoryView> {
        let recorder = self.inner.recorders.load().get(service.as_str())?.clone();
        Some(recorder.read(service.as_str(), period, after, Timestamp(wall_now())))
    }

    /// What its copies came to; `None` when it sends none.
    pub fn shadow(&self, service: &ServiceName) -> Option<ShadowView> {
        let report = self.inner.plane.shadow(service)?;
        Some(ShadowView::new(service.as_str(), report))
    }

    /// The newest first, at most `limit`, of one service or of all.
    pub fn rollouts(&self, service: Option<&ServiceName>, limit: usize) -> Vec<RolloutRecord> {
        let memory = self.inner.memory.load();
        let memory = read(&memory);
        let wanted = |r: &&Rollout| service.is_none_or(|s| s.as_str() == r.service);
        memory.rollouts.iter().rev().filter(wanted).take(limit).map(Into::into).collect()
    }

    pub fn rollout(&self, id: &str) -> Option<RolloutRecord> {
        read(&self.inner.memory.load()).find_rollout(id).map(Into::into)
    }

    /// The post-mortem in Markdown.
    pub fn report(&self, id: &str) -> Option<String> {
        let memory = self.inner.memory.load();
        let memory = read(&memory);
        let rollout = memory.find_rollout(id)?;
        let decisions: Vec<_> = memory.decisions.get(id).into_iter().flatten().collect();
        let decisions: Vec<_> = decisions.iter().map(|d| d.as_ref()).collect();
        Some(history::report(rollout, &decisions))
    }

    /// Every decision of a rollout that changed something, oldest first.
    pub fn evidence(&self, id: &str) -> Option<Vec<EvidenceView>> {
        let memory = self.inner.memory.load();
        let memory = read(&memory);
        memory.find_rollout(id)?;
        let decisions = memory.decisions.get(id).into_iter().flatten();
        Some(decisions.map(|d| history::evidence_of(d)).collect())
    }

    /// Makes a recorded decision again, from nothing but its record; `None` when it is not kept. It
    /// equals what was recorded, or the record is not the whole truth.
    pub fn decide_again(&self, id: &str, at: Timestamp) -> Option<serde_json::Value> {
        let memory = self.inner.memory.load();
        let memory = read(&memory);
        let decision = memory.decisions.get(id)?.iter().find(|d| d.at == at.0)?;
        history::decide_again(decision, memory.terms.get(&decision.terms)?)
    }

    /// The numbers over the last `period`, of one service or of all.
    pub fn dora(&self, service: Option<&ServiceName>, now: Wall, period: Duration) -> Dora {
        let memory = self.inner.memory.load();
        let memory = read(&memory);
        let wanted = |r: &&Rollout| service.is_none_or(|s| s.as_str() == r.service);
        history::dora(memory.rollouts.iter().filter(wanted), now, period)
    }

    /// The exposition in Prometheus' text format.
    pub fn metrics(&self) -> String {
        self.inner.tallies.exposition(&self.snapshot())
    }

    pub(crate) fn tallies(&self) -> Arc<Tallies> {
        Arc::clone(&self.inner.tallies)
    }

    /// Adds somebody else's metrics to the exposition.
    pub fn register(&self, metered: Box<dyn Metered>) {
        self.inner.tallies.add(metered);
    }
}
