//! What concerns the whole instance: the freeze, another configuration, and telling of both.

use super::intents::{ConsequenceView, Wanted};
use super::{Controller, PATIENCE, SECOND, ServiceRun, bare, count_rollbacks};
use crate::command::Refusal;
use crate::event::{Event, EventKind};
use crate::journal::{Durability, Record, read};
use crate::view::{ConfigView, FreezeView, ReloadView, Timestamp};
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::time::Now;
use std::sync::Arc;

impl Controller {
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
        let shared = &mut self.shared;
        let event = Event { actor: Some(actor), ..bare(kind, message, now) };
        let record = Record::Freeze { freeze: freeze.as_ref().map(Into::into) };
        let ticket = shared.journal.commit(vec![record, event.clone().record()], durability);
        let patience = if durability == Durability::Required { PATIENCE } else { SECOND };
        let answer = ticket.wait(patience);
        match (&answer, durability) {
            (Some(Ok(())), _) | (_, Durability::Required) => {
                shared.set_freeze(freeze);
                shared.freeze_not_durable = answer.is_none().then_some(ticket);
                shared.effects.tell(&event);
                Ok(())
            }
            (Some(Err(fault)), Durability::BestEffort) => Err(Refusal::NotDurable(fault.clone())),
            (None, Durability::BestEffort) => {
                // It may be written yet, and then has to be taken back: it was refused.
                let record = Record::Freeze { freeze: shared.freeze.as_ref().map(Into::into) };
                drop(shared.journal.commit(vec![record], Durability::Required));
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
        self.take_services(&config, now);
        self.decide_all(now);
        self.show_recorders();
        let shared = &mut self.shared;
        shared.config_view = ConfigView {
            generation: shared.config_view.generation + 1,
            hash: config.hash.clone(),
            loaded_at: Timestamp(now.wall),
            failed: None,
            canary: None,
        };
        shared.inner.tallies.reloaded(true);
        count_rollbacks(&shared.inner, &config);
        shared.effects.reconfigure(&config);
        shared.inner.config.store(Arc::clone(&config));
        shared.config = config;
        let message = format!("configuration {} is in force", short(&shared.config_view.hash));
        shared.changed();
        self.happened(bare(EventKind::Reloaded, message, now));
        self.record_listings();
        Ok(foretold)
    }

    fn take_services(&mut self, config: &Config, now: Now) {
        self.services.retain(|name| config.services.contains_key(name));
        let memory = read(self.shared.journal.memory()).clone();
        let mut new = Vec::new();
        for service in config.services.values() {
            if self.services.with(&service.name, |run| run.set_service(service)).is_none() {
                let mut run = ServiceRun::resume(service, &memory, None, now);
                run.begin(&*self.shared.plane);
                new.push(run);
            }
        }
        self.services.extend(new);
    }

    /// One fault is told once, however often the file is read with it.
    pub(crate) fn reload_failed(&mut self, fault: String, now: Now) {
        let shared = &mut self.shared;
        shared.inner.tallies.reloaded(false);
        shared.changed();
        let known = shared.config_view.failed.as_ref().is_some_and(|failed| failed.fault == fault);
        let message = format!("the configuration was refused: {fault}");
        shared.config_view.failed = Some(ReloadView { at: Timestamp(now.wall), fault });
        if !known {
            let event = bare(EventKind::ReloadFailed, message, now);
            self.happened(Event { severity: Some("P3".to_owned()), ..event });
        }
    }

    /// The files say again what is in force.
    pub(crate) fn reload_unneeded(&mut self, now: Now) {
        let shared = &mut self.shared;
        if shared.config_view.failed.take().is_some() {
            shared.changed();
            let message = format!(
                "the files say again what is in force: {}",
                short(&shared.config_view.hash)
            );
            self.happened(bare(EventKind::Reloaded, message, now));
        }
    }

    /// Something that concerns no rollout: recorded if the disk allows, and told.
    pub(crate) fn happened(&mut self, event: Event) {
        tracing::info!(event = event.kind.as_str(), "{}", event.message);
        self.shared.tell(event, Durability::BestEffort);
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
