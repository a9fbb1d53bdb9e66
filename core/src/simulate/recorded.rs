//! Counts that were measured elsewhere, played again. What was recorded came about under the
//! weights of its day: played against other rules, it shows what they would have *seen*.

use crate::ids::VersionName;
use crate::measure::{Histogram, ServiceCounts, ServiceLatencies, VersionCounts, VersionLatencies};
use crate::plane::Readiness;
use crate::split::Split;
use std::time::Duration;

/// What one version did since its record before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Since the recording began.
    pub at: Duration,
    pub version: VersionName,
    pub good: u64,
    pub bad: u64,
    /// Of `bad`: the first of their user. All of them, when not recorded.
    pub first_bad: Option<u64>,
    /// So many answers took so long.
    pub latencies: Vec<(Duration, u64)>,
}

/// In the order of time.
pub type Recording = Vec<Recorded>;

#[derive(Debug)]
pub struct RecordedCounts {
    records: std::vec::IntoIter<Recorded>,
    versions: Vec<(VersionCounts, Histogram)>,
    candidate: Option<VersionName>,
    epoch: Option<crate::ids::Epoch>,
    failed: u64,
}

impl RecordedCounts {
    pub fn new(versions: &[VersionName], recording: Recording) -> Self {
        let begin = |v: &VersionName| (VersionCounts::new(v.clone()), Histogram::default());
        Self {
            records: recording.into_iter(),
            versions: versions.iter().map(begin).collect(),
            candidate: None,
            epoch: None,
            failed: 0,
        }
    }

    pub fn publish(&mut self, split: &Split) {
        let Some(rollout) = &split.rollout else { return };
        if self.epoch != Some(rollout.epoch) {
            self.epoch = Some(rollout.epoch);
            self.candidate = Some(rollout.candidate.clone());
            self.failed = 0;
        }
    }

    pub fn advance(&mut self, to: Duration) {
        while let Some(next) = self.records.as_slice().first() {
            if next.at > to {
                break;
            }
            if let Some(record) = self.records.next() {
                self.add(&record);
            }
        }
    }

    fn add(&mut self, record: &Recorded) {
        let found = self.versions.iter_mut().find(|(v, _)| v.version == record.version);
        let Some((counts, latencies)) = found else { return };
        counts.judged.good += record.good;
        counts.judged.bad += record.bad;
        counts.judged.first_bad += record.first_bad.unwrap_or(record.bad);
        for (takes, times) in &record.latencies {
            latencies.buckets_mut()[crate::measure::bucket_of(micros(*takes))] += times;
        }
        if self.candidate.as_ref() == Some(&record.version) {
            self.failed += record.bad;
        }
    }

    pub fn restart(&mut self) {
        self.failed = 0;
        for (counts, latencies) in &mut self.versions {
            *counts = VersionCounts::new(counts.version.clone());
            *latencies = Histogram::default();
        }
    }

    pub fn counts(&self) -> ServiceCounts {
        ServiceCounts {
            checks_overruled: false,
            versions: self.versions.iter().map(|(counts, _)| counts.clone()).collect(),
            failed_requests: self.failed,
            failed_users: self.failed,
            sources: None,
        }
    }

    pub fn latencies(&self) -> ServiceLatencies {
        let of = |(counts, latencies): &(VersionCounts, Histogram)| VersionLatencies {
            version: counts.version.clone(),
            judged: latencies.clone(),
            rest: Histogram::default(),
            waiting: Histogram::default(),
            timed: Vec::new(),
            waiting_timed: Vec::new(),
        };
        ServiceLatencies { versions: self.versions.iter().map(of).collect() }
    }

    /// Endpoints were not recorded; all count as ready.
    pub fn readiness(&self) -> Vec<Readiness> {
        let ready = |v: &VersionCounts| Readiness::new(v.version.clone(), 1, 1);
        self.versions.iter().map(|(counts, _)| ready(counts)).collect()
    }

    pub fn totals(&self) -> super::Totals {
        let of = |v: &VersionCounts| super::VersionTotals {
            version: v.version.clone(),
            requests: v.judged.exposures(),
            failed: v.judged.bad,
            rescued: 0,
            users_hurt: v.judged.first_bad,
        };
        super::Totals { versions: self.versions.iter().map(|(v, _)| of(v)).collect(), users: 0 }
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}
