//! Cumulative counts of one service, merged over the data plane's threads.

use super::{Histogram, Sources, Timed};
use crate::ids::VersionName;
use std::sync::Arc;

/// Whether a request takes part in the comparison of candidate and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Population {
    /// Assigned by the split now in force: compared with its concurrent counterpart.
    Judged,
    /// Counted for the version's objectives only, like a session older than a rollout of new
    /// sessions.
    Rest,
}

/// One outcome per request: that of its first attempt on the version the split chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub good: u64,
    pub bad: u64,
    /// Client aborts and forced cohorts.
    pub excluded: u64,
    /// Of `bad`: those that were the first of their user in this epoch. Equals `bad` where users
    /// cannot be told apart.
    pub first_bad: u64,
}

impl Tally {
    /// Requests that say something.
    pub fn exposures(&self) -> u64 {
        self.good + self.bad
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            good: self.good + other.good,
            bad: self.bad + other.bad,
            excluded: self.excluded + other.excluded,
            first_bad: self.first_bad + other.first_bad,
        }
    }

    /// What was counted since `earlier`, a former state of the same tally.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            good: self.good.saturating_sub(earlier.good),
            bad: self.bad.saturating_sub(earlier.bad),
            excluded: self.excluded.saturating_sub(earlier.excluded),
            first_bad: self.first_bad.saturating_sub(earlier.first_bad),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionCounts {
    pub version: VersionName,
    pub judged: Tally,
    pub rest: Tally,
    /// Whether some thread's tripwire is holding this version's new requests back right now.
    pub tripped: bool,
    pub in_flight: u64,
    /// Judged requests that were answered 4xx and are not bad for it: the first of each user.
    pub client_errors: u64,
    /// Answers to shadow copies that were compared, and that differed.
    pub shadow_compared: u64,
    pub shadow_mismatched: u64,
    /// Shadow copies that failed: refused, reset, timed out, 5xx where stable had none.
    pub shadow_failed: u64,
}

impl VersionCounts {
    pub fn new(version: VersionName) -> Self {
        Self {
            version,
            judged: Tally::default(),
            rest: Tally::default(),
            tripped: false,
            in_flight: 0,
            client_errors: 0,
            shadow_compared: 0,
            shadow_mismatched: 0,
            shadow_failed: 0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceCounts {
    pub versions: Vec<VersionCounts>,
    /// Of the rollout in force: failed candidate requests and distinct users among them. They
    /// begin at 0 with each epoch.
    pub failed_requests: u64,
    pub failed_users: u64,
    /// Health checks fail for most endpoints of the service, and are overruled: whatever fails
    /// meanwhile has a cause that the versions share.
    pub checks_overruled: bool,
    /// Where the requests of that rollout come from, those that fail above all; another one with each new
    /// failure of the candidate, and now and then. `None` without a rollout, and where nobody knows.
    pub sources: Option<Arc<Sources>>,
}

impl ServiceCounts {
    pub fn of(&self, version: &VersionName) -> Option<&VersionCounts> {
        self.versions.iter().find(|v| v.version == *version)
    }
}

/// Time to the response head, in histograms. What a client does with the body at its own pace
/// says nothing about the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionLatencies {
    pub version: VersionName,
    pub judged: Histogram,
    pub rest: Histogram,
    /// Not cumulative: the ages of judged requests that have no response head yet, so that a
    /// hang is visible before it ends.
    pub waiting: Histogram,
    /// Of the judged ones during rollouts: the latest of each octave of time, newest first.
    pub timed: Vec<Timed>,
    /// Some of those that wait, with their ages.
    pub waiting_timed: Vec<Timed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceLatencies {
    pub versions: Vec<VersionLatencies>,
}

/// A count of what has ended, beside those that have not and are bad already: requests that are
/// older than a limit and still wait. One of these that leaves without an answer takes itself
/// back, which is no sign that the count has begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Running {
    pub ended: Part,
    pub waiting: u64,
}

impl Running {
    pub fn all(self) -> Part {
        self.ended.plus(Part { bad: self.waiting, of: self.waiting })
    }

    /// What was gained since `earlier`. A count that went back has begun anew.
    #[must_use]
    pub fn gained(self, earlier: Self) -> Part {
        let anew = self.ended.bad < earlier.ended.bad || self.ended.of < earlier.ended.of;
        let gain = if anew { self.all() } else { self.all().since(earlier.all()) };
        Part { of: gain.of.max(gain.bad), ..gain }
    }
}

impl From<Part> for Running {
    fn from(ended: Part) -> Self {
        Self { ended, waiting: 0 }
    }
}

/// `bad` of `of` requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    pub bad: u64,
    pub of: u64,
}

impl Part {
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.bad as f64 / self.of as f64)
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { bad: self.bad + other.bad, of: self.of + other.of }
    }

    /// What was counted since `earlier`, a former state of the same count.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { bad: self.bad.saturating_sub(earlier.bad), of: self.of.saturating_sub(earlier.of) }
    }

    /// What a counter gained since `earlier`. One that went back has begun anew, and everything
    /// on it is gain.
    #[must_use]
    pub fn gained(self, earlier: Self) -> Self {
        if self.bad < earlier.bad || self.of < earlier.of { self } else { self.since(earlier) }
    }
}
