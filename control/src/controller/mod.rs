//! The controller: one thread that ticks, performs decisions and answers commands.
//!
//! Every 20 ms the counts are looked at, every second the latencies. A command or the end of a
//! write is looked at as soon as it comes. When this thread stalls or dies, the data plane misses
//! its heartbeat and freezes the weights by itself.

mod checkpoint;
mod engine;
mod explain;
mod figures;
mod intents;
mod orders;
mod planned;
mod recorder;
mod records;
mod service_run;
mod snapshot;
mod telling;

pub(crate) use engine::owners::{contradictions, settle_before_start};
pub(crate) use engine::{Effects, Engine, bare};
pub(crate) use intents::Wanted;
pub use intents::{
    ConsequenceView, OnBusyIntent, RolloutIntent, ServiceIntent, VersionIntent, intents,
};
pub(crate) use recorder::Recorder;
pub(crate) use records::{recorded, text_of};
pub(crate) use service_run::{Latest, Reply};

use crate::command::{Order, Refusal, Signal};
use crate::event::Event;
use crate::journal::JournalHandle;
use crate::journal::schema::Checkpoint;
use crate::view::FreezeView;
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::rollout::{Answer, GateRef};
use serin_core::time::{Mono, Now, Wall};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

pub(crate) const TICK: Duration = Duration::from_millis(20);
/// What may wait for the controller; more is refused at the door.
pub(crate) const INBOX: usize = 1024;

type Done = oneshot::Sender<Result<(), Refusal>>;
type Foretold = oneshot::Sender<Result<Vec<ConsequenceView>, Refusal>>;

pub(crate) enum Message {
    Order {
        service: ServiceName,
        order: Order,
        reply: Reply,
    },
    Signals {
        service: ServiceName,
        signals: Vec<Signal>,
        done: Done,
    },
    Freeze {
        freeze: Option<FreezeView>,
        actor: String,
        done: Done,
    },
    Reconfigure {
        config: Arc<Config>,
        adopt: Vec<ServiceName>,
        done: Foretold,
    },
    Foretell {
        wanted: Vec<Wanted>,
        adopt: Vec<ServiceName>,
        done: Foretold,
    },
    ReloadFailed(String),
    ReloadUnneeded,
    Happened(Event),
    GateAnswered {
        service: ServiceName,
        gate: GateRef,
        answer: Answer,
    },
    /// A write has ended.
    Wake,
    /// Close the journal and decide nothing, until told to resume.
    Yield {
        done: oneshot::Sender<()>,
    },
    /// Go on with what is in the journal now.
    Resume {
        journal: JournalHandle,
        checkpoint: Option<Checkpoint>,
        done: oneshot::Sender<()>,
    },
    Stop,
}

/// Both clocks of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> Now {
        let mono = u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono: Mono(mono), wall: wall_now() }
    }
}

/// A clock set before 1970 is taken to stand there; core notices when it jumps.
pub(crate) fn wall_now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Runs until it is told to stop, or nobody is left who could.
pub(crate) fn run(
    mut engine: Engine,
    inbox: &Receiver<Message>,
    clock: Clock,
    stop_wait: Duration,
) {
    let mut next = Instant::now();
    let mut late = Duration::ZERO;
    loop {
        engine.tick(clock.now(), std::mem::take(&mut late));
        // Ticks that were missed are not made up for.
        next = (next + TICK).max(Instant::now());
        loop {
            match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    return engine.close(stop_wait, clock.now());
                }
                Ok(Message::Yield { done }) => {
                    // Another process must not write before this one has ended to.
                    engine.close(Duration::MAX, clock.now());
                    // Whoever asked may have gone away; then nobody resumes, either.
                    let _ = done.send(());
                    match resumed(engine, inbox, &clock) {
                        Some(again) => engine = again,
                        None => return,
                    }
                }
                Ok(message) => perform(&mut engine, message, clock.now()),
                // Work of its own is no lag; to be woken too late is.
                Err(RecvTimeoutError::Timeout) => {
                    late = next.elapsed();
                    break;
                }
            }
            if Instant::now() >= next {
                break;
            }
        }
    }
}

/// Waits while another process has the journal. Orders that come meanwhile are refused, because
/// their answers are dropped. `None` when it is over.
fn resumed(engine: Engine, inbox: &Receiver<Message>, clock: &Clock) -> Option<Engine> {
    loop {
        match inbox.recv() {
            Ok(Message::Resume { journal, checkpoint, done }) => {
                let again = engine.again(journal, checkpoint, clock.now());
                let _ = done.send(());
                return Some(again);
            }
            Ok(Message::Stop) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

fn perform(engine: &mut Engine, message: Message, now: Now) {
    match message {
        Message::Order { service, order, reply } => engine.order(&service, order, reply, now),
        Message::Signals { service, signals, done } => {
            let _ = done.send(engine.signals(&service, signals, now));
        }
        Message::Freeze { freeze, actor, done } => {
            let _ = done.send(engine.freeze(freeze, actor, now));
        }
        Message::Reconfigure { config, adopt, done } => {
            let _ = done.send(engine.reconfigure(config, &adopt, now));
        }
        Message::Foretell { wanted, adopt, done } => {
            let _ = done.send(Ok(engine.foretell(&wanted, &adopt)));
        }
        Message::ReloadFailed(fault) => engine.reload_failed(fault, now),
        Message::ReloadUnneeded => engine.reload_unneeded(now),
        Message::Happened(event) => engine.happened(event),
        Message::GateAnswered { service, gate, answer } => {
            engine.gate_answered(&service, &gate, answer, now);
        }
        Message::Wake => engine.settle(now),
        Message::Stop | Message::Yield { .. } | Message::Resume { .. } => {}
    }
}
