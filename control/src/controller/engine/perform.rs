//! From a decision to what is in force: recorded first, then published, then told.

use super::{Engine, PATIENCE};
use crate::command::{Order, Refusal};
use crate::controller::orders;
use crate::controller::records::{self, Made};
use crate::controller::service_run::{Answer, NotDurable, Pending, Reply};
use crate::controller::telling::{told, waiting_for, weights_of};
use crate::event::{Event, EventKind};
use crate::journal::schema::Key;
use crate::journal::{Durability, Record, read};
use crate::view::{Timestamp, WaitingFor};
use serin_core::ids::ServiceName;
use serin_core::rollout::{Ask, Decision, Position};
use serin_core::time::Now;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After a failed write.
const RETRY: Duration = Duration::from_millis(500);

impl Engine {
    /// Carries out a decision: at once, when it is durable, or not at all.
    pub(super) fn perform(
        &mut self,
        name: &ServiceName,
        decision: Decision,
        order: Option<(Order, Reply)>,
        now: Now,
    ) {
        let Some(run) = self.services.get_mut(name) else { return };
        let position = run.pilot.position();
        let nothing_new =
            position.equals_but_for_time(&decision.next) && decision.events.is_empty();
        if nothing_new && order.is_none() {
            if run.pending.is_none() {
                self.pass_time(name, decision, now);
            }
            return;
        }
        let durability = records::durability(&run.published, &decision);
        let blocked = run.not_before.is_some_and(|at| now.mono < at);
        if durability == Durability::BestEffort
            && order.is_none()
            && (run.pending.is_some() || blocked)
        {
            return;
        }
        let bad = match decision.next.rollout.as_ref() {
            Some(rollout) => self.plane.bad_samples(name, &rollout.candidate.version),
            None => Vec::new(),
        };
        let evidence = run.pilot.evidence();
        let asked = order.as_ref().map(|(order, _)| orders::stored(order).text());
        let by = order.as_ref().map(|(order, _)| (order.actor.0.as_str(), order.command.reason()));
        let made = Made { position, evidence, conditions: &self.conditions, now, asked, by, bad };
        let terms_known = read(self.journal.shared()).terms.contains_key(&run.terms_id);
        let (mut records, record) = records::records(run, &decision, &made, terms_known);
        let revision = run.revision + 1;
        if let Some((order, _)) = &order
            && let Some(key) = &order.idempotency_key
        {
            let outcome = orders::outcome(name, revision, &decision, &run.published);
            let digest = orders::stored(order).digest(name.as_str());
            let (key, outcome) = (key.clone(), (&outcome).into());
            records.push(Record::Key(Box::new(Key { key, digest, outcome })));
        }
        // Whoever comes while the disk is behind need not wait to know that it is.
        let patience = if self.journal.is_behind() { Duration::ZERO } else { PATIENCE };
        let ticket = self.journal.commit(records, durability);
        let by_hand = order.is_some();
        let following = run.following.take();
        let following = following.map(|(done, reply)| Answer { reply, done: Some(done) });
        let (reply, overtaken) = match order {
            Some((_, reply)) => (Some(Answer { reply, done: None }), following),
            None => (following, None),
        };
        let latest = run.latest.clone();
        let pending = Pending { decision, revision, record, latest, ticket, reply };
        let superseded = run.pending.replace(pending);
        run.revision = revision;
        for answer in superseded.and_then(|pending| pending.reply).into_iter().chain(overtaken) {
            answer
                .failed(Refusal::NotNow("something that lowers the weight came first".to_owned()));
        }
        match durability {
            Durability::BestEffort => self.await_ticket(name, durability, Duration::ZERO, now),
            Durability::Required if by_hand => self.await_ticket(name, durability, patience, now),
            Durability::Required => self.lowering.push(name.clone()),
        }
    }

    /// What this tick lowers waits for its records together: a fault of a thousand services costs no
    /// more patience than a fault of one.
    pub(super) fn put_lowered(&mut self, now: Now) {
        let began = Instant::now();
        for name in std::mem::take(&mut self.lowering) {
            let patience = PATIENCE.saturating_sub(began.elapsed());
            self.await_ticket(&name, Durability::Required, patience, now);
        }
    }

    fn await_ticket(
        &mut self,
        name: &ServiceName,
        durability: Durability,
        patience: Duration,
        now: Now,
    ) {
        let ticket = self.services.get(name).and_then(|f| f.pending.as_ref()).map(|p| &p.ticket);
        match (ticket.and_then(|ticket| ticket.wait(patience)), durability) {
            (Some(result), Durability::BestEffort) => self.resolve(name, result, now),
            (None, Durability::BestEffort) => {}
            (Some(Ok(())), Durability::Required) => self.put_in_force(name, None, now),
            (Some(Err(fault)), Durability::Required) => self.put_in_force(name, Some(fault), now),
            (None, Durability::Required) => {
                let fault = read(self.journal.shared()).fault.clone();
                let fault = fault.unwrap_or_else(|| "the disk has not answered yet".to_owned());
                self.put_in_force(name, Some(fault), now);
            }
        }
    }

    pub(super) fn resolve(&mut self, name: &ServiceName, result: Result<(), String>, now: Now) {
        let Err(fault) = result else { return self.put_in_force(name, None, now) };
        let Some(run) = self.services.get_mut(name) else { return };
        run.not_before = Some(now.mono.plus(RETRY));
        let pending = run.pending.take();
        if let Some(answer) = pending.and_then(|pending| pending.reply) {
            answer.failed(Refusal::NotDurable(fault));
        }
        self.next_order(name, now);
    }

