//! The tick: collect → decide → record → publish, for every service in turn.
//!
//! It performs decisions and makes none. What raises a weight waits for the disk without holding
//! up anything else; what lowers one waits for a moment and then goes ahead, and says so. Nothing
//! in here touches the network: notifications and gates are handed out through bounded queues.

use super::flight::{Flight, Pending, QUEUE, Reply};
use super::orders;
use super::records::{self, Made};
use super::telling::{told, waiting_for, weights_of};
use super::windows;
use crate::command::{Order, Outcome, Refusal, Signal};
use crate::event::{Event, EventKind};
use crate::handle::Inner;
use crate::journal::{Desk, Duty, KeyRecord, Record, read};
use crate::view::{ConfigView, FreezeView, ReloadView, Timestamp};
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::plane::DataPlane;
use serin_core::rollout::{
    Answer, Ask, Command as Asked, Decision, Freeze, GateRef, Observed, Outside,
    Signal as CoreSignal,
};
use serin_core::time::{Mono, Now};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the lowering of a weight waits for its record.
const PATIENCE: Duration = Duration::from_millis(20);
/// After a failed write.
const RETRY: Duration = Duration::from_millis(500);
const LATENCIES: Duration = Duration::from_secs(1);
const CHECKPOINT: Duration = Duration::from_secs(10);
const PORTRAIT: Duration = Duration::from_millis(100);
/// A gate that refused is asked again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Where the controller leaves what others carry out. No call may block.
pub(crate) trait Outlet: Send {
    fn tell(&self, event: &Event);
    fn ask(&self, service: &ServiceName, ask: Ask);
    fn reconfigure(&mut self, config: &Config);
}

pub(crate) struct Engine {
    pub(crate) plane: Arc<dyn DataPlane>,
    pub(crate) desk: Desk,
    pub(crate) flights: BTreeMap<ServiceName, Flight>,
    pub(crate) outside: Outside,
    pub(crate) config: Arc<Config>,
    pub(crate) config_view: ConfigView,
    pub(crate) inner: Arc<Inner>,
    pub(crate) outlet: Box<dyn Outlet>,
    pub(crate) generation: u64,
    fault: Option<String>,
    latencies_at: Option<Mono>,
    checkpoint_at: Option<Mono>,
    portrait_at: Option<Mono>,
    harm_kept: u64,
}

impl Engine {
    pub(crate) fn start(
        config: Arc<Config>,
        plane: Arc<dyn DataPlane>,
        desk: Desk,
        kept: Option<windows::Kept>,
        inner: Arc<Inner>,
        outlet: Box<dyn Outlet>,
        now: Now,
    ) -> Self {
        let memory = read(desk.shared()).clone();
        let flight = |service| Flight::resume(service, &memory, kept.as_ref(), now);
        let flights: BTreeMap<ServiceName, Flight> =
            config.services.values().map(|s| (s.name.clone(), flight(s))).collect();
        for flight in flights.values() {
            plane.publish(Arc::clone(&flight.published));
        }
        let config_view = ConfigView {
            generation: 1,
            hash: config.hash.clone(),
            loaded_at: Timestamp(now.wall),
            failed: None,
        };
        let outside = Outside { freeze: memory.freeze.as_ref().map(freeze_of) };
        let mut engine = Self {
            plane,
            desk,
            flights,
            outside,
            config,
            config_view,
            inner,
            outlet,
            generation: 1,
            fault: None,
            latencies_at: None,
            checkpoint_at: Some(now.mono),
            portrait_at: None,
            harm_kept: 0,
        };
        engine.portray(now);
        engine
    }

    /// One tick. Called every 20 ms, and soon after a commit is durable.
    pub(crate) fn tick(&mut self, now: Now) {
        self.plane.heartbeat();
        self.settle(now);
        let second = due(&mut self.latencies_at, LATENCIES, now.mono);
        let names: Vec<ServiceName> = self.flights.keys().cloned().collect();
        for name in &names {
            self.tick_service(name, second, now);
        }
        self.watch_journal(second, now);
        self.keep_windows(second, now);
        if due(&mut self.portrait_at, PORTRAIT, now.mono) {
            self.portray(now);
        }
    }

    /// Puts in force what has become durable.
    pub(crate) fn settle(&mut self, now: Now) {
        let names: Vec<ServiceName> = self.flights.keys().cloned().collect();
        for name in &names {
            let resolved = |f: &Flight| f.pending.as_ref().and_then(|p| p.ticket.look());
            while let Some(result) = self.flights.get(name).and_then(resolved) {
                self.resolve(name, result, now);
            }
        }
    }

