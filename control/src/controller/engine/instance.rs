//! What concerns the whole instance: the freeze, another configuration, and telling of both.

use super::{Engine, PATIENCE, bare, freeze_of};
use crate::command::Refusal;
use crate::controller::flight::Flight;
use crate::event::{Event, EventKind};
use crate::journal::{Duty, Record, read};
use crate::view::{ConfigView, FreezeView, ReloadView, Timestamp};
use serin_config::model::Config;
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
        let (kind, duty, message) = match &freeze {
            Some(view) => (EventKind::Frozen, Duty::Must, format!("frozen: {}", view.reason)),
            None => (EventKind::Unfrozen, Duty::May, "the freeze is lifted".to_owned()),
        };
        let event = Event { actor: Some(actor), ..bare(kind, message, now) };
        let record = Record::Freeze { freeze: freeze.clone() };
        let ticket = self.desk.commit(vec![record, Record::Event(Box::new(event.clone()))], duty);
        let patience = if duty == Duty::Must { PATIENCE } else { Duration::from_secs(1) };
        match (ticket.wait(patience), duty) {
            (Some(Ok(())), _) | (_, Duty::Must) => {
                self.outside.freeze = freeze.as_ref().map(freeze_of);
                self.outlet.tell(&event);
                self.generation += 1;
                self.portray(now);
                Ok(())
            }
            (Some(Err(fault)), Duty::May) => Err(Refusal::NotDurable(fault)),
            (None, Duty::May) => Err(Refusal::NotDurable("the disk is too slow".to_owned())),
        }
    }

    pub(crate) fn reconfigure(&mut self, config: Arc<Config>, now: Now) {
        let memory = read(self.desk.shared()).clone();
        self.flights.retain(|name, _| config.services.contains_key(name));
        for service in config.services.values() {
            match self.flights.get_mut(&service.name) {
                Some(flight) => flight.set_service(service),
                None => {
                    let flight = Flight::resume(service, &memory, None, now);
                    self.flights.insert(service.name.clone(), flight);
                }
            }
        }
        for flight in self.flights.values() {
            self.plane.publish(Arc::clone(&flight.published));
        }
        self.config_view = ConfigView {
            generation: self.config_view.generation + 1,
            hash: config.hash.clone(),
            loaded_at: Timestamp(now.wall),
            failed: None,
        };
        self.inner.tallies.reloaded(true);
        self.outlet.reconfigure(&config);
        self.inner.config.store(Arc::clone(&config));
        self.config = config;
        let message = format!("configuration {} is in force", short(&self.config_view.hash));
        self.happened(bare(EventKind::Reloaded, message, now));
        self.generation += 1;
        self.portray(now);
    }

    pub(crate) fn reload_failed(&mut self, fault: String, now: Now) {
        self.inner.tallies.reloaded(false);
        let event = Event {
            severity: Some("P3".to_owned()),
            ..bare(EventKind::ReloadFailed, format!("the configuration was refused: {fault}"), now)
        };
        self.config_view.failed = Some(ReloadView { at: Timestamp(now.wall), fault });
        self.happened(event);
        self.generation += 1;
        self.portray(now);
    }

    /// Something that concerns no rollout: recorded if the disk allows, and told.
    pub(crate) fn happened(&mut self, event: Event) {
        tracing::info!(event = event.kind.as_str(), "{}", event.message);
        self.outlet.tell(&event);
        drop(self.desk.commit(vec![Record::Event(Box::new(event))], Duty::May));
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
