//! What survives a crash, and whose word counts.
//!
//! The controller knows `Journal` and nothing below it. `FileJournal` is the one there is: a
//! `Writer`, which has the rules of writing, on a thread of its own. [`Log`] is the file, `schema` what is in it,
//! `Memory` what it adds up to, and `Storage` the disk.

mod file;
mod line;
mod lock;
mod log;
mod memory;
pub(crate) mod schema;
mod storage;
mod ticket;
mod unwritten;
mod writer;

pub(crate) use file::FileJournal;
pub use lock::{Lock, LockError};
pub use log::{Log, LogError, Reserve, replace};
pub(crate) use memory::Memory;
pub(crate) use schema::Record;
pub use storage::{Custody, Folder, Storage};
pub(crate) use ticket::Ticket;
pub use writer::JournalError;
pub(crate) use writer::Writer;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

/// Where decisions are made durable, whatever keeps them.
///
/// What lowers a weight is in force without waiting for this; what raises one is in force only after
/// its [`Ticket`] said that it is durable, and is refused by whoever does not [lead](Journal::lead).
/// No call waits for a disk or a network, but for [`close`](Journal::close). Whoever is given to a
/// journal to be woken is woken when a ticket is answered, and when the memory has changed by itself:
/// the commits of other processes come that way, and no other.
pub(crate) trait Journal: Send + std::fmt::Debug {
    /// What all commits add up to.
    fn memory(&self) -> &Shared;

    /// These records become true together: [at once](Durability::Required), or when they are durable.
    fn commit(&self, records: Vec<Record>, durability: Durability) -> Ticket;

    fn lead(&self) -> Lead {
        read(self.memory()).lead.clone()
    }

    /// Why nothing that raises a weight can be committed, while that is so.
    fn fault(&self) -> Option<String> {
        match self.lead() {
            Lead::Elsewhere { why } => Some(why),
            Lead::Here => read(self.memory()).fault.clone(),
        }
    }

    /// Whether something that is true already is not durable yet.
    fn is_behind(&self) -> bool;

    /// For how long it has not answered.
    fn silent_for(&self) -> Duration;

    /// Once a second: what has no thread of its own does here what such a thread would do.
    fn look_after(&self);

    /// What costs certainty when it is lost, and never safety. The next one comes in ten seconds.
    fn checkpoint(&self, bytes: Vec<u8>);

    /// Writes what is left, with a last checkpoint, and lets another process take over. `false` when that
    /// did not come to an end within `at_most`.
    fn close(&mut self, checkpoint: Vec<u8>, at_most: Duration) -> bool;
}

/// Whether this is the process whose decisions count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Lead {
    #[default]
    Here,
    /// Another process leads, or could come to: nothing is raised from here.
    Elsewhere { why: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// If it cannot be made durable, it does not happen.
    BestEffort,
    /// It happens, and is made durable as soon as that is possible.
    Required,
}

/// What is remembered, for readers on any thread.
pub(crate) type Shared = Arc<RwLock<Memory>>;

pub(crate) fn read(shared: &Shared) -> RwLockReadGuard<'_, Memory> {
    shared.read().unwrap_or_else(PoisonError::into_inner)
}