    fn tick_service(&mut self, name: &ServiceName, second: bool, now: Now) {
        let counts = self.plane.counts(name);
        let latencies = if second { self.plane.latencies(name) } else { None };
        let readiness = self.plane.readiness(name);
        let Some(flight) = self.flights.get_mut(name) else { return };
        flight.ledger.observe(counts.as_ref(), latencies.as_ref(), now.mono);
        let before = flight.pilot.position().clone();
        let observed = Observed {
            counts: counts.as_ref(),
            latencies: latencies.as_ref(),
            readiness: &readiness,
        };
        let decision = flight.pilot.tick(observed, &self.outside, now);
        flight.watch_harm(Timestamp(now.wall));
        if second && let Some(record) = flight.count_late_harm(counts.as_ref()) {
            drop(self.desk.commit(vec![Record::Rollout(Box::new(record))], Duty::May));
        }
        flight.note(&before, &decision, &self.outside, now);
        self.perform(name, decision, None, now);
    }

    /// Carries out a decision: at once, when it is durable, or not at all.
    fn perform(
        &mut self,
        name: &ServiceName,
        decision: Decision,
        order: Option<(Order, Reply)>,
        now: Now,
    ) {
        let Some(flight) = self.flights.get_mut(name) else { return };
        let position = flight.pilot.position();
        let nothing_new =
            position.equals_but_for_time(&decision.next) && decision.events.is_empty();
        if nothing_new && order.is_none() {
            if flight.pending.is_none() {
                self.pass_time(name, decision, now);
            }
            return;
        }
        let duty = records::duty(&flight.published, &decision);
        let blocked = flight.not_before.is_some_and(|at| now.mono < at);
        if duty == Duty::May && order.is_none() && (flight.pending.is_some() || blocked) {
            return;
        }
        let bad = match decision.next.course.as_ref() {
            Some(course) => self.plane.bad_samples(name, &course.candidate.version),
            None => Vec::new(),
        };
        let evidence = flight.pilot.evidence();
        let asked = order.as_ref().map(|(order, _)| orders::text(order));
        let made = Made { position, evidence, outside: &self.outside, now, asked, bad };
        let terms_known = read(self.desk.shared()).terms.contains_key(&flight.terms_id);
        let (mut records, record) = records::records(flight, &decision, &made, terms_known);
        let revision = flight.revision + 1;
        if let Some((order, _)) = &order
            && let Some(key) = &order.idempotency_key
        {
            let outcome = orders::outcome(name, revision, &decision);
            let digest = orders::digest(name, order);
            records.push(Record::Key(Box::new(KeyRecord { key: key.clone(), digest, outcome })));
        }
        let ticket = self.desk.commit(records, duty);
        let reply = order.map(|(_, reply)| reply);
        let superseded =
            flight.pending.replace(Pending { decision, revision, record, ticket, reply });
        flight.revision = revision;
        if let Some(reply) = superseded.and_then(|pending| pending.reply) {
            let why = "something that lowers the weight came first".to_owned();
            let _ = reply.send(Err(Refusal::NotNow(why)));
        }
        self.await_ticket(name, duty, now);
    }

    fn await_ticket(&mut self, name: &ServiceName, duty: Duty, now: Now) {
        let patience = if duty == Duty::Must { PATIENCE } else { Duration::ZERO };
        let ticket = self.flights.get(name).and_then(|f| f.pending.as_ref()).map(|p| &p.ticket);
        match (ticket.and_then(|ticket| ticket.wait(patience)), duty) {
            (Some(result), Duty::May) => self.resolve(name, result, now),
            (None, Duty::May) => {}
            (Some(Ok(())), Duty::Must) => self.put_in_force(name, None, now),
            (Some(Err(fault)), Duty::Must) => self.put_in_force(name, Some(fault), now),
            (None, Duty::Must) => {
                let slow = "the disk takes its time; the weight is down already".to_owned();
                self.put_in_force(name, Some(slow), now);
            }
        }
    }

    fn resolve(&mut self, name: &ServiceName, result: Result<(), String>, now: Now) {
        let Err(fault) = result else { return self.put_in_force(name, None, now) };
        let Some(flight) = self.flights.get_mut(name) else { return };
        flight.not_before = Some(now.mono.plus(RETRY));
        let pending = flight.pending.take();
        if let Some(reply) = pending.and_then(|pending| pending.reply) {
            let _ = reply.send(Err(Refusal::NotDurable(fault)));
        }
        self.next_order(name, now);
    }

