//! The tick: collect → decide → record → publish, for every service in turn.
//!
//! It performs decisions and makes none. What raises a weight waits for the disk without holding
//! up anything else; what lowers one waits for a moment and then goes ahead, and says so. Nothing
//! in here touches the network: notifications and gates are handed out through bounded queues.

mod instance;
mod lag;
mod order;
pub(crate) mod owners;
mod perform;

use self::lag::LagWatch;
use super::checkpoint;
use super::service_run::{NotDurable, ServiceRun};
use super::telling::weights_of;
use crate::event::{Event, EventKind};
use crate::handle::Inner;
use crate::journal::schema::Checkpoint;
use crate::journal::{Durability, JournalHandle, Record, read};
use crate::metrics::Tallies;
use crate::view::{ConfigView, FreezeView, Timestamp};
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::plane::DataPlane;
use serin_core::rollout::{Ask, Conditions, Freeze, Observed, RollbackReason};
use serin_core::time::{Mono, Now};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the lowering of a weight waits for its record.
const PATIENCE: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);
const CHECKPOINT: Duration = Duration::from_secs(10);
const PORTRAIT: Duration = Duration::from_millis(100);
/// A disk that has not answered for so long is said to be failing.
const HUNG: Duration = Duration::from_secs(2);

/// Where the controller leaves what others carry out. No call may block.
pub(crate) trait Effects: Send {
    fn tell(&self, event: &Event);
    fn ask(&self, service: &ServiceName, ask: Ask);
    fn reconfigure(&mut self, config: &Config);
}

pub(crate) struct Engine {
    pub(crate) plane: Arc<dyn DataPlane>,
    pub(crate) journal: JournalHandle,
    pub(crate) services: BTreeMap<ServiceName, ServiceRun>,
    pub(crate) conditions: Conditions,
    pub(crate) config: Arc<Config>,
    pub(crate) config_view: ConfigView,
    pub(crate) inner: Arc<Inner>,
    pub(crate) effects: Box<dyn Effects>,
    pub(crate) generation: u64,
    pub(crate) freeze: Option<FreezeView>,
    pub(crate) freeze_not_durable: Option<NotDurable>,
    fault: Option<String>,
    second_at: Option<Mono>,
    ticked_at: Option<Mono>,
    checkpoint_at: Option<Mono>,
    pub(super) portrait_at: Option<Mono>,
    harm_kept: u64,
    lag: LagWatch,
    /// Decisions of this tick that lower a weight and wait for their records together.
    pub(super) lowering: Vec<ServiceName>,
}

impl Engine {
    pub(crate) fn start(
        config: Arc<Config>,
        plane: Arc<dyn DataPlane>,
        journal: JournalHandle,
        checkpoint: Option<Checkpoint>,
        inner: Arc<Inner>,
        effects: Box<dyn Effects>,
        now: Now,
    ) -> Self {
        let memory = read(journal.shared()).clone();
        let run = |service| ServiceRun::resume(service, &memory, checkpoint.as_ref(), now);
        let mut services: BTreeMap<ServiceName, ServiceRun> =
            config.services.values().map(|s| (s.name.clone(), run(s))).collect();
        for run in services.values_mut() {
            plane.publish(Arc::clone(&run.published));
            run.readiness = plane.readiness(&run.name);
        }
        let config_view = ConfigView {
            generation: 1,
            hash: config.hash.clone(),
            loaded_at: Timestamp(now.wall),
            failed: None,
            canary: None,
        };
        count_rollbacks(&inner.tallies, &config);
        let freeze: Option<FreezeView> = memory.freeze.as_ref().map(Into::into);
        let conditions = Conditions { freeze: freeze.as_ref().map(freeze_of) };
        let mut engine = Self {
            plane,
            journal,
            services,
            conditions,
            config,
            config_view,
            inner,
            effects,
            generation: 1,
            freeze,
            freeze_not_durable: None,
            fault: None,
            second_at: None,
            ticked_at: None,
            checkpoint_at: Some(now.mono),
            portrait_at: None,
            harm_kept: 0,
            lag: LagWatch::default(),
            lowering: Vec::new(),
        };
        engine.show_recorders();
        // What the files have no place for any more is stable's before the first request.
        engine.decide_all(now);
        engine.record_listings();
        engine.publish_snapshot(now);
        engine
    }

