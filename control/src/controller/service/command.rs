//! What people and pipelines ask of a service.

use super::{QUEUE, Reply, ServiceRun};
use crate::command::{Order, Refusal, Signal};
use crate::controller::PATIENCE;
use crate::controller::shared::Shared;
use crate::controller::{orders, records};
use crate::journal::Durability;
use serin_core::rollout::Signal as CoreSignal;
use serin_core::time::Now;

impl ServiceRun {
    pub(crate) fn command(&mut self, shared: &mut Shared, order: Order, reply: Reply, now: Now) {
        if self.is_lowering() {
            self.settle_lowered(shared, PATIENCE, now);
        }
        if let Some(expected) = order.if_revision.filter(|r| *r != self.revision) {
            return shared.answer(reply, Err(Refusal::Stale { expected, current: self.revision }));
        }
        if self.is_at_rest() {
            // It was looked at up to a second ago.
            self.tick(shared, false, now);
        }
        if let Some(refusal) = orders::elsewhere(&order, self.pilot.position()) {
            return shared.answer(reply, Err(refusal));
        }
        let decided = self.pilot.command(&orders::to_core(&order), &shared.conditions, now);
        let decision = match decided {
            Ok(decision) => decision,
            Err(refused) => {
                // What it was refused for may have begun just now.
                shared.snapshot_due = true;
                return shared.answer(reply, Err(orders::refusal(&self.name, refused)));
            }
        };
        let durability = records::durability(&self.published, &decision);
        if durability == Durability::BestEffort && self.is_busy() {
            return match self.queue.len() < QUEUE {
                true => self.queue.push_back((order, reply)),
                false => shared.answer(reply, Err(Refusal::Busy)),
            };
        }
        let before = self.pilot.position().clone();
        self.note(&before, &decision, &shared.conditions, now);
        self.perform(shared, decision, Some((order, reply)), now);
    }

    /// Commands keep their order.
    pub(super) fn next_command(&mut self, shared: &mut Shared, now: Now) {
        let next = if self.is_busy() { None } else { self.queue.pop_front() };
        if let Some((order, reply)) = next {
            self.command(shared, order, reply, now);
        }
    }

    /// Business counts that somebody pushes: all of them or none.
    pub(crate) fn signals(&mut self, signals: Vec<Signal>, now: Now) -> Result<(), Refusal> {
        let listed = |s: &Signal| self.pilot.terms().listed(&s.version).is_some();
        if let Some(unlisted) = signals.iter().find(|s| !listed(s)) {
            let version = unlisted.version.to_string();
            return Err(Refusal::UnknownVersion { service: self.name.clone(), version });
        }
        if signals.iter().any(|s| s.good > s.total) {
            return Err(Refusal::Invalid("a signal has more good ones than there are".to_owned()));
        }
        let declared = &self.signals;
        let strange = |s: &&Signal| !declared.is_empty() && !declared.contains(&s.name);
        if let Some(strange) = signals.iter().find(strange) {
            let (name, listed) = (&strange.name, declared.join(", "));
            let why = format!("no signal {name} is listed; `signals` of the service has {listed}");
            return Err(Refusal::Invalid(why));
        }
        for Signal { version, name, good, total } in signals {
            self.pilot.signal(&CoreSignal { version, name, good, total }, now);
        }
        Ok(())
    }
}
