//! Copies that came to nothing, by why.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a copy brought no answer. What the percentage leaves out is no drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// No room: copies in flight, bytes held, or the queue.
    Full,
    BodyTooLarge,
    /// The client left before its body had come whole, or never sent it.
    ClientGone,
    /// A reload has meanwhile forbidden it.
    Withdrawn,
    /// What was to be taken out of its body could not be found: it is no JSON.
    NotRedacted,
    /// No answer within the time.
    Timeout,
    /// No endpoint, or none that lets us connect.
    Refused,
    /// The connection broke off before the answer had come whole, or the answer was not HTTP.
    Reset,
}

const ALL: [Dropped; 8] = [
    Dropped::Full,
    Dropped::BodyTooLarge,
    Dropped::ClientGone,
    Dropped::Withdrawn,
    Dropped::NotRedacted,
    Dropped::Timeout,
    Dropped::Refused,
    Dropped::Reset,
];

impl Dropped {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::BodyTooLarge => "bodyTooLarge",
            Self::ClientGone => "clientGone",
            Self::Withdrawn => "withdrawn",
            Self::NotRedacted => "notRedacted",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Reset => "reset",
        }
    }

    /// The shadow's fault, and not ours or the client's.
    pub(super) fn is_failure(self) -> bool {
        match self {
            Self::Timeout | Self::Refused | Self::Reset => true,
            Self::Full
            | Self::BodyTooLarge
            | Self::ClientGone
            | Self::Withdrawn
            | Self::NotRedacted => false,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Drops([AtomicU64; ALL.len()]);

impl Drops {
    pub(super) fn add(&self, why: Dropped) {
        self.0[why as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        ALL.iter().map(|why| (why.as_str(), self.0[*why as usize].load(Relaxed))).collect()
    }
}
