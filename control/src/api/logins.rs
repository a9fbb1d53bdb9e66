//! Refused logins are told in the log, so that guessing is noticed, and not more often than somebody
//! reads: a guesser must not fill a disk.

use super::auth::Peer;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Logins {
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    since: u64,
}

impl Logins {
    pub(crate) fn refused(&self, peer: Peer, now: Instant) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).tell(now);
        let Some(more) = told else { return };
        let from = match peer {
            Peer::Tcp { remote, .. } => remote.ip().to_string(),
            Peer::Unix { uid: Some(uid) } => format!("uid {uid}"),
            Peer::Unix { uid: None } => "the unix socket".to_owned(),
        };
        tracing::warn!(from, more, "a token that is not known was refused by the admin API");
    }
}

impl Told {
    /// How many were not told before this one; `None` when this one is not told either.
    fn tell(&mut self, now: Instant) -> Option<u64> {
        if self.at.is_some_and(|at| now.saturating_duration_since(at) < EVERY) {
            self.since += 1;
            return None;
        }
        self.at = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_while_is_told_with_the_number_of_the_others() {
        let (mut told, start) = (Told::default(), Instant::now());
        let mut at = |seconds| told.tell(start + Duration::from_secs(seconds));
        assert_eq!([at(0), at(1), at(9), at(10), at(20)], [Some(0), None, None, Some(2), Some(0)]);
    }
}
