//! What the data plane's counters gained between two looks.
//!
//! Counters are cumulative and begin at zero with each process and each epoch. One that went
//! back has begun anew, and everything on it is gain; what one holds at the first look is not this
//! rollout's.

use super::compare::Batch;
use crate::measure::{Part, Running, Sources, Tally, VersionCounts};
use crate::rollout::{Concentration, SlowClients};
use std::sync::Arc;

/// The data plane's counters at the last look; what they hold before the first is not ours.
#[derive(Debug, Clone, Default)]
pub(super) struct Read {
    pub(super) candidate: Option<Counters>,
    pub(super) stable: Option<Counters>,
    /// Slower than the objective, own requests of the candidate.
    pub(super) slow: Option<Running>,
    /// In the order of the guards; of latency guards only.
    pub(super) slower: Vec<Option<Batch>>,
    /// Whose slow requests rules about times would act on, as of the latest look at latencies.
    pub(super) slow_clients: Vec<SlowClients>,
    /// What was said last of where failures come from, and what it comes to.
    pub(super) sources: Option<(Arc<Sources>, Option<Concentration>)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Counters {
    judged: Tally,
    rest: Tally,
    client_errors: u64,
    shadow: Shadow,
}

/// What one version gained between two looks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gain {
    pub(super) all: Part,
    pub(super) first: Part,
    /// Of the comparison or not.
    pub(super) own: Part,
    /// Answered 4xx, the first of each user.
    pub(super) client_errors: Part,
    pub(super) shadow: Shadow,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shadow {
    pub(super) compared: u64,
    pub(super) mismatched: u64,
    pub(super) failed: u64,
}

pub(super) fn gain(read: &mut Option<Counters>, now: Option<&VersionCounts>) -> Gain {
    let Some(now) = now else {
        // A version that is listed again begins anew.
        *read = None;
        return Gain::default();
    };
    let now = Counters {
        judged: now.judged,
        rest: now.rest,
        client_errors: now.client_errors,
        shadow: Shadow {
            compared: now.shadow_compared,
            mismatched: now.shadow_mismatched,
            failed: now.shadow_failed,
        },
    };
    let Some(before) = read.replace(now) else { return Gain::default() };
    let judged = gained(now.judged, before.judged);
    let own = judged.plus(gained(now.rest, before.rest));
    let of = judged.exposures();
    let refused = match now.client_errors < before.client_errors {
        true => now.client_errors,
        false => now.client_errors - before.client_errors,
    };
    Gain {
        all: Part { bad: judged.bad, of },
        first: Part { bad: judged.first_bad.min(of), of },
        own: Part { bad: own.bad, of: own.exposures() },
        client_errors: Part { bad: refused.min(of), of },
        shadow: now.shadow.since(before.shadow),
    }
}

/// A tally that went back has begun anew, and everything in it is gain.
fn gained(now: Tally, before: Tally) -> Tally {
    let back = now.good < before.good || now.bad < before.bad || now.first_bad < before.first_bad;
    if back { now } else { now.since(before) }
}

impl Shadow {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            compared: self.compared + other.compared,
            mismatched: self.mismatched + other.mismatched,
            failed: self.failed + other.failed,
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            compared: self.compared.saturating_sub(earlier.compared),
            mismatched: self.mismatched.saturating_sub(earlier.mismatched),
            failed: self.failed.saturating_sub(earlier.failed),
        }
    }
}
