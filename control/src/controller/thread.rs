//! The controller's thread: it ticks, and performs what comes through its inbox.
//!
//! Every 20 ms the counts are looked at, every second the latencies. A command or the end of a
//! write is looked at as soon as it comes. When this thread stalls or dies, the data plane misses
//! its heartbeat and freezes the weights by itself.

use super::{ConsequenceView, Controller, Reply, Wanted};
use crate::command::{Order, Refusal, Signal};
use crate::event::Event;
use crate::journal::Journal;
use crate::journal::schema::Checkpoint;
use crate::view::FreezeView;
use serin_config::model::Config;
use serin_core::ids::ServiceName;
use serin_core::rollout::{Answer, GateRef};
use serin_core::time::{Mono, Now, Wall};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
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
        journal: Box<dyn Journal>,
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
    mut controller: Controller,
    inbox: &Receiver<Message>,
    clock: Clock,
    stop_wait: Duration,
) {
    let mut next = Instant::now();
    let mut late = Duration::ZERO;
    loop {
        controller.tick(clock.now(), std::mem::take(&mut late));
        // Ticks that were missed are not made up for; and however long a tick takes, commands that
        // wait get as much.
        let ended = Instant::now();
        next = (next + TICK).max(ended);
        while Instant::now() < next.max(ended + TICK) {
            match next_message(&mut controller, inbox, next, clock) {
                Next::Message(Message::Stop) | Next::Nobody => {
                    return controller.close(stop_wait, clock.now());
                }
                Next::Message(Message::Yield { done }) => {
                    // Another process must not write before this one has ended to.
                    controller.close(Duration::MAX, clock.now());
                    // Whoever asked may have gone away; then nobody resumes, either.
                    let _ = done.send(());
                    match resumed(controller, inbox, &clock) {
                        Some(again) => controller = again,
                        None => return,
                    }
                }
                Next::Message(message) => perform(&mut controller, message, clock.now()),
                Next::Tick { late: woken } => {
                    late = woken;
                    break;
                }
            }
        }
    }
}

enum Next {
    Message(Message),
    /// It is due, and the thread was woken so late for it.
    Tick {
        late: Duration,
    },
    /// Nobody is left who could send anything.
    Nobody,
}

/// Waits for a message until the tick is due. As soon as none waits, what the last ones came to is in
/// force and everybody sees it.
fn next_message(
    controller: &mut Controller,
    inbox: &Receiver<Message>,
    due: Instant,
    clock: Clock,
) -> Next {
    match inbox.try_recv() {
        Ok(message) => return Next::Message(message),
        Err(TryRecvError::Disconnected) => return Next::Nobody,
        Err(TryRecvError::Empty) => controller.end_batch(clock.now()),
    }
    let left = due.saturating_duration_since(Instant::now());
    if left.is_zero() {
        // Work of its own is no lag; to be woken too late is.
        return Next::Tick { late: Duration::ZERO };
    }
    match inbox.recv_timeout(left) {
        Ok(message) => Next::Message(message),
        Err(RecvTimeoutError::Timeout) => Next::Tick { late: due.elapsed() },
        Err(RecvTimeoutError::Disconnected) => Next::Nobody,
    }
}

/// Waits while another process has the journal. Orders that come meanwhile are refused, because
/// their answers are dropped. `None` when it is over.
fn resumed(controller: Controller, inbox: &Receiver<Message>, clock: &Clock) -> Option<Controller> {
    loop {
        match inbox.recv() {
            Ok(Message::Resume { journal, checkpoint, done }) => {
                let again = controller.again(journal, checkpoint, clock.now());
                let _ = done.send(());
                return Some(again);
            }
            Ok(Message::Stop) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

fn perform(controller: &mut Controller, message: Message, now: Now) {
    match message {
        Message::Order { service, order, reply } => controller.command(&service, order, reply, now),
        Message::Signals { service, signals, done } => {
            let _ = done.send(controller.signals(&service, signals, now));
        }
        Message::Freeze { freeze, actor, done } => {
            let frozen = controller.freeze(freeze, actor, now);
            controller.publish_snapshot(now);
            let _ = done.send(frozen);
        }
        Message::Reconfigure { config, adopt, done } => {
            let foretold = controller.reconfigure(config, &adopt, now);
            controller.publish_snapshot(now);
            let _ = done.send(foretold);
        }
        Message::Foretell { wanted, adopt, done } => {
            let _ = done.send(Ok(controller.foretell(&wanted, &adopt)));
        }
        Message::ReloadFailed(fault) => controller.reload_failed(fault, now),
        Message::ReloadUnneeded => controller.reload_unneeded(now),
        Message::Happened(event) => controller.happened(event),
        Message::GateAnswered { service, gate, answer } => {
            controller.gate_answered(&service, &gate, answer, now);
        }
        Message::Wake => controller.settle(now),
        Message::Stop | Message::Yield { .. } | Message::Resume { .. } => {}
    }
}
