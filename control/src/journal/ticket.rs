//! What becomes of a commit, for whoever made it.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What will be known about a commit. A waiting place, not a promise.
#[derive(Debug)]
pub(crate) enum Ticket {
    /// Of what happens only if it is durable.
    Answer(Receiver<Result<(), String>>),
    /// Of what is true already: its place among those.
    Number { number: u64, progress: Arc<Progress> },
}

impl Ticket {
    /// `None`: not known yet; for what is true already, not durable yet.
    pub(crate) fn wait(&self, at_most: Duration) -> Option<Result<(), String>> {
        match self {
            Self::Answer(answer) => match answer.recv_timeout(at_most) {
                Ok(result) => Some(result),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    Some(Err("the journal is closed".to_owned()))
                }
            },
            Self::Number { number, progress } => progress.wait(*number, at_most).then_some(Ok(())),
        }
    }

    /// Without waiting.
    pub(crate) fn look(&self) -> Option<Result<(), String>> {
        self.wait(Duration::ZERO)
    }
}

/// How far the writer has come with what is true already.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    reached: Mutex<Reached>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) durable: u64,
    /// Up to here an attempt was made, and may have failed.
    tried: u64,
}

impl Progress {
    pub(super) fn durable(&self, upto: u64) {
        let mut reached = self.reached();
        reached.durable = reached.durable.max(upto);
        self.changed.notify_all();
    }

    pub(super) fn failed(&self, upto: u64) {
        let mut reached = self.reached();
        reached.tried = reached.tried.max(upto);
        self.changed.notify_all();
    }

    /// Whether it is durable: at once when it was tried in vain, otherwise after a while at most.
    fn wait(&self, number: u64, at_most: Duration) -> bool {
        let open = |r: &mut Reached| r.durable < number && r.tried < number;
        let reached = self.reached();
        let waited = self.changed.wait_timeout_while(reached, at_most, open);
        waited.unwrap_or_else(PoisonError::into_inner).0.durable >= number
    }

    pub(super) fn reached(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