    /// The same instance over a journal that another process may have written to meanwhile.
    pub(crate) fn again(
        self,
        journal: JournalHandle,
        checkpoint: Option<Checkpoint>,
        now: Now,
    ) -> Self {
        let Self { config, plane, inner, effects, config_view, generation, .. } = self;
        inner.remember(journal.shared());
        let again = Self::start(config, plane, journal, checkpoint, inner, effects, now);
        Self { config_view, generation: generation + 1, ..again }
    }

    /// One tick. Called every 20 ms, and so late this time.
    pub(crate) fn tick(&mut self, now: Now, late: Duration) {
        self.plane.heartbeat();
        self.watch_lag(late, now);
        self.settle(now);
        let second = due(&mut self.second_at, SECOND, now.mono);
        let before = self.ticked_at.replace(now.mono);
        for (name, second) in self.due(before, now.mono) {
            self.tick_service(&name, second, now);
            self.answer_following(&name, now);
        }
        self.put_lowered(now);
        self.watch_journal(second, now);
        if second {
            self.record_listings();
        }
        self.keep_checkpoint(second, now);
        if due(&mut self.portrait_at, PORTRAIT, now.mono) {
            self.see_time_pass();
            self.publish_snapshot(now);
        }
    }

    /// Who is looked at in this tick, and whether at its latencies, too. A service at rest has its turn
    /// once a second: a thousand of them cost next to nothing, and nothing of theirs can be taken back.
    fn due(&self, before: Option<Mono>, now: Mono) -> Vec<(ServiceName, bool)> {
        let services = self.services.iter().enumerate();
        let due = services.filter_map(|(place, (name, run))| {
            let second = has_its_second(place, before, now);
            (second || !run.is_at_rest()).then(|| (name.clone(), second))
        });
        due.collect()
    }

    /// What other files mean for rollouts under way is decided at once, not with the next tick.
    pub(super) fn decide_all(&mut self, now: Now) {
        let names: Vec<ServiceName> = self.services.keys().cloned().collect();
        for name in &names {
            self.tick_service(name, false, now);
        }
        self.put_lowered(now);
    }

    /// Puts in force what has become durable.
    pub(crate) fn settle(&mut self, now: Now) {
        let waits = |run: &ServiceRun| run.pending.is_some() || run.not_durable.is_some();
        let waiting = self.services.iter().filter(|(_, run)| waits(run));
        let names: Vec<ServiceName> = waiting.map(|(name, _)| name.clone()).collect();
        for name in &names {
            let resolved = |f: &ServiceRun| f.pending.as_ref().and_then(|p| p.ticket.look());
            while let Some(result) = self.services.get(name).and_then(resolved) {
                self.resolve(name, result, now);
            }
            let written = |f: &mut ServiceRun| f.not_durable.take_if(|n| n.is_written()).is_some();
            if self.services.get_mut(name).is_some_and(written) {
                self.generation += 1;
            }
        }
        self.freeze_not_durable.take_if(|n| n.is_written());
    }

    /// Decides what a command has made possible, before the next tick does.
    pub(crate) fn follow(&mut self, name: &ServiceName, now: Now) {
        if self.services.get(name).is_some_and(|run| run.following.is_some()) {
            self.tick_service(name, false, now);
            self.answer_following(name, now);
            self.put_lowered(now);
        }
    }

    pub(super) fn tick_service(&mut self, name: &ServiceName, second: bool, now: Now) {
        let counts = self.plane.counts(name);
        let readiness = self.plane.readiness(name);
        let Some(run) = self.services.get_mut(name) else { return };
        let known = |counts| run.is_at_rest() && run.ledger.knows_latencies(counts);
        let latencies = if second && !counts.as_ref().is_some_and(known) {
            self.plane.latencies(name)
        } else {
            None
        };
        run.ledger.observe(counts.as_ref(), latencies.as_ref(), now.mono);
        if second {
            run.recorder.record(&run.ledger, &run.published, now);
        }
        let before = run.pilot.position().clone();
        let observed = Observed {
            counts: counts.as_ref(),
            latencies: latencies.as_ref(),
            readiness: &readiness,
            own_lag: self.lag.now(),
        };
        if run.readiness != readiness || second && run.has_other_figures(now.mono) {
            run.view = None;
        }
        let decision = run.pilot.tick(observed, &self.conditions, now);
        run.watch_harm(Timestamp(now.wall));
        if second && let Some(record) = run.count_late_harm(counts.as_ref()) {
            drop(
                self.journal
                    .commit(vec![Record::Rollout(Box::new(record))], Durability::BestEffort),
            );
        }
        run.note(&before, &decision, &self.conditions, now);
        run.readiness = readiness;
        if second {
            self.watch_objectives(name, now);
        }
        self.perform(name, decision, None, now);
    }