    /// The pending decision becomes the present: split first, then everybody is told.
    fn put_in_force(&mut self, name: &ServiceName, fault: Option<String>, now: Now) {
        let Some(run) = self.services.get_mut(name) else { return };
        let Some(pending) = run.pending.take() else { return };
        let Pending { decision, revision, record, latest, ticket, reply } = pending;
        run.latest = latest;
        let before = Arc::clone(&run.published);
        run.not_durable = fault.is_some().then_some(NotDurable { ticket });
        if decision.lift_trip || *run.published != decision.split {
            let moved = run.published.weights != decision.split.weights;
            run.published = Arc::new(decision.split.clone());
            run.published_at = now.mono;
            self.plane.publish(Arc::clone(&run.published));
            if moved {
                run.harm.since = None;
            }
        }
        if let Some(fault) = &fault {
            tracing::error!(service = %name, %fault, "acted before it was durable, downwards only");
        }
        let stage = |d: &Position| d.rollout.as_ref().map(|c| (c.epoch, c.stage));
        if stage(run.pilot.position()) != stage(&decision.next) {
            run.ledger.begin_stage(now.mono);
        }
        run.record = record;
        run.pilot.commit(decision.next.clone());
        self.generation += 1;
        if let Some(run) = self.services.get_mut(name) {
            run.view = None;
        }
        self.announce(name, &decision, now);
        let asks = decision.asks.clone();
        self.ask(name, asks, now);
        // Whoever asked is answered when everybody can see it; otherwise one drawing shows all that this tick changed.
        self.portrait_at = None;
        if let Some(Answer { reply, done }) = reply {
            self.publish_snapshot(now);
            let is_command = done.is_none();
            let outcome = orders::outcome(name, revision, &decision, &before);
            let mut outcome = match done {
                Some(done) => orders::followed(done, outcome),
                None => outcome,
            };
            if let Some(fault) = fault {
                outcome.durable = false;
                outcome.message.push_str("; not durable yet: ");
                outcome.message.push_str(&fault);
            }
            match self.services.get_mut(name) {
                Some(run) if is_command && orders::is_to_follow(&decision) => {
                    run.following = Some((outcome, reply));
                }
                Some(_) | None => drop(reply.send(Ok(outcome))),
            }
        }
        self.next_order(name, now);
    }

    /// Answers a command that the decision after it did not move any further.
    pub(super) fn answer_following(&mut self, name: &ServiceName, now: Now) {
        let Some(run) = self.services.get_mut(name) else { return };
        let Some((mut outcome, reply)) = run.following.take() else { return };
        let verdict = run.latest.as_ref().map(|latest| latest.decision.verdict.to_string());
        let fault =
            read(self.journal.shared()).fault.as_ref().map(|f| format!("not moved yet: {f}"));
        if let Some(why) = fault.or(verdict) {
            outcome.message.push_str("; ");
            outcome.message.push_str(&why);
        }
        let _ = reply.send(Ok(outcome));
        self.next_order(name, now);
    }

    /// Only time has passed, or numbers that the data plane goes by have changed.
    fn pass_time(&mut self, name: &ServiceName, decision: Decision, now: Now) {
        let Some(run) = self.services.get_mut(name) else { return };
        if decision.lift_trip || run.must_publish(&decision.split, now.mono) {
            run.published = Arc::new(decision.split);
            run.published_at = now.mono;
            self.plane.publish(Arc::clone(&run.published));
        }
        run.pilot.commit(decision.next);
        self.tell_waiting(name, decision.hold_reasons.first().and_then(waiting_for), now);
        self.ask(name, decision.asks, now);
    }

    fn announce(&mut self, name: &ServiceName, decision: &Decision, now: Now) {
        for happened in &decision.events {
            let event = told(happened, Timestamp(now.wall), decision);
            if event.kind == EventKind::RolledBack {
                let label = decision.next.rollout.as_ref().and_then(|c| c.ended.as_ref());
                let label = label.map_or("unknown", |ended| ended.label.as_str());
                self.inner.tallies.rolled_back(name.as_str(), label);
            }
            tracing::info!(service = %name, event = event.kind.as_str(), "{}", event.message);
            self.effects.tell(&event);
        }
    }

    fn ask(&mut self, name: &ServiceName, asks: Vec<Ask>, now: Now) {
        let Some(run) = self.services.get_mut(name) else { return };
        for ask in asks {
            if run.may_ask(&ask.rollout, &ask.gate, now.mono) {
                self.effects.ask(name, ask);
            }
        }
    }

    /// A change in what a rollout waits for is an event, at most one a kind and second.
    fn tell_waiting(&mut self, name: &ServiceName, waiting: Option<WaitingFor>, now: Now) {
        let Some(run) = self.services.get_mut(name) else { return };
        if run.told_waiting == waiting {
            return;
        }
        run.told_waiting = waiting;
        run.view = None;
        self.generation += 1;
        let (Some(latest), Some(rollout)) = (&run.latest, run.pilot.position().active()) else {
            return;
        };
        let event = Event {
            id: 0,
            at: Timestamp(now.wall),
            kind: EventKind::Waiting,
            service: Some(name.to_string()),
            rollout: Some(rollout.id.to_string()),
            severity: None,
            message: latest.decision.verdict.to_string(),
            actor: None,
            weights: weights_of(&run.published),
        };
        drop(self.journal.commit(vec![event.record()], Durability::BestEffort));
    }
}
