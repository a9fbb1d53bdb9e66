//! How many files and connections the system lets this process have open.
//!
//! The soft limit is often 1,024 for the sake of programs that use `select`; this one does not.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one.
pub(crate) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let shown =
        |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => {
            tracing::info!(from = shown(current), to = shown(maximum), "limit of open files raised")
        }
        Err(error) => {
            tracing::warn!(%error, limit = shown(current), "the limit of open files stays")
        }
    }
}
