//! The controller: a [`ServiceRun`] for each service, and what all of them [share](Shared).
//!
//! A tick is collect → decide → record → publish, for every service in turn. It performs decisions
//! and makes none. What raises a weight waits for the disk without holding up anything else; what
//! lowers one waits for a moment and then goes ahead, and says so. Nothing in here touches the
//! network: notifications and gates are handed out through bounded queues.

mod checkpoint;
mod explain;
mod figures;
mod instance;
mod intents;
mod journal_watch;
mod lag;
mod orders;
mod owners;
mod planned;
mod recorder;
mod records;
mod service;
mod services;
mod shared;
mod snapshot;
mod telling;
mod thread;

pub(crate) use intents::Wanted;
pub use intents::{
    ConsequenceView, OnBusyIntent, RolloutIntent, ServiceIntent, VersionIntent, intents,
};
pub(crate) use owners::{contradictions, settle_before_start};
pub(crate) use recorder::Recorder;
pub(crate) use records::{recorded, since_its_start, text_of};
pub(crate) use service::{Latest, Reply, ServiceRun};
pub(crate) use shared::{Effects, bare};
pub(crate) use thread::{Clock, INBOX, Message, run, wall_now};

use crate::command::{Order, Refusal, Signal};
use crate::handle::Inner;
use crate::journal::schema::Checkpoint;
use crate::journal::{Journal, read};
use lag::LagWatch;
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::plane::DataPlane;
use serin_core::rollout::{Answer, GateRef, RollbackReason};
use serin_core::time::{Mono, Now};
use services::Services;
use shared::Shared;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the lowering of a weight waits for its record.
const PATIENCE: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);
const CHECKPOINT: Duration = Duration::from_secs(10);
/// How old the snapshot may be.
const SNAPSHOT: Duration = Duration::from_millis(100);

pub(crate) struct Controller {
    shared: Shared,
    services: Services,
    lag: LagWatch,
    moments: Moments,
    /// Failed requests of candidates that the last checkpoint knows of.
    harm_kept: u64,
}

/// When what comes round came last.
#[derive(Debug, Default)]
struct Moments {
    tick: Option<Mono>,
    second: Option<Mono>,
    checkpoint: Option<Mono>,
    snapshot: Option<Mono>,
}

impl Controller {
    pub(crate) fn start(
        config: Arc<Config>,
        plane: Arc<dyn DataPlane>,
        journal: Box<dyn Journal>,
        checkpoint: Option<Checkpoint>,
        inner: Arc<Inner>,
        effects: Box<dyn Effects>,
        now: Now,
    ) -> Self {
        let memory = read(journal.memory()).clone();
        let run = |service| ServiceRun::resume(service, &memory, checkpoint.as_ref(), now);
        let mut services: Services = config.services.values().map(run).collect();
        services.each(|run| run.begin(&*plane));
        count_rollbacks(&inner, &config);
        let shared = Shared::new(config, plane, journal, inner, effects, now);
        let moments = Moments { checkpoint: Some(now.mono), ..Moments::default() };
        let mut controller =
            Self { shared, services, lag: LagWatch::default(), moments, harm_kept: 0 };
        controller.show_recorders();
        // What the files have no place for any more is stable's before the first request.
        controller.decide_all(now);
        controller.record_listings();
        controller.publish_snapshot(now);
        controller
    }

    /// The same instance over a journal that another process may have written to meanwhile.
    pub(crate) fn again(
        self,
        journal: Box<dyn Journal>,
        checkpoint: Option<Checkpoint>,
        now: Now,
    ) -> Self {
        let Shared { config, plane, inner, effects, config_view, generation, .. } = self.shared;
        inner.remember(journal.memory());
        let mut again = Self::start(config, plane, journal, checkpoint, inner, effects, now);
        again.shared.config_view = config_view;
        again.shared.generation = generation;
        again.shared.changed();
        again.publish_snapshot(now);
        again
    }