    /// The pending decision becomes the present: split first, then everybody is told.
    fn put_in_force(&mut self, name: &ServiceName, fault: Option<String>, now: Now) {
        let Some(flight) = self.flights.get_mut(name) else { return };
        let Some(pending) = flight.pending.take() else { return };
        let Pending { decision, revision, record, reply, .. } = pending;
        if decision.lift_trip || *flight.published != decision.split {
            let moved = flight.published.weights != decision.split.weights;
            flight.published = Arc::new(decision.split.clone());
            flight.published_at = now.mono;
            self.plane.publish(Arc::clone(&flight.published));
            if moved {
                flight.harm.since = None;
            }
        }
        if let Some(fault) = &fault {
            tracing::error!(service = %name, %fault, "acted before it was durable, downwards only");
        }
        let stage =
            |d: &serin_core::rollout::Position| d.course.as_ref().map(|c| (c.epoch, c.stage));
        if stage(flight.pilot.position()) != stage(&decision.next) {
            flight.ledger.begin_stage(now.mono);
        }
        flight.record = record;
        flight.pilot.commit(decision.next.clone());
        self.generation += 1;
        self.announce(name, &decision, now);
        let asks = decision.asks.clone();
        self.ask(name, asks, now);
        self.portray(now);
        if let Some(reply) = reply {
            let mut outcome = orders::outcome(name, revision, &decision);
            if let Some(fault) = fault {
                outcome.message.push_str("; not durable yet: ");
                outcome.message.push_str(&fault);
            }
            let _ = reply.send(Ok(outcome));
        }
        self.next_order(name, now);
    }

    /// Only time has passed, or numbers that the data plane goes by have changed.
    fn pass_time(&mut self, name: &ServiceName, decision: Decision, now: Now) {
        let Some(flight) = self.flights.get_mut(name) else { return };
        if decision.lift_trip || flight.must_publish(&decision.split, now.mono) {
            flight.published = Arc::new(decision.split);
            flight.published_at = now.mono;
            self.plane.publish(Arc::clone(&flight.published));
        }
        flight.pilot.commit(decision.next);
        self.tell_waiting(name, decision.objections.first().and_then(waiting_for), now);
        self.ask(name, decision.asks, now);
    }

    fn announce(&mut self, name: &ServiceName, decision: &Decision, now: Now) {
        let rollout = decision.next.course.as_ref().map(|c| c.id.to_string());
        for happened in &decision.events {
            let event = told(happened, Timestamp(now.wall), rollout.as_deref(), &decision.split);
            if event.kind == EventKind::RolledBack {
                let label = decision.next.course.as_ref().and_then(|c| c.ended.as_ref());
                let label = label.map_or("unknown", |ended| ended.label.as_str());
                self.inner.tallies.rolled_back(name.as_str(), label);
            }
            tracing::info!(service = %name, event = event.kind.as_str(), "{}", event.message);
            self.outlet.tell(&event);
        }
    }

    fn ask(&mut self, name: &ServiceName, asks: Vec<Ask>, now: Now) {
        let Some(flight) = self.flights.get_mut(name) else { return };
        for ask in asks {
            if flight.may_ask(&ask.rollout, &ask.gate, now.mono) {
                self.outlet.ask(name, ask);
            }
        }
    }

    /// A change in what a rollout waits for is an event, at most one a kind and second.
    fn tell_waiting(
        &mut self,
        name: &ServiceName,
        waiting: Option<crate::view::WaitingFor>,
        now: Now,
    ) {
        let Some(flight) = self.flights.get_mut(name) else { return };
        if flight.told_waiting == waiting {
            return;
        }
        flight.told_waiting = waiting;
        self.generation += 1;
        let (Some(latest), Some(course)) = (&flight.latest, flight.pilot.position().active())
        else {
            return;
        };
        let event = Event {
            id: 0,
            at: Timestamp(now.wall),
            kind: EventKind::Waiting,
            service: Some(name.to_string()),
            rollout: Some(course.id.to_string()),
            severity: None,
            message: latest.decision.verdict.to_string(),
            actor: None,
            weights: weights_of(&flight.published),
        };
        drop(self.desk.commit(vec![Record::Event(Box::new(event))], Duty::May));
    }

    // --- orders ----------------------------------------------------------------------------

