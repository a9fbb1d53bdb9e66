//! What the streams of one HTTP/2 connection may make Serin hold: decoded heads, and answers that the
//! client does not take.
//!
//! The HTTP/2 library bounds each stream by itself, and a client opens a hundred of them. Here they
//! share one allowance. A head that does not fit is refused; an answer is read from its backend when
//! the client has room for it and what was read before has left; and a stream waits for its turn when many
//! have begun that have hardly a window.
//!
//! [`Ledger`] decides. This is its place between the tasks of a connection: who waits for something is woken
//! here.

use super::ledger::Ledger;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// What a field takes besides its name and value.
const FIELD: usize = 112;

#[derive(Debug, Default)]
pub(crate) struct Account {
    ledger: Mutex<Ledger>,
    /// Streams that wait for their turn may look again.
    turn: Notify,
}

impl Account {
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut ledger);
        let changed = std::mem::take(&mut ledger.changed);
        let queued = changed && ledger.queued;
        let woken = ledger.woken();
        drop(ledger);
        woken.into_iter().for_each(Waker::wake);
        if queued {
            self.turn.notify_one();
        }
        outcome
    }

    /// Room for more of a stream's answer.
    pub(crate) fn poll_room(&self, stream: u32, cx: &Context<'_>) -> Poll<()> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if ledger.has_room() {
            return Poll::Ready(());
        }
        ledger.waits_for_room(stream, cx.waker());
        Poll::Pending
    }

    /// So much of a stream's answer was handed to the HTTP/2 library.
    pub(crate) fn handed(&self, stream: u32, bytes: usize) {
        self.note(|ledger| ledger.handed(stream, bytes));
    }

    /// A head was handed to it, which is sent before any other of its stream.
    pub(crate) fn handed_head(&self, stream: u32, cost: usize) {
        self.note(|ledger| ledger.handed_head(stream, cost));
    }

    /// What a decoded head takes.
    pub(crate) fn cost_of(fields: &http::HeaderMap) -> usize {
        let fields = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD);
        fields.sum()
    }

    /// Waits until something has changed for streams that wait for their turn.
    pub(crate) async fn turned(&self) {
        self.turn.notified().await;
    }
}
