//! The journal in a file: its writer on a thread of its own, so that a slow disk never holds up a decision.
//!
//! What may happen waits in a queue with a bound, and fails when that is full. What must happen is
//! never turned away: it goes behind everything that came before it, and when the queue is full it is
//! kept beside it, merged, until the disk takes it; from then on the queue takes nothing until that
//! is written, so that the order stays. It never drops what lowers a weight.

use super::schema::Record;
use super::ticket::{Progress, Ticket};
use super::unwritten::Unwritten;
use super::writer::{JournalError, Writer};
use super::{Durability, Journal, Shared};
use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Commits that wait for the disk. When it is full, one that may happen fails as if the disk had.
const QUEUE: usize = 256;
/// How soon a failed write of something true is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Where commits are handed in.
#[derive(Debug)]
pub(crate) struct FileJournal {
    shared: Shared,
    progress: Arc<Progress>,
    /// Of the latest commit that must happen.
    number: std::cell::Cell<u64>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// At once, on the caller's thread: for tests and simulations.
    Inline(Box<std::cell::RefCell<Writer>>),
    Thread {
        outbox: Arc<Outbox>,
        thread: Option<JoinHandle<()>>,
    },
}

/// What waits for the writer's thread.
#[derive(Debug, Default)]
struct Outbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Commit>,
    /// What must happen and found the queue full. It comes after everything in it.
    late: Unwritten,
    lost: u64,
    checkpoint: Option<Vec<u8>>,
    closing: Option<Closing>,
    /// Since when the writer has been at the disk.
    busy: Option<Instant>,
    ended: bool,
}

#[derive(Debug)]
enum Commit {
    May { records: Vec<Record>, answer: SyncSender<Result<(), String>> },
    Must { records: Vec<Record>, number: u64 },
}

#[derive(Debug)]
enum Closing {
    /// With the last checkpoint.
    Orderly(Vec<u8>),
    /// Whoever handed commits in is gone.
    Left,
}

enum Work {
    Commit(Commit),
    Late { unwritten: Unwritten, lost: u64 },
    Checkpoint(Vec<u8>),
    Retry,
    Close(Closing),
}

impl FileJournal {
    pub(crate) fn inline(writer: Writer) -> Self {
        Self::new(writer.memory(), writer.progress(), Way::Inline(Box::new(writer.into())))
    }

    /// `wake` is called after each commit.
    pub(crate) fn threaded(
        mut writer: Writer,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Self, JournalError> {
        let (shared, progress) = (writer.memory(), writer.progress());
        let outbox = Arc::new(Outbox::default());
        let served = Arc::clone(&outbox);
        let thread =
            std::thread::Builder::new().name("serin-journal".to_owned()).spawn(move || {
                let ending = Ending(served);
                serve(&mut writer, &ending.0, &wake);
            })?;
        Ok(Self::new(shared, progress, Way::Thread { outbox, thread: Some(thread) }))
    }

    fn new(shared: Shared, progress: Arc<Progress>, way: Way) -> Self {
        Self { shared, progress, number: std::cell::Cell::new(0), way }
    }

    fn best_effort(&self, records: Vec<Record>) -> Ticket {
        let (answer, ticket) = sync_channel(1);
        match &self.way {
            Way::Inline(writer) => {
                let _ = answer.send(writer.borrow_mut().commit(records));
            }
            Way::Thread { outbox, .. } => {
                let mut waiting = outbox.lock();
                if waiting.is_full() {
                    let _ = answer.send(Err("the disk is too slow".to_owned()));
                } else {
                    waiting.queue.push_back(Commit::May { records, answer });
                    outbox.changed.notify_all();
                }
            }
        }
        Ticket::Answer(ticket)
    }

    fn required(&self, records: Vec<Record>) -> Ticket {
        let number = self.number.get() + 1;
        self.number.set(number);
        match &self.way {
            Way::Inline(writer) => writer.borrow_mut().require(records, number),
            Way::Thread { outbox, .. } => {
                let mut waiting = outbox.lock();
                if waiting.is_full() {
                    let lost = waiting.late.add(records, number);
                    waiting.lost += lost;
                } else {
                    waiting.queue.push_back(Commit::Must { records, number });
                }
                outbox.changed.notify_all();
            }
        }
        Ticket::Number { number, progress: Arc::clone(&self.progress) }
    }
}

impl Journal for FileJournal {
    fn memory(&self) -> &Shared {
        &self.shared
    }