    pub(crate) fn order(&mut self, name: &ServiceName, order: Order, reply: Reply, now: Now) {
        if let Some(key) = &order.idempotency_key {
            let memory = read(self.desk.shared());
            if let Some(used) = memory.keys.iter().rev().find(|used| used.key == *key) {
                let _ = reply.send(if used.digest == orders::digest(name, &order) {
                    Ok(Outcome { repeated: true, ..used.outcome.clone() })
                } else {
                    Err(Refusal::KeyReused)
                });
                return;
            }
        }
        let Some(flight) = self.flights.get_mut(name) else {
            let _ = reply.send(Err(Refusal::UnknownService(name.to_string())));
            return;
        };
        if let Some(expected) = order.if_revision.filter(|r| *r != flight.revision) {
            let _ = reply.send(Err(Refusal::Stale { expected, current: flight.revision }));
            return;
        }
        let asked = orders::to_core(flight, &order);
        let outside = &self.outside;
        let decided = asked.and_then(|asked| {
            flight.pilot.command(&asked, outside, now).map_err(|r| orders::refusal(name, r))
        });
        match decided {
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
            Ok(decision) => {
                let may = records::duty(&flight.published, &decision) == Duty::May;
                if may && flight.pending.is_some() {
                    if flight.queue.len() < QUEUE {
                        flight.queue.push_back((order, reply));
                    } else {
                        let _ = reply.send(Err(Refusal::Busy));
                    }
                    return;
                }
                let before = flight.pilot.position().clone();
                flight.note(&before, &decision, outside, now);
                self.perform(name, decision, Some((order, reply)), now);
            }
        }
    }

    fn next_order(&mut self, name: &ServiceName, now: Now) {
        let next = self.flights.get_mut(name).and_then(|flight| flight.queue.pop_front());
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
        let Some(flight) = self.flights.get_mut(name) else { return };
        flight.answered(gate, now.mono.plus(ASK_AGAIN));
        let actor = "webhook".to_owned();
        let asked = Asked::GateAnswered { gate: gate.clone(), answer, actor };
        // Refused when the rollout has moved on: then nobody waits for the answer.
        if let Ok(decision) = flight.pilot.command(&asked, &self.outside, now) {
            if flight.pending.is_none() {
                self.perform(name, decision, None, now);
            } else {
                flight.answered(gate, now.mono);
            }
        }
    }

    pub(crate) fn signals(
        &mut self,
        name: &ServiceName,
        signals: Vec<Signal>,
        now: Now,
    ) -> Result<(), Refusal> {
        let Some(flight) = self.flights.get_mut(name) else {
            return Err(Refusal::UnknownService(name.to_string()));
        };
        let listed = |s: &Signal| flight.pilot.terms().listed(&s.version).is_some();
        if let Some(unlisted) = signals.iter().find(|s| !listed(s)) {
            let version = unlisted.version.to_string();
            return Err(Refusal::UnknownVersion { service: name.clone(), version });
        }
        if signals.iter().any(|s| s.good > s.total) {
            return Err(Refusal::Invalid("a signal has more good ones than there are".to_owned()));
        }
        for Signal { version, name, good, total } in signals {
            flight.pilot.signal(&CoreSignal { version, name, good, total }, now);
        }
        Ok(())
    }

    // --- everything -------------------------------------------------------------------------

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

    fn watch_journal(&mut self, second: bool, now: Now) {
        if second && self.fault.is_some() {
            self.desk.retry();
        }
        let fault = read(self.desk.shared()).fault.clone();
        if fault.is_some() == self.fault.is_some() {
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
        self.outlet.tell(&event);
        drop(self.desk.commit(vec![Record::Event(Box::new(event))], Duty::Must));
        self.fault = fault;
        self.generation += 1;
    }

    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Every ten seconds, and within a second when the candidate has done more harm.
    fn keep_windows(&mut self, second: bool, now: Now) {
        let harm = self.flights.values().map(|f| f.pilot.evidence().harm.failed_requests).sum();
        let harmed = second && harm != self.harm_kept;
        if due(&mut self.checkpoint_at, CHECKPOINT, now.mono) || harmed {
            self.harm_kept = harm;
            self.desk.checkpoint(windows::encode(self.flights.values(), now.wall));
        }
    }

    pub(crate) fn close(&mut self, now: Now) {
        self.settle(now);
        self.desk.checkpoint(windows::encode(self.flights.values(), now.wall));
        self.desk.close();
    }
}

/// Whether `every` has passed since it was last due.
fn due(last: &mut Option<Mono>, every: Duration, now: Mono) -> bool {
    let due = last.is_none_or(|last| now.since(last) >= every);
    if due {
        *last = Some(now);
    }
    due
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

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
