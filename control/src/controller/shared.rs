//! What the runs of all services share: the two sides that they stand between, what holds for the
//! whole instance, and who is to be answered once the snapshot shows what came of a command.

use super::orders;
use super::service::Reply;
use crate::command::{Order, Outcome, Refusal};
use crate::event::{Event, EventKind};
use crate::handle::Inner;
use crate::journal::{Durability, Journal, Ticket, read};
use crate::view::{ConfigView, FreezeView, Timestamp};
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::plane::DataPlane;
use serin_core::rollout::{Ask, Conditions, Freeze};
use serin_core::time::Now;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where the controller leaves what others carry out. No call may block.
pub(crate) trait Effects: Send {
    fn tell(&self, event: &Event);
    fn ask(&self, service: &ServiceName, ask: Ask);
    fn reconfigure(&mut self, config: &Config);
}

pub(crate) struct Shared {
    pub(super) plane: Arc<dyn DataPlane>,
    pub(super) journal: Box<dyn Journal>,
    pub(super) effects: Box<dyn Effects>,
    pub(super) inner: Arc<Inner>,
    pub(super) config: Arc<Config>,
    pub(super) config_view: ConfigView,
    pub(super) freeze: Option<FreezeView>,
    pub(super) freeze_not_durable: Option<Ticket>,
    /// The freeze, as decisions see it.
    pub(super) conditions: Conditions,
    /// How late this process's own threads are, while that is too late to be believed.
    pub(super) own_lag: Option<Duration>,
    /// Why the journal cannot be written, while it cannot.
    pub(super) fault: Option<String>,
    pub(super) generation: u64,
    pub(super) snapshot_due: bool,
    answers: Vec<(Reply, Result<Outcome, Refusal>)>,
}

impl Shared {
    pub(super) fn new(
        config: Arc<Config>,
        plane: Arc<dyn DataPlane>,
        journal: Box<dyn Journal>,
        inner: Arc<Inner>,
        effects: Box<dyn Effects>,
        now: Now,
    ) -> Self {
        let freeze: Option<FreezeView> = read(journal.memory()).freeze.as_ref().map(Into::into);
        Self {
            config_view: ConfigView {
                generation: 1,
                hash: config.hash.clone(),
                loaded_at: Timestamp(now.wall),
                failed: None,
                canary: None,
            },
            conditions: Conditions { freeze: freeze.as_ref().map(freeze_of) },
            plane,
            journal,
            effects,
            inner,
            config,
            freeze,
            freeze_not_durable: None,
            own_lag: None,
            fault: None,
            generation: 1,
            snapshot_due: true,
            answers: Vec::new(),
        }
    }

    /// The snapshot no longer shows how things are.
    pub(super) fn changed(&mut self) {
        self.generation += 1;
        self.snapshot_due = true;
    }

    pub(super) fn set_freeze(&mut self, freeze: Option<FreezeView>) {
        self.conditions.freeze = freeze.as_ref().map(freeze_of);
        self.freeze = freeze;
        self.changed();
    }

    /// An event that no decision made: to receivers of notifications, and to the journal.
    pub(super) fn tell(&self, event: Event, durability: Durability) {
        self.effects.tell(&event);
        drop(self.journal.commit(vec![event.record()], durability));
    }

    /// Answers as soon as the snapshot shows what there is to see.
    pub(super) fn answer(&mut self, reply: Reply, answer: Result<Outcome, Refusal>) {
        self.answers.push((reply, answer));
    }

    pub(super) fn send_answers(&mut self) {
        for (reply, answer) in self.answers.drain(..) {
            // Whoever asked may have gone away.
            let _ = reply.send(answer);
        }
    }

    /// What was answered to a command with the same key.
    pub(super) fn answered_before(
        &self,
        service: &ServiceName,
        order: &Order,
    ) -> Option<Result<Outcome, Refusal>> {
        let key = order.idempotency_key.as_ref()?;
        let memory = read(self.journal.memory());
        let used = memory.keys.iter().rev().find(|used| used.key == *key)?;
        let digest = orders::stored(order).digest(service.as_str());
        Some(match used.digest.may_equal(&digest) {
            true => Ok(Outcome { repeated: true, ..(&used.outcome).into() }),
            false => Err(Refusal::KeyReused),
        })
    }
}

pub(crate) fn bare(kind: EventKind, message: String, now: Now) -> Event {
    Event {
        id: 0,
        at: Timestamp(now.wall),
        kind,
        service: None,
        rollout: None,
        severity: None,
        message,
        actor: None,
        weights: BTreeMap::new(),
    }
}

fn freeze_of(view: &FreezeView) -> Freeze {
    Freeze { by: view.by.clone(), reason: view.reason.clone(), since: view.since.0 }
}
