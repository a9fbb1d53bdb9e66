//! The journal, as far as it concerns the whole instance: whether it can be written, what is kept of
//! measurements now and then, and giving it back.

use super::{CHECKPOINT, Controller, bare, checkpoint, due};
use crate::event::{Event, EventKind};
use crate::journal::Durability;
use serin_core::time::Now;
use std::time::Duration;

/// A disk that has not answered for so long is said to be failing.
const HUNG: Duration = Duration::from_secs(2);

impl Controller {
    pub(super) fn watch_journal(&mut self, second: bool, now: Now) {
        let shared = &mut self.shared;
        if second {
            shared.journal.look_after();
        }
        let hung = shared.journal.silent_for();
        let hung =
            (hung > HUNG).then(|| format!("the disk has not answered for {} s", hung.as_secs()));
        let fault = hung.or_else(|| shared.journal.fault());
        if fault.is_some() == shared.fault.is_some() {
            shared.fault = fault;
            return;
        }
        let event = match &fault {
            Some(fault) => Event {
                severity: Some("P2".to_owned()),
                ..bare(
                    EventKind::JournalFailing,
                    format!("the journal cannot be written: {fault}; weights can only go down"),
                    now,
                )
            },
            None => {
                let message = "the journal can be written again".to_owned();
                bare(EventKind::JournalRecovered, message, now)
            }
        };
        tracing::error!(event = event.kind.as_str(), "{}", event.message);
        shared.tell(event, Durability::Required);
        shared.fault = fault;
        shared.changed();
        // What a rollout waits for may be the journal.
        self.services.iter_mut().for_each(|run| run.view = None);
    }

    /// Every ten seconds, and within a second when the candidate has done more harm.
    pub(super) fn keep_checkpoint(&mut self, second: bool, now: Now) {
        if !second {
            return;
        }
        let harm = self.services.iter().map(|f| f.pilot.evidence().harm.failed_requests).sum();
        if due(&mut self.moments.checkpoint, CHECKPOINT, now.mono) || harm != self.harm_kept {
            self.harm_kept = harm;
            self.shared.journal.checkpoint(checkpoint::encode(self.services.iter(), now.wall));
        }
    }

    /// Gives the journal back, once everything is written; after `at_most` in any case. What was
    /// not written by then is said, because the next start does not know of it.
    pub(crate) fn close(&mut self, at_most: Duration, now: Now) {
        self.settle(now);
        let last = checkpoint::encode(self.services.iter(), now.wall);
        self.shared.journal.close(last, at_most);
        self.settle(now);
        self.publish_snapshot(now);
        let not_durable = self.not_durable();
        if !not_durable.is_empty() {
            let (services, known) = (not_durable.len(), not_durable.join(", "));
            tracing::error!(
                services,
                "NOT WRITTEN: the disk did not take what was lowered last, and the next start gives back the weights that were written before; of: {known}"
            );
        }
        if self.shared.freeze_not_durable.is_some() {
            tracing::error!("NOT WRITTEN: the freeze; the next start does not know of it");
        }
    }
}