    /// One tick. Called every 20 ms, and so late this time.
    pub(crate) fn tick(&mut self, now: Now, late: Duration) {
        self.shared.plane.heartbeat();
        self.watch_lag(late, now);
        self.settle(now);
        let second = due(&mut self.moments.second, SECOND, now.mono);
        self.tick_services(now);
        self.settle_lowered(now);
        self.watch_journal(second, now);
        if second {
            self.record_listings();
        }
        self.keep_checkpoint(second, now);
        if due(&mut self.moments.snapshot, SNAPSHOT, now.mono) {
            self.see_time_pass();
        }
        self.publish_snapshot(now);
    }

    fn tick_services(&mut self, now: Now) {
        let (before, shared) = (self.moments.tick.replace(now.mono), &mut self.shared);
        self.services.each_due(before, now.mono, |run, second| {
            if second || !run.is_at_rest() {
                run.tick(shared, second, now);
            }
        });
    }

    /// What other files mean for rollouts under way is decided at once, not with the next tick.
    fn decide_all(&mut self, now: Now) {
        self.services.each(|run| run.tick(&mut self.shared, false, now));
        self.settle_lowered(now);
    }

    /// Puts in force what has become durable.
    pub(crate) fn settle(&mut self, now: Now) {
        self.services.each_awake(|run| run.settle(&mut self.shared, now));
        self.shared.freeze_not_durable.take_if(|ticket| ticket.look().is_some());
    }

    /// What a batch of commands lowers waits for its records together; then everybody sees what came of them.
    pub(crate) fn end_batch(&mut self, now: Now) {
        self.settle_lowered(now);
        self.publish_snapshot(now);
    }

    /// What is lowered at once waits for its records together: a fault of a thousand services costs no
    /// more patience than a fault of one, and a disk that hangs already none.
    fn settle_lowered(&mut self, now: Now) {
        let (began, hung) = (Instant::now(), self.shared.journal.silent_for());
        self.services.each_awake(|run| {
            if run.is_lowering() {
                let patience = PATIENCE.saturating_sub(began.elapsed() + hung);
                run.settle_lowered(&mut self.shared, patience, now);
            }
        });
    }

    /// A command of somebody, who is answered when everybody can see what came of it.
    pub(crate) fn command(&mut self, name: &ServiceName, order: Order, reply: Reply, now: Now) {
        if let Some(answer) = self.shared.answered_before(name, &order) {
            return self.shared.answer(reply, answer);
        }
        if self.services.get(name).is_none() {
            return self.shared.answer(reply, Err(Refusal::UnknownService(name.to_string())));
        }
        self.services.with(name, |run| run.command(&mut self.shared, order, reply, now));
    }

    /// Decides what a command has made possible, before the next tick does.
    pub(crate) fn follow(&mut self, name: &ServiceName, now: Now) {
        if self.services.get(name).is_some_and(|run| run.following.is_some()) {
            self.services.with(name, |run| run.tick(&mut self.shared, false, now));
            self.settle_lowered(now);
        }
    }

    pub(crate) fn gate_answered(
        &mut self,
        name: &ServiceName,
        gate: &GateRef,
        answer: Answer,
        now: Now,
    ) {
        self.services.with(name, |run| run.gate_answered(&mut self.shared, gate, answer, now));
    }

    pub(crate) fn signals(
        &mut self,
        name: &ServiceName,
        signals: Vec<Signal>,
        now: Now,
    ) -> Result<(), Refusal> {
        let taken = self.services.with(name, |run| run.signals(signals, now));
        taken.unwrap_or_else(|| Err(Refusal::UnknownService(name.to_string())))
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

/// From zero, so that the first rollback is seen as one.
fn count_rollbacks(inner: &Inner, config: &Config) {
    for service in config.services.values() {
        if let Some(plan) = &service.rollout {
            let reasons = RollbackReason::labels(plan, &service.objectives);
            inner.tallies.may_roll_back(service.name.as_str(), &reasons);
        }
    }
}
