//! From a decision to what is in force: recorded first, then published, then told.

use super::pending::{Answer, Pending};
use super::{Reply, ServiceRun};
use crate::command::{Order, Refusal};
use crate::controller::orders;
use crate::controller::records::{self, Made};
use crate::controller::shared::Shared;
use crate::controller::telling::{told, waiting_for, weights_of};
use crate::event::{Event, EventKind};
use crate::journal::schema::Key;
use crate::journal::{Durability, Record, Ticket, read};
use crate::view::{Timestamp, WaitingFor};
use serin_core::rollout::{Decision, Event as Happened, Position};
use serin_core::time::Now;
use std::sync::Arc;
use std::time::Duration;

/// After a failed write.
const RETRY: Duration = Duration::from_millis(500);

impl ServiceRun {
    /// Carries out a decision: at once, when it is durable, or not at all.
    pub(super) fn perform(
        &mut self,
        shared: &mut Shared,
        decision: Decision,
        order: Option<(Order, Reply)>,
        now: Now,
    ) {
        if order.is_none() && decision.only_time_passed(self.pilot.position()) {
            if self.pending.is_none() {
                self.pass_time(shared, decision, now);
            }
            return;
        }
        let durability = records::durability(&self.published, &decision);
        let blocked = self.not_before.is_some_and(|at| now.mono < at);
        let may_wait = durability == Durability::BestEffort && order.is_none();
        if may_wait && (self.pending.is_some() || blocked) {
            return;
        }
        let (records, record) = self.records(shared, &decision, order.as_ref(), now);
        let ticket = shared.journal.commit(records, durability);
        self.await_record(shared, decision, record, (durability, ticket), order.map(|o| o.1));
        match durability {
            Durability::BestEffort => self.settle_pending(shared, now),
            // With everything else that is lowered in this tick, or by the commands that wait.
            Durability::Required => {}
        }
    }

    fn records(
        &self,
        shared: &Shared,
        decision: &Decision,
        order: Option<&(Order, Reply)>,
        now: Now,
    ) -> (Vec<Record>, Option<crate::journal::schema::Rollout>) {
        let order = order.map(|(order, _)| order);
        let bad = match decision.next.rollout.as_ref() {
            Some(rollout) => {
                let bad = shared.plane.bad_samples(&self.name, &rollout.candidate.version);
                records::since_its_start(bad, rollout)
            }
            None => Vec::new(),
        };
        let made = Made {
            position: self.pilot.position(),
            evidence: self.pilot.evidence(),
            conditions: &shared.conditions,
            now,
            asked: order.map(|order| orders::stored(order).text()),
            by: order.map(|order| (order.actor.0.as_str(), order.command.reason())),
            bad,
        };
        let memory = read(shared.journal.memory());
        let terms_known = memory.terms.contains_key(&self.terms_id);
        let (mut records, record) = records::records(self, decision, &made, terms_known);
        records.extend(records::taken_back_late(self, decision, &made, &memory));
        drop(memory);
        if let Some(order) = order
            && let Some(key) = &order.idempotency_key
        {
            let revision = self.revision + 1;
            let outcome = orders::outcome(&self.name, revision, decision, &self.published);
            let digest = orders::stored(order).digest(self.name.as_str());
            let (key, outcome) = (key.clone(), (&outcome).into());
            records.push(Record::Key(Box::new(Key { key, digest, outcome })));
        }
        (records, record)
    }

    /// The decision is on its way to the disk. What was on its way before it has come to nothing.
    fn await_record(
        &mut self,
        shared: &mut Shared,
        decision: Decision,
        record: Option<crate::journal::schema::Rollout>,
        (durability, ticket): (Durability, Ticket),
        reply: Option<Reply>,
    ) {
        let following = self.following.take();
        let following = following.map(|(done, reply)| Answer { reply, done: Some(done) });
        let (reply, overtaken) = match reply {
            Some(reply) => (Some(Answer { reply, done: None }), following),
            None => (following, None),
        };
        let (latest, revision) = (self.latest.clone(), self.revision + 1);
        let pending = Pending { decision, revision, record, latest, durability, ticket, reply };
        let superseded = self.pending.replace(pending);
        self.revision = revision;
        for answer in superseded.and_then(|pending| pending.reply).into_iter().chain(overtaken) {
            let why = "something that lowers the weight came first".to_owned();
            let (reply, answer) = answer.failed(Refusal::NotNow(why));
            shared.answer(reply, answer);
        }
    }

    /// Puts in force what has become durable.
    pub(crate) fn settle(&mut self, shared: &mut Shared, now: Now) {
        self.settle_pending(shared, now);
        if self.not_durable.take_if(|ticket| ticket.look().is_some()).is_some() {
            shared.changed();
        }
    }

    fn settle_pending(&mut self, shared: &mut Shared, now: Now) {
        while let Some(result) = self.pending.as_ref().and_then(|pending| pending.ticket.look()) {
            match result {
                Ok(()) => self.put_in_force(shared, None, now),
                Err(fault) => self.come_to_nothing(shared, fault, now),
            }
        }
    }

