//! What happened: per version, per second and per user. Pure; fed one [`Sample`] per request.

use serin_core::measure::Histogram;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How one request ended, as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    Status(u16),
    /// No connection.
    Connect,
    /// The connection broke before or within the answer.
    Broken,
    Timeout,
    /// The answer was not what the protocol or the check asks for.
    Invalid,
}

impl Ended {
    /// 5xx and everything that is no answer.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Status(status) => *status >= 500,
            Self::Connect | Self::Broken | Self::Timeout | Self::Invalid => true,
        }
    }

    pub fn label(&self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Connect => "connect".to_owned(),
            Self::Broken => "broken".to_owned(),
            Self::Timeout => "timeout".to_owned(),
            Self::Invalid => "invalid".to_owned(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Sample {
    /// When the request was due, from the beginning of the run.
    pub due: Duration,
    /// From then to the answer's last byte.
    pub latency: Duration,
    /// From the moment at which it was really sent.
    pub service: Duration,
    pub ended: Ended,
    /// Which version answered, if the answer says so.
    pub version: Option<Arc<str>>,
    pub user: Option<u32>,
}

/// The name under which answers without a version are counted.
pub const UNKNOWN: &str = "unknown";

#[derive(Debug, Default, Clone)]
pub struct Figures {
    pub requests: u64,
    pub failures: u64,
    pub latency: Histogram,
    pub ended: BTreeMap<String, u64>,
}

impl Figures {
    fn add(&mut self, sample: &Sample) {
        self.requests += 1;
        self.failures += u64::from(sample.ended.is_failure());
        self.latency.record(sample.latency);
        *self.ended.entry(sample.ended.label()).or_default() += 1;
    }
}

/// One second of the run.
#[derive(Debug, Default, Clone)]
pub struct Second {
    pub versions: BTreeMap<Arc<str>, Figures>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    pub from: Arc<str>,
    pub to: Arc<str>,
}

#[derive(Debug, Default, Clone)]
pub struct Record {
    pub total: Figures,
    /// From the real start to the end: what a closed loop would have reported.
    pub service: Histogram,
    pub versions: BTreeMap<Arc<str>, Figures>,
    pub seconds: Vec<Second>,
    /// How often a user went from one version to another.
    pub moves: BTreeMap<Move, u64>,
    /// When each failure was due, by version: the first [`MAX_FAILURES`].
    pub failures: Vec<(Duration, Arc<str>, Ended)>,
    /// The last answer of each version: when its request was due.
    pub last_seen: BTreeMap<Arc<str>, Duration>,
    users: BTreeMap<u32, Arc<str>>,
    pub users_seen: u64,
    pub users_moved: u64,
    moved: std::collections::BTreeSet<u32>,
}

/// More failures than this are counted, but not remembered one by one.
pub const MAX_FAILURES: usize = 100_000;

impl Record {
    pub fn add(&mut self, sample: &Sample) {
        let version: Arc<str> = sample.version.clone().unwrap_or_else(|| Arc::from(UNKNOWN));
        self.total.add(sample);
        self.service.record(sample.service);
        self.versions.entry(Arc::clone(&version)).or_default().add(sample);
        let second = sample.due.as_secs() as usize;
        if self.seconds.len() <= second {
            self.seconds.resize_with(second + 1, Second::default);
        }
        self.seconds[second].versions.entry(Arc::clone(&version)).or_default().add(sample);
        if sample.ended.is_failure() && self.failures.len() < MAX_FAILURES {
            self.failures.push((sample.due, Arc::clone(&version), sample.ended.clone()));
        }
        let last = self.last_seen.entry(Arc::clone(&version)).or_default();
        *last = (*last).max(sample.due);
        if sample.version.is_some() {
            self.follow(sample.user, version);
        }
    }

    fn follow(&mut self, user: Option<u32>, version: Arc<str>) {
        let Some(user) = user else { return };
        match self.users.insert(user, Arc::clone(&version)) {
            None => self.users_seen += 1,
            Some(before) if before != version => {
                *self.moves.entry(Move { from: before, to: version }).or_default() += 1;
                self.users_moved += u64::from(self.moved.insert(user));
            }
            Some(_) => {}
        }
    }

    /// A version's share of the requests that were due within a stretch of the run.
    pub fn share(&self, version: &str, from: Duration, to: Duration) -> Option<f64> {
        let last = (to.as_secs() as usize).min(self.seconds.len());
        let first = (from.as_secs() as usize).min(last);
        let (mut of_it, mut of_all) = (0, 0);
        for second in &self.seconds[first..last] {
            for (name, figures) in &second.versions {
                of_all += figures.requests;
                of_it += if &**name == version { figures.requests } else { 0 };
            }
        }
        (of_all > 0).then(|| of_it as f64 / of_all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(due_ms: u64, version: &str, status: u16, user: u32) -> Sample {
        Sample {
            due: Duration::from_millis(due_ms),
            latency: Duration::from_millis(3),
            service: Duration::from_millis(2),
            ended: Ended::Status(status),
            version: Some(Arc::from(version)),
            user: Some(user),
        }
    }

    #[test]
    fn a_user_that_changes_version_twice_is_one_user_and_two_moves() {
        let mut record = Record::default();
        record.add(&sample(0, "a", 200, 1));
        record.add(&sample(1, "b", 200, 1));
        record.add(&sample(2, "a", 503, 1));
        record.add(&sample(3, "a", 200, 2));
        assert_eq!((record.users_seen, record.users_moved), (2, 1));
        assert_eq!(record.moves.values().sum::<u64>(), 2);
        assert_eq!(record.total.failures, 1);
        assert_eq!(record.versions["a"].requests, 3);
    }

    #[test]
    fn a_share_is_taken_over_the_seconds_asked_for() {
        let mut record = Record::default();
        (0..10).for_each(|i| record.add(&sample(i, if i < 3 { "b" } else { "a" }, 200, 0)));
        (0..10).for_each(|i| record.add(&sample(1000 + i, "a", 200, 0)));
        let seconds = Duration::from_secs;
        assert_eq!(record.share("b", seconds(0), seconds(1)), Some(0.3));
        assert_eq!(record.share("b", seconds(0), seconds(2)), Some(0.15));
        assert_eq!(record.share("b", seconds(5), seconds(9)), None);
    }
}
