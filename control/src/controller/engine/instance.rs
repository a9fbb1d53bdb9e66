//! What concerns the whole instance: the freeze, another configuration, and telling of both.

use super::{Engine, PATIENCE, bare, count_rollbacks, freeze_of};
use crate::command::Refusal;
use crate::controller::intents::{ConsequenceView, Wanted};
use crate::controller::service_run::{NotDurable, ServiceRun};
use crate::event::{Event, EventKind};
use crate::journal::{Durability, Record, read};
use crate::view::{ConfigView, FreezeView, ReloadView, Timestamp};
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::time::Now;
use std::sync::Arc;
use std::time::Duration;

impl Engine {
    /// Freezing must happen, lifting it may.
    pub(crate) fn freeze(
        &mut self,
        freeze: Option<FreezeView>,
        actor: String,
        now: Now,
    ) -> Result<(), Refusal> {
        let (kind, durability, message) = match &freeze {
            Some(view) => {
                (EventKind::Frozen, Durability::Required, format!("frozen: {}", view.reason))
            }
            None => {
                (EventKind::Unfrozen, Durability::BestEffort, "the freeze is lifted".to_owned())
            }
        };
        let event = Event { actor: Some(actor), ..bare(kind, message, now) };
        let record = Record::Freeze { freeze: freeze.as_ref().map(Into::into) };
        let ticket = self.journal.commit(vec![record, event.clone().record()], durability);
        let patience =
            if durability == Durability::Required { PATIENCE } else { Duration::from_secs(1) };
        let answer = ticket.wait(patience);
        match (&answer, durability) {
            (Some(Ok(())), _) | (_, Durability::Required) => {
                self.freeze.clone_from(&freeze);
                self.freeze_not_durable = answer.is_none().then_some(NotDurable { ticket });
                self.conditions.freeze = freeze.as_ref().map(freeze_of);
                self.effects.tell(&event);
                self.generation += 1;
                self.publish_snapshot(now);
                Ok(())
            }
            (Some(Err(fault)), Durability::BestEffort) => Err(Refusal::NotDurable(fault.clone())),
            (None, Durability::BestEffort) => {
                // It may be written yet, and then has to be taken back: it was refused.
                let record = Record::Freeze { freeze: self.freeze.as_ref().map(Into::into) };
                drop(self.journal.commit(vec![record], Durability::Required));
                Err(Refusal::NotDurable("the disk is too slow".to_owned()))
            }
        }
    }

    /// Takes up another configuration, before the data plane serves its first request by it. What it
    /// means for rollouts under way is decided at once, not with the next tick.
    /// A configuration that contradicts the journal is refused, and changes nothing, unless somebody
    /// adopts what it says of a service.
    pub(crate) fn reconfigure(
        &mut self,
        config: Arc<Config>,
        adopt: &[ServiceName],
        now: Now,
    ) -> Result<Vec<ConsequenceView>, Refusal> {
        let foretold = self.foretell(&Wanted::of_config(&config), adopt);
        if foretold.iter().any(ConsequenceView::is_refused) {
            let refused = foretold.into_iter().filter(ConsequenceView::is_refused);
            return Err(Refusal::Contradicts(refused.collect()));
        }
        for adopted in foretold.iter().filter(|c| c.kind == "adopts") {
            if let Some(service) = config.services.get(adopted.service.as_str()) {
                self.adopt(service, "serin reload --adopt-stable", now)?;
            }
        }
        self.services.retain(|name, _| config.services.contains_key(name));
        let memory = read(self.journal.shared()).clone();
        for service in config.services.values() {
            match self.services.get_mut(&service.name) {
                Some(run) => run.set_service(service),
                None => {
                    let run = ServiceRun::resume(service, &memory, None, now);
                    self.plane.publish(Arc::clone(&run.published));
                    self.services.insert(service.name.clone(), run);
                }
            }
        }
        self.decide_all(now);
        self.show_recorders();
        self.config_view = ConfigView {
            generation: self.config_view.generation + 1,
            hash: config.hash.clone(),
            loaded_at: Timestamp(now.wall),
            failed: None,
            canary: None,
        };
        self.inner.tallies.reloaded(true);
        count_rollbacks(&self.inner.tallies, &config);
        self.effects.reconfigure(&config);
        self.inner.config.store(Arc::clone(&config));
        self.config = config;
        let message = format!("configuration {} is in force", short(&self.config_view.hash));
        self.happened(bare(EventKind::Reloaded, message, now));
        self.record_listings();
        self.generation += 1;
        self.publish_snapshot(now);
        Ok(foretold)
    }

    /// One fault is told once, however often the file is read with it.
    pub(crate) fn reload_failed(&mut self, fault: String, now: Now) {
        self.inner.tallies.reloaded(false);
        let known = self.config_view.failed.as_ref().is_some_and(|failed| failed.fault == fault);
        let message = format!("the configuration was refused: {fault}");
        self.config_view.failed = Some(ReloadView { at: Timestamp(now.wall), fault });
        if !known {
            let event = bare(EventKind::ReloadFailed, message, now);
            self.happened(Event { severity: Some("P3".to_owned()), ..event });
        }
        self.generation += 1;
        self.publish_snapshot(now);
    }

    /// The files say again what is in force.
    pub(crate) fn reload_unneeded(&mut self, now: Now) {
        if self.config_view.failed.take().is_some() {
            let message =
                format!("the files say again what is in force: {}", short(&self.config_view.hash));
            self.happened(bare(EventKind::Reloaded, message, now));
            self.generation += 1;
            self.publish_snapshot(now);
        }
    }

    /// Something that concerns no rollout: recorded if the disk allows, and told.
    pub(crate) fn happened(&mut self, event: Event) {
        tracing::info!(event = event.kind.as_str(), "{}", event.message);
        self.effects.tell(&event);
        drop(self.journal.commit(vec![event.record()], Durability::BestEffort));
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
