//! The one door to control, for everyone outside.

use crate::command::{Actor, Order, Outcome, Refusal, Signal};
use crate::event::{Event, Subscription};
use crate::view::{Dora, EvidenceView, RolloutRecord, Snapshot, Why};
use arc_swap::ArcSwap;
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::time::Wall;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Cheap to clone; every method is safe to call from a request handler.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) config: ArcSwap<Config>,
    pub(crate) events: broadcast::Sender<Event>,
}

impl Inner {
    pub(crate) fn last_event(&self) -> u64 {
        0
    }

    pub(crate) fn events_after(&self, _id: u64) -> Vec<Event> {
        Vec::new()
    }
}

impl Handle {
    /// The state as of the last tick. One atomic load.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshot.load_full()
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.inner.config.load_full()
    }

    /// Returns when the command is durable and in force, or refused.
    pub async fn command(&self, service: &ServiceName, order: Order) -> Result<Outcome, Refusal> {
        let _ = order;
        match self.snapshot().service(service.as_str()) {
            None => Err(Refusal::UnknownService(service.to_string())),
            Some(_) => Err(Refusal::NotNow("no rollout can run yet".to_owned())),
        }
    }

    /// Adds business counts to a version's signals. Atomic: all of them or none.
    pub async fn signals(
        &self,
        service: &ServiceName,
        signals: Vec<Signal>,
    ) -> Result<(), Refusal> {
        let _ = signals;
        match self.snapshot().service(service.as_str()) {
            None => Err(Refusal::UnknownService(service.to_string())),
            Some(_) => Ok(()),
        }
    }

    /// While frozen nothing starts or advances; guards still roll back. `None` lifts the freeze.
    pub async fn freeze(&self, reason: Option<String>, actor: Actor) -> Result<(), Refusal> {
        let _ = (reason, actor);
        Err(Refusal::NotNow("freezing is not possible yet".to_owned()))
    }

    /// Events after the given id, then those to come. `None`: only those to come.
    pub fn subscribe(&self, after: Option<u64>) -> Subscription {
        Subscription::new(Arc::clone(&self.inner), after)
    }

    /// The evidence behind the last verdict; `None` when the service never had one.
    pub fn why(&self, service: &ServiceName) -> Option<Why> {
        let _ = service;
        None
    }

    /// The newest first, at most `limit`, of one service or of all.
    pub fn rollouts(&self, service: Option<&ServiceName>, limit: usize) -> Vec<RolloutRecord> {
        let _ = (service, limit);
        Vec::new()
    }

    pub fn rollout(&self, id: &str) -> Option<RolloutRecord> {
        let _ = id;
        None
    }

    /// The post-mortem in Markdown.
    pub fn report(&self, id: &str) -> Option<String> {
        let _ = id;
        None
    }

    /// Every decision of a rollout that changed something, oldest first.
    pub fn evidence(&self, id: &str) -> Option<Vec<EvidenceView>> {
        let _ = id;
        None
    }

    /// The numbers over the last `period`, of one service or of all.
    pub fn dora(&self, service: Option<&ServiceName>, now: Wall, period: Duration) -> Dora {
        let _ = (service, now, period);
        Dora::default()
    }

    /// The exposition in Prometheus' text format.
    pub fn metrics(&self) -> String {
        String::new()
    }

    /// Puts a checked configuration in force, once the data plane has it.
    pub async fn reconfigure(&self, config: Arc<Config>) -> Result<(), Refusal> {
        self.inner.config.store(config);
        Ok(())
    }

    /// A configuration that could not be loaded: seen in status, metric, event and notification.
    pub fn reload_failed(&self, fault: String) {
        let _ = fault;
    }
}
