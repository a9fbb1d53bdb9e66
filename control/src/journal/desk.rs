//! The writer on a thread of its own, so that a slow disk never holds up a decision.

use super::record::Record;
use super::writer::{Duty, JournalError, Shared, Writer};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Commits that wait for the disk. When it is full, a commit fails as if the disk had failed.
const QUEUE: usize = 256;
/// How soon a failed write of something true is tried again.
const RETRY: Duration = Duration::from_millis(500);

enum Request {
    Commit {
        records: Vec<Record>,
        duty: Duty,
        answer: SyncSender<Result<(), String>>,
    },
    Checkpoint(Vec<u8>),
    /// With the last checkpoint.
    Close(Vec<u8>),
}

/// What will be known about a commit. A waiting place, not a promise.
#[derive(Debug)]
pub(crate) struct Ticket(Receiver<Result<(), String>>);

impl Ticket {
    pub(crate) fn wait(&self, at_most: Duration) -> Option<Result<(), String>> {
        match self.0.recv_timeout(at_most) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err("the journal is closed".to_owned())),
        }
    }

    /// Without waiting.
    pub(crate) fn look(&self) -> Option<Result<(), String>> {
        self.wait(Duration::ZERO)
    }
}

/// Where commits are handed in.
#[derive(Debug)]
pub(crate) struct Desk {
    shared: Shared,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// At once, on the caller's thread: for tests and simulations.
    Inline(Box<std::cell::RefCell<Writer>>),
    Thread {
        to: SyncSender<Request>,
        thread: Option<JoinHandle<()>>,
    },
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Commit { .. } => "Commit",
            Self::Checkpoint(_) => "Checkpoint",
            Self::Close(_) => "Close",
        })
    }
}

impl Desk {
    pub(crate) fn inline(writer: Writer) -> Self {
        Self { shared: writer.memory(), way: Way::Inline(Box::new(writer.into())) }
    }

    /// `wake` is called after each commit.
    pub(crate) fn threaded(
        mut writer: Writer,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Self, JournalError> {
        let shared = writer.memory();
        let (to, from) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("serin-journal".to_owned())
            .spawn(move || serve(&mut writer, &from, &wake))?;
        Ok(Self { shared, way: Way::Thread { to, thread: Some(thread) } })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn commit(&self, records: Vec<Record>, duty: Duty) -> Ticket {
        let (answer, ticket) = sync_channel(1);
        match &self.way {
            Way::Inline(writer) => {
                let _ = answer.send(writer.borrow_mut().commit(records, duty));
            }
            Way::Thread { to, .. } => {
                let sent = to.try_send(Request::Commit { records, duty, answer });
                if let Err(TrySendError::Full(Request::Commit { answer, .. })) = sent {
                    let _ = answer.send(Err("the disk is too slow".to_owned()));
                }
            }
        }
        Ticket(ticket)
    }

    /// Only of the writer on the caller's thread, as tests have it.
    pub(crate) fn compact_from(&self, size: u64) {
        if let Way::Inline(writer) = &self.way {
            writer.borrow_mut().compact_from(size);
        }
    }

    /// Tries again to write what a failing disk has left. A thread does so by itself.
    pub(crate) fn retry(&self) {
        if let Way::Inline(writer) = &self.way {
            let _ = writer.borrow_mut().flush();
        }
    }

    /// Best effort: the next one comes in ten seconds.
    pub(crate) fn checkpoint(&self, bytes: Vec<u8>) {
        match &self.way {
            Way::Inline(writer) => {
                let _ = writer.borrow_mut().checkpoint(&bytes);
            }
            Way::Thread { to, .. } => {
                let _ = to.try_send(Request::Checkpoint(bytes));
            }
        }
    }

    /// Writes what is left, with a last checkpoint, and gives the files back.
    pub(crate) fn close(&mut self, checkpoint: Vec<u8>) {
        match &mut self.way {
            Way::Inline(writer) => close(writer.get_mut(), &checkpoint),
            Way::Thread { to, thread } => {
                let _ = to.send(Request::Close(checkpoint));
                if let Some(thread) = thread.take() {
                    let _ = thread.join();
                }
            }
        }
    }
}

fn serve(writer: &mut Writer, from: &Receiver<Request>, wake: &dyn Fn()) {
    loop {
        match from.recv_timeout(RETRY) {
            Ok(Request::Commit { records, duty, answer }) => {
                let _ = answer.send(writer.commit(records, duty));
                wake();
            }
            Ok(Request::Checkpoint(bytes)) => {
                if let Err(fault) = writer.checkpoint(&bytes) {
                    tracing::warn!(%fault, "the windows could not be kept");
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                let _ = writer.flush();
            }
            Ok(Request::Close(checkpoint)) => return close(writer, &checkpoint),
            Err(RecvTimeoutError::Disconnected) => return writer.close(),
        }
    }
}

fn close(writer: &mut Writer, checkpoint: &[u8]) {
    if let Err(fault) = writer.farewell(checkpoint) {
        tracing::warn!(%fault, "the windows could not be kept");
    }
    writer.close();
}
