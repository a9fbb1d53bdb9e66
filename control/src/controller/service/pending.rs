//! What a service's run keeps between decisions.

use super::Reply;
use crate::command::{Outcome, Refusal};
use crate::journal::schema::Rollout;
use crate::journal::{Durability, Ticket};
use crate::view::Timestamp;
use serin_core::ids::{RolloutId, VersionName};
use serin_core::rollout::{Conditions, Decision, Evidence, GateRef, Position};
use serin_core::time::{Mono, Now};
use std::sync::Arc;

/// A decision on its way to the disk. Nothing of it is in force.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) decision: Decision,
    pub(crate) revision: u64,
    pub(crate) record: Option<Rollout>,
    /// Why; what was noted while it waited for the disk is of the position before it.
    pub(crate) latest: Option<Arc<Latest>>,
    pub(crate) durability: Durability,
    pub(crate) ticket: Ticket,
    pub(crate) reply: Option<Answer>,
}

/// Who waits for a decision to be in force.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// What was done already, when the decision only follows a command.
    pub(crate) done: Option<Outcome>,
}

impl Answer {
    /// The decision came to nothing. The command before it stands.
    pub(crate) fn failed(self, refusal: Refusal) -> (Reply, Result<Outcome, Refusal>) {
        let answer = match self.done {
            None => Err(refusal),
            Some(done) => {
                let message = format!("{}; not moved yet: {refusal}", done.message);
                Ok(Outcome { message, ..done })
            }
        };
        (self.reply, answer)
    }
}

/// The latest decision about a rollout, with what it was made from.
#[derive(Debug)]
pub(crate) struct Latest {
    pub(crate) service: String,
    pub(crate) rollout: String,
    pub(crate) terms: String,
    pub(crate) position: Position,
    pub(crate) evidence: Evidence,
    pub(crate) conditions: Conditions,
    pub(crate) now: Now,
    pub(crate) decision: Decision,
    pub(crate) candidate: VersionName,
}

/// A gate that was asked, and when it may be asked again.
#[derive(Debug)]
pub(crate) struct GateInquiry {
    pub(crate) rollout: RolloutId,
    pub(crate) gate: GateRef,
    /// `None` while the answer is awaited.
    pub(crate) again: Option<Mono>,
}

/// Stable fails an objective, which was told.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    pub(crate) version: VersionName,
    pub(crate) since: Timestamp,
    /// When it was seen last.
    pub(crate) seen: Mono,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct HarmWatch {
    pub(crate) failed: u64,
    pub(crate) since: Option<Timestamp>,
}
