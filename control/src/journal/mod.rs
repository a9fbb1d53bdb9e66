//! What survives a crash.
//!
//! [`Log`] is the file, `schema` what is in it, `Memory` what it adds up to, `Writer` the
//! rules of writing, and `JournalHandle` the writer on a thread of its own. `Storage` is the disk.

mod handle;
mod line;
mod lock;
mod log;
mod memory;
pub(crate) mod schema;
mod storage;
mod unwritten;
mod writer;

pub(crate) use handle::{JournalHandle, Ticket};
pub use lock::{Lock, LockError};
pub use log::{Log, LogError, Reserve, replace};
pub(crate) use memory::Memory;
pub(crate) use schema::Record;
pub use storage::{Custody, Folder, Storage};
pub use writer::JournalError;
pub(crate) use writer::{Durability, Shared, Writer, read};