    fn watch_objectives(&mut self, name: &ServiceName, now: Now) {
        let Some(run) = self.services.get_mut(name) else { return };
        let Some((message, severity)) = run.watch_objectives(now) else { return };
        run.view = None;
        let event = Event {
            service: Some(name.to_string()),
            severity: severity.map(|severity| severity.as_str().to_owned()),
            weights: weights_of(&run.published),
            ..bare(EventKind::Warning, message, now)
        };
        tracing::warn!(service = %name, event = event.kind.as_str(), "{}", event.message);
        self.effects.tell(&event);
        drop(self.journal.commit(vec![event.record()], Durability::BestEffort));
        self.generation += 1;
    }

    fn watch_journal(&mut self, second: bool, now: Now) {
        if second {
            self.journal.retry();
        }
        let hung = self.journal.busy_for();
        let hung =
            (hung > HUNG).then(|| format!("the disk has not answered for {} s", hung.as_secs()));
        let fault = hung.or_else(|| read(self.journal.shared()).fault.clone());
        if fault.is_some() == self.fault.is_some() {
            self.fault = fault;
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
        self.effects.tell(&event);
        drop(self.journal.commit(vec![event.record()], Durability::Required));
        self.fault = fault;
        self.generation += 1;
        // What a rollout waits for may be the journal.
        self.services.values_mut().for_each(|run| run.view = None);
    }

    /// Why nothing that is measured is believed right now.
    pub(crate) fn not_observing(&self) -> Option<String> {
        self.lag.now().map(lag::sentence)
    }

    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Every ten seconds, and within a second when the candidate has done more harm.
    fn keep_checkpoint(&mut self, second: bool, now: Now) {
        let harm = self.services.values().map(|f| f.pilot.evidence().harm.failed_requests).sum();
        let harmed = second && harm != self.harm_kept;
        if due(&mut self.checkpoint_at, CHECKPOINT, now.mono) || harmed {
            self.harm_kept = harm;
            self.journal.checkpoint(checkpoint::encode(self.services.values(), now.wall));
        }
    }

    /// Gives the journal back, once everything is written; after `at_most` in any case. What was
    /// not written by then is said, because the next start does not know of it.
    pub(crate) fn close(&mut self, at_most: Duration, now: Now) {
        self.settle(now);
        self.journal.close(checkpoint::encode(self.services.values(), now.wall), at_most);
        self.settle(now);
        let not_durable = self.not_durable();
        if !not_durable.is_empty() {
            let (services, known) = (not_durable.len(), not_durable.join(", "));
            tracing::error!(
                services,
                "NOT WRITTEN: the disk did not take what was lowered last, and the next start gives back the weights that were written before; of: {known}"
            );
        }
        if self.freeze_not_durable.is_some() {
            tracing::error!("NOT WRITTEN: the freeze; the next start does not know of it");
        }
    }

    /// Services whose latest lowering is in force and not written.
    pub(crate) fn not_durable(&self) -> Vec<String> {
        let behind = self.services.values().filter(|run| run.not_durable.is_some());
        behind.map(|run| run.name.to_string()).collect()
    }
}

/// Whether the service in this place looks at its latencies now: once a second, each at a moment of
/// its own, so that a thousand services do not all do it in one tick.
fn has_its_second(place: usize, before: Option<Mono>, now: Mono) -> bool {
    const EVERY: u64 = 1_000;
    const APART: u64 = 20;
    let Some(before) = before else { return true };
    let moment = (place as u64 * APART) % EVERY;
    let passed = |at: Mono| (at.0 + EVERY - moment) / EVERY;
    passed(now) != passed(before)
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

/// From zero, so that the first rollback is seen as one.
fn count_rollbacks(tallies: &Tallies, config: &Config) {
    for service in config.services.values() {
        if let Some(plan) = &service.rollout {
            let reasons = RollbackReason::labels(plan, &service.objectives);
            tallies.may_roll_back(service.name.as_str(), &reasons);
        }
    }
}

fn freeze_of(view: &FreezeView) -> Freeze {
    Freeze { by: view.by.clone(), reason: view.reason.clone(), since: view.since.0 }
}
