//! Control without its threads and clocks: for simulations and for tests that must be able to
//! stop at any point.
//!
//! It is the same engine, journal and decisions; only who calls the tick is different. Commits
//! are made on the caller's thread, nobody is notified and no gate is asked.

use crate::command::{Order, Outcome, Refusal};
use crate::control::{LIVE_EVENTS, StartError, checkpoint, may_start};
use crate::controller::{ConsequenceView, Controller, Effects, Wanted};
use crate::event::Event;
use crate::handle::{Handle, Inner};
use crate::journal::{FileJournal, Journal, Storage, Writer};
use crate::metrics::Tallies;
use crate::view::FreezeView;
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::plane::DataPlane;
use serin_core::rollout::Ask;
use serin_core::time::{Now, Wall};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};

const A_MOMENT: Duration = Duration::from_millis(1);

pub struct Stepped {
    controller: Controller,
    handle: Handle,
    never_compacted_below: Arc<AtomicU64>,
}

impl std::fmt::Debug for Stepped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stepped").finish_non_exhaustive()
    }
}

struct Silent;

impl Effects for Silent {
    fn tell(&self, _event: &Event) {}
    fn ask(&self, _service: &ServiceName, _ask: Ask) {}
    fn reconfigure(&mut self, _config: &Config) {}
}

impl Stepped {
    pub fn start(
        config: Arc<Config>,
        plane: Arc<dyn DataPlane>,
        storage: Box<dyn Storage>,
        now: Now,
    ) -> Result<Self, StartError> {
        let events = broadcast::channel(LIVE_EVENTS).0;
        let mut writer = Writer::open(storage, events.clone())?;
        let checkpoint = checkpoint(&mut writer);
        let never_compacted_below = writer.never_compacted_below();
        let journal = Box::new(FileJournal::inline(writer));
        may_start(&config, &*journal, &[], now)?;
        let tallies = Arc::new(Tallies::new());
        let handle = Handle::new(Inner::new(
            Arc::clone(&config),
            Arc::clone(&plane),
            events,
            Arc::clone(journal.memory()),
            tallies,
            None,
        ));
        let inner = Arc::clone(&handle.inner);
        let controller =
            Controller::start(config, plane, journal, checkpoint, inner, Box::new(Silent), now);
        Ok(Self { controller, handle, never_compacted_below })
    }

    pub fn tick(&mut self, now: Now) {
        self.controller.tick(now, Duration::ZERO);
    }

    pub fn command(
        &mut self,
        service: &ServiceName,
        order: Order,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let (reply, mut answer) = oneshot::channel();
        self.controller.command(service, order, reply, now);
        // Decisions are told apart by their moments.
        let then = Now { mono: now.mono.plus(A_MOMENT), wall: Wall(now.wall.0 + 1) };
        self.controller.follow(service, then);
        self.controller.end_batch(now);
        answer.try_recv().unwrap_or(Err(Refusal::Stopped))
    }

    pub fn freeze(
        &mut self,
        freeze: Option<FreezeView>,
        actor: String,
        now: Now,
    ) -> Result<(), Refusal> {
        let frozen = self.controller.freeze(freeze, actor, now);
        self.controller.publish_snapshot(now);
        frozen
    }

    /// Has the journal compacted from this size on, in bytes, instead of the usual 8 MiB.
    pub fn compact_from(&mut self, size: u64) {
        self.never_compacted_below.store(size, Ordering::Relaxed);
    }

    pub fn reconfigure(
        &mut self,
        config: Arc<Config>,
        now: Now,
    ) -> Result<Vec<ConsequenceView>, Refusal> {
        let foretold = self.controller.reconfigure(config, &[], now);
        self.controller.publish_snapshot(now);
        foretold
    }

    /// What [`Stepped::reconfigure`] would do.
    pub fn foretell(&self, config: &Config) -> Vec<ConsequenceView> {
        self.controller.foretell(&Wanted::of_config(config), &[])
    }

    /// For looking only: its commands have nobody to go to.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// As in an orderly shutdown. Dropping it without is a crash.
    pub fn close(mut self, now: Now) {
        self.controller.close(Duration::MAX, now);
    }
}
