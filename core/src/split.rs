//! The value that control publishes and the data plane obeys.
//!
//! One `Split` per service stands behind one atomic pointer; a request loads it once and
//! decides everything about its version from that one value. If the two sides ever run in
//! different processes, this is the wire.

use crate::ids::{Epoch, RolloutId, ServiceName, VersionName};
use crate::weights::{BasisPoints, Weights};
use std::num::NonZeroU32;

#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    pub service: ServiceName,
    pub stable: VersionName,
    pub weights: Weights,
    /// What a rollout adds. `None` when the service rests on stable.
    pub rollout: Option<InForce>,
}

impl Split {
    /// A service at rest: everything to stable.
    pub fn at_rest(service: ServiceName, stable: VersionName) -> Self {
        Self { service, weights: Weights::all_to(stable.clone()), stable, rollout: None }
    }

    pub fn candidate(&self) -> Option<&VersionName> {
        self.rollout.as_ref().map(|r| &r.candidate)
    }
}

/// A rollout as the data plane sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    pub id: RolloutId,
    pub epoch: Epoch,
    /// Mixed into every sticky bucket, so that each rollout picks other users first.
    pub salt: u64,
    pub candidate: VersionName,
    /// Equals `weights.of(candidate)`.
    pub weight: BasisPoints,
    pub of: Scope,
    pub sessions: Sessions,
    /// A thread that sees this many candidate failures in a row sends its new requests to
    /// stable at once and raises its trip flag; the tick confirms it or lifts it.
    pub tripwire: Option<NonZeroU32>,
    pub harm_ceiling: HarmCeiling,
    /// A failed idempotent candidate request is answered by stable, and still counted as bad.
    pub rescue: bool,
}

/// Whose requests the weight divides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every request (or, with sessions, every user).
    All,
    /// Only clients without a session; one that has a session and no cookie of this rollout
    /// stays on stable.
    NewSessions,
}

/// What becomes of sessions that this rollout put on the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// They are honoured as long as the weight allows.
    Honour,
    /// The weight is 0, open sessions may finish on the candidate.
    Drain,
    /// The weight is 0 and the epoch's cookies are ignored: everyone leaves now.
    Revoke,
}

/// How far the data plane's own counts of an epoch's damage may go. The data plane admits a
/// request to the candidate only while failures and requests in flight together stay below, so
/// the cap holds without a tick, even when everything in flight fails.
///
/// A count to reach and not a remainder: what control knows is always a little old, and a
/// remainder would give room twice for what failed meanwhile. So a ceiling may rise at any time,
/// as it does while stable's failures forgive the candidate as many of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HarmCeiling {
    pub failed_requests: Option<u64>,
    pub users: Option<u64>,
}
