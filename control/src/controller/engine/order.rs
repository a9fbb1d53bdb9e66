//! What comes from outside for one service: orders by hand, answers of gates, signals.

use super::Engine;
use crate::command::{Order, Outcome, Refusal, Signal};
use crate::controller::service_run::{QUEUE, Reply};
use crate::controller::{orders, records};
use crate::journal::{Durability, read};
use serin_core::ids::ServiceName;
use serin_core::rollout::{Answer, Command as CoreCommand, GateRef, Signal as CoreSignal};
use serin_core::time::Now;
use std::time::Duration;

/// A gate that refused is asked again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl Engine {
    pub(crate) fn order(&mut self, name: &ServiceName, order: Order, reply: Reply, now: Now) {
        if let Some(key) = &order.idempotency_key {
            let memory = read(self.journal.shared());
            if let Some(used) = memory.keys.iter().rev().find(|used| used.key == *key) {
                let digest = orders::stored(&order).digest(name.as_str());
                let _ = reply.send(if used.digest.may_equal(&digest) {
                    Ok(Outcome { repeated: true, ..(&used.outcome).into() })
                } else {
                    Err(Refusal::KeyReused)
                });
                return;
            }
        }
        let Some(run) = self.services.get_mut(name) else {
            let _ = reply.send(Err(Refusal::UnknownService(name.to_string())));
            return;
        };
        if let Some(expected) = order.if_revision.filter(|r| *r != run.revision) {
            let _ = reply.send(Err(Refusal::Stale { expected, current: run.revision }));
            return;
        }
        if run.is_at_rest() {
            // It was looked at up to a second ago.
            self.tick_service(name, false, now);
        }
        let Some(run) = self.services.get_mut(name) else { return };
        if let Some(refusal) = orders::elsewhere(&order, run.pilot.position()) {
            let _ = reply.send(Err(refusal));
            return;
        }
        let conditions = &self.conditions;
        let decided = run.pilot.command(&orders::to_core(&order), conditions, now);
        let decided = decided.map_err(|refused| orders::refusal(name, refused));
        match decided {
            Err(refusal) => {
                // What it was refused for may have begun just now.
                if self.portrait_at.is_none() {
                    self.portrait_at = Some(now.mono);
                    self.publish_snapshot(now);
                }
                let _ = reply.send(Err(refusal));
            }
            Ok(decision) => {
                let may = records::durability(&run.published, &decision) == Durability::BestEffort;
                if may && run.is_busy() {
                    if run.queue.len() < QUEUE {
                        run.queue.push_back((order, reply));
                    } else {
                        let _ = reply.send(Err(Refusal::Busy));
                    }
                    return;
                }
                let before = run.pilot.position().clone();
                run.note(&before, &decision, conditions, now);
                self.perform(name, decision, Some((order, reply)), now);
            }
        }
    }

    pub(super) fn next_order(&mut self, name: &ServiceName, now: Now) {
        // They keep their order.
        let run = self.services.get_mut(name).filter(|run| !run.is_busy());
        let next = run.and_then(|run| run.queue.pop_front());
        if let Some((order, reply)) = next {
            self.order(name, order, reply, now);
        }
    }

    pub(crate) fn gate_answered(
        &mut self,
        name: &ServiceName,
        gate: &GateRef,
        answer: Answer,
        now: Now,
    ) {
        let Some(run) = self.services.get_mut(name) else { return };
        run.answered(gate, now.mono.plus(ASK_AGAIN));
        let actor = "webhook".to_owned();
        let asked = CoreCommand::GateAnswered { gate: gate.clone(), answer, actor };
        // Refused when the rollout has moved on: then nobody waits for the answer.
        if let Ok(decision) = run.pilot.command(&asked, &self.conditions, now) {
            if run.pending.is_none() {
                self.perform(name, decision, None, now);
            } else {
                run.answered(gate, now.mono);
            }
        }
    }

    pub(crate) fn signals(
        &mut self,
        name: &ServiceName,
        signals: Vec<Signal>,
        now: Now,
    ) -> Result<(), Refusal> {
        let Some(run) = self.services.get_mut(name) else {
            return Err(Refusal::UnknownService(name.to_string()));
        };
        let listed = |s: &Signal| run.pilot.terms().listed(&s.version).is_some();
        if let Some(unlisted) = signals.iter().find(|s| !listed(s)) {
            let version = unlisted.version.to_string();
            return Err(Refusal::UnknownVersion { service: name.clone(), version });
        }
        if signals.iter().any(|s| s.good > s.total) {
            return Err(Refusal::Invalid("a signal has more good ones than there are".to_owned()));
        }
        let declared = self.config.services.get(name).map(|s| s.signals.as_slice());
        let declared = declared.unwrap_or_default();
        let strange = |s: &&Signal| !declared.is_empty() && !declared.contains(&s.name);
        if let Some(strange) = signals.iter().find(strange) {
            let (name, listed) = (&strange.name, declared.join(", "));
            let why = format!("no signal {name} is listed; `signals` of the service has {listed}");
            return Err(Refusal::Invalid(why));
        }
        for Signal { version, name, good, total } in signals {
            run.pilot.signal(&CoreSignal { version, name, good, total }, now);
        }
        Ok(())
    }
}