    /// What lowers a weight waits a moment for its record, and then goes ahead.
    pub(crate) fn settle_lowered(&mut self, shared: &mut Shared, patience: Duration, now: Now) {
        let Some(pending) = &self.pending else { return };
        let fault = match pending.ticket.wait(patience) {
            Some(Ok(())) => None,
            Some(Err(fault)) => Some(fault),
            None => {
                let fault = shared.journal.fault();
                Some(fault.unwrap_or_else(|| "the disk has not answered yet".to_owned()))
            }
        };
        self.put_in_force(shared, fault, now);
    }

    fn come_to_nothing(&mut self, shared: &mut Shared, fault: String, now: Now) {
        self.not_before = Some(now.mono.plus(RETRY));
        let pending = self.pending.take();
        if let Some(answer) = pending.and_then(|pending| pending.reply) {
            let (reply, answer) = answer.failed(Refusal::NotDurable(fault));
            shared.answer(reply, answer);
        }
        self.next_command(shared, now);
    }

    /// The pending decision becomes the present: split first, then everybody is told.
    fn put_in_force(&mut self, shared: &mut Shared, fault: Option<String>, now: Now) {
        let Some(pending) = self.pending.take() else { return };
        let Pending { decision, revision, record, latest, ticket, reply, .. } = pending;
        self.latest = latest;
        let before = Arc::clone(&self.published);
        self.not_durable = fault.is_some().then_some(ticket);
        if decision.lift_trip || *self.published != decision.split {
            let moved = self.published.weights != decision.split.weights;
            self.publish(shared, &decision, now);
            if moved {
                self.harm.since = None;
            }
        }
        if let Some(fault) = &fault {
            tracing::error!(service = %self.name, %fault, "acted before it was durable, downwards only");
        }
        let stage = |d: &Position| d.rollout.as_ref().map(|c| (c.epoch, c.stage));
        if stage(self.pilot.position()) != stage(&decision.next) {
            self.ledger.begin_stage(now.mono);
        }
        self.record = record;
        self.pilot.commit(decision.next.clone());
        self.view = None;
        shared.changed();
        self.announce(shared, &decision, now);
        self.ask(shared, decision.asks.clone(), now);
        if let Some(Answer { reply, done }) = reply {
            let is_command = done.is_none();
            let outcome = orders::outcome(&self.name, revision, &decision, &before);
            let mut outcome = match done {
                Some(done) => orders::followed(done, outcome),
                None => outcome,
            };
            if let Some(fault) = fault {
                outcome.durable = false;
                outcome.message.push_str("; not durable yet: ");
                outcome.message.push_str(&fault);
            }
            if is_command && orders::is_to_follow(&decision) {
                self.following = Some((outcome, reply));
            } else {
                shared.answer(reply, Ok(outcome));
            }
        }
        self.next_command(shared, now);
    }

    /// Answers a command that the decision after it did not move any further.
    pub(super) fn answer_following(&mut self, shared: &mut Shared, now: Now) {
        let Some((mut outcome, reply)) = self.following.take() else { return };
        let verdict = self.latest.as_ref().map(|latest| latest.decision.verdict.to_string());
        let fault = shared.journal.fault().map(|fault| format!("not moved yet: {fault}"));
        if let Some(why) = fault.or(verdict) {
            outcome.message.push_str("; ");
            outcome.message.push_str(&why);
        }
        shared.answer(reply, Ok(outcome));
        self.next_command(shared, now);
    }

    /// Only time has passed, or numbers that the data plane goes by have changed.
    fn pass_time(&mut self, shared: &mut Shared, decision: Decision, now: Now) {
        if decision.lift_trip || self.must_publish(&decision.split, now.mono) {
            self.publish(shared, &decision, now);
        }
        self.pilot.commit(decision.next);
        self.tell_waiting(shared, decision.hold_reasons.first().and_then(waiting_for), now);
        self.ask(shared, decision.asks, now);
    }

    fn publish(&mut self, shared: &Shared, decision: &Decision, now: Now) {
        self.published = Arc::new(decision.split.clone());
        self.published_at = now.mono;
        shared.plane.publish(Arc::clone(&self.published));
    }

    fn announce(&self, shared: &Shared, decision: &Decision, now: Now) {
        for happened in &decision.events {
            let event = told(happened, Timestamp(now.wall), decision);
            if let Happened::RolledBack { why, .. } | Happened::Undone { why, .. } = happened {
                shared.inner.tallies.rolled_back(self.name.as_str(), &why.label());
            }
            tracing::info!(service = %self.name, event = event.kind.as_str(), "{}", event.message);
            shared.effects.tell(&event);
        }
    }

    /// A change in what a rollout waits for is an event, at most one a kind and second.
    fn tell_waiting(&mut self, shared: &mut Shared, waiting: Option<WaitingFor>, now: Now) {
        if self.told_waiting == waiting {
            return;
        }
        self.told_waiting = waiting;
        self.view = None;
        shared.changed();
        let (Some(latest), Some(rollout)) = (&self.latest, self.pilot.position().active()) else {
            return;
        };
        let event = Event {
            id: 0,
            at: Timestamp(now.wall),
            kind: EventKind::Waiting,
            service: Some(self.name.to_string()),
            rollout: Some(rollout.id.to_string()),
            severity: None,
            message: latest.decision.verdict.to_string(),
            actor: None,
            weights: weights_of(&self.published),
        };
        drop(shared.journal.commit(vec![event.record()], Durability::BestEffort));
    }
}