    fn commit(&self, records: Vec<Record>, durability: Durability) -> Ticket {
        match durability {
            Durability::BestEffort => self.best_effort(records),
            Durability::Required => self.required(records),
        }
    }

    fn is_behind(&self) -> bool {
        self.progress.reached().durable < self.number.get()
    }

    fn silent_for(&self) -> Duration {
        match &self.way {
            Way::Inline(_) => Duration::ZERO,
            Way::Thread { outbox, .. } => {
                outbox.lock().busy.map_or(Duration::ZERO, |at| at.elapsed())
            }
        }
    }

    fn look_after(&self) {
        if let Way::Inline(writer) = &self.way {
            let mut writer = writer.borrow_mut();
            writer.watch();
            let _ = writer.flush();
        }
    }

    fn checkpoint(&self, bytes: Vec<u8>) {
        match &self.way {
            Way::Inline(writer) => {
                let _ = writer.borrow_mut().checkpoint(&bytes);
            }
            Way::Thread { outbox, .. } => {
                outbox.lock().checkpoint = Some(bytes);
                outbox.changed.notify_all();
            }
        }
    }

    fn close(&mut self, checkpoint: Vec<u8>, at_most: Duration) -> bool {
        match &mut self.way {
            Way::Inline(writer) => close(writer.get_mut(), Closing::Orderly(checkpoint)),
            Way::Thread { outbox, thread } => {
                let mut waiting = outbox.lock();
                waiting.closing = Some(Closing::Orderly(checkpoint));
                outbox.changed.notify_all();
                let open = |waiting: &mut Waiting| !waiting.ended;
                let waited = outbox.changed.wait_timeout_while(waiting, at_most, open);
                let ended = waited.unwrap_or_else(PoisonError::into_inner).0.ended;
                let thread = thread.take();
                if !ended {
                    return false;
                }
                if let Some(thread) = thread {
                    let _ = thread.join();
                }
            }
        }
        true
    }
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        if let Way::Thread { outbox, thread: Some(_) } = &self.way {
            outbox.lock().closing.get_or_insert(Closing::Left);
            outbox.changed.notify_all();
        }
    }
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done next, in the order in which it came.
    fn next(&self) -> Work {
        let mut waiting = self.lock();
        waiting.busy = None;
        if !waiting.has_work() {
            let idle = |waiting: &mut Waiting| !waiting.has_work();
            let waited = self.changed.wait_timeout_while(waiting, RETRY, idle);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.busy = Some(Instant::now());
        waiting.next()
    }
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.queue.len() >= QUEUE || !self.late.is_empty()
    }

    fn has_work(&self) -> bool {
        !self.queue.is_empty()
            || !self.late.is_empty()
            || self.checkpoint.is_some()
            || self.closing.is_some()
    }

    fn next(&mut self) -> Work {
        if let Some(commit) = self.queue.pop_front() {
            return Work::Commit(commit);
        }
        if !self.late.is_empty() {
            let lost = std::mem::take(&mut self.lost);
            return Work::Late { unwritten: self.late.take(), lost };
        }
        match (self.closing.take(), self.checkpoint.take()) {
            (Some(closing), _) => Work::Close(closing),
            (None, Some(checkpoint)) => Work::Checkpoint(checkpoint),
            (None, None) => Work::Retry,
        }
    }
}

/// Tells that the thread has ended, in whatever way.
struct Ending(Arc<Outbox>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

fn serve(writer: &mut Writer, outbox: &Outbox, wake: &dyn Fn()) {
    loop {
        match outbox.next() {
            Work::Commit(Commit::May { records, answer }) => {
                let _ = answer.send(writer.commit(records));
                wake();
            }
            Work::Commit(Commit::Must { records, number }) => {
                writer.require(records, number);
                wake();
            }
            Work::Late { unwritten, lost } => {
                writer.thrown_away(lost);
                let number = unwritten.upto();
                writer.require(unwritten.into_records(), number);
                wake();
            }
            Work::Checkpoint(bytes) => {
                if let Err(fault) = writer.checkpoint(&bytes) {
                    tracing::warn!(%fault, "the windows could not be kept");
                }
            }
            Work::Retry => {
                writer.watch();
                if writer.is_behind() && writer.flush().is_ok() {
                    wake();
                }
            }
            Work::Close(closing) => return close(writer, closing),
        }
    }
}

fn close(writer: &mut Writer, closing: Closing) {
    if let Closing::Orderly(checkpoint) = closing
        && let Err(fault) = writer.farewell(&checkpoint)
    {
        tracing::warn!(%fault, "the windows could not be kept");
    }
    writer.close();
}
