//! What came of every request, counted where it was served and read from anywhere.
//!
//! Each version has one meter, and in it one set of cells per data-plane thread. A cell is written
//! by its thread alone, with a plain load and a plain store, so counting costs no locked
//! instruction; the reader adds up the threads. Only what is rare takes a lock: the first failure
//! of a user, and the samples of failed requests.
//!
//! A request has one outcome, that of its first attempt on the version it was assigned to; what
//! retries and rescues make of it for the client is counted apart.

mod cells;
mod first_bad;
mod request;
mod samples;
mod sources;
mod timed;
mod waiting;

pub use cells::{Shadowed, VersionMeter};
pub use first_bad::FirstBad;
pub use request::{About, Answered, RequestMeter};

/// How a request takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counting {
    /// Compared with its concurrent counterpart.
    Judged,
    /// For the version's objectives only.
    Rest,
    /// Forced to its version: counted as excluded, and nowhere else.
    Cohort,
}
