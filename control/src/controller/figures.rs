//! The numbers of the last minute, and of the present step: for people, never for a verdict.

use crate::view::Figures;
use serin_core::ids::VersionName;
use serin_core::measure::{Histogram, ServiceCounts, ServiceLatencies, Tally};
use serin_core::time::Mono;
use std::collections::VecDeque;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(5);

/// Former states of one service's counters.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    marks: VecDeque<Mark>,
    /// Where the present stage of the rollout began.
    stage: Option<Mark>,
    counts: ServiceCounts,
    latencies: ServiceLatencies,
}

/// A former state of the counters.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) at: Mono,
    counts: ServiceCounts,
    latencies: ServiceLatencies,
}

impl Ledger {
    pub(crate) fn observe(
        &mut self,
        counts: Option<&ServiceCounts>,
        latencies: Option<&ServiceLatencies>,
        now: Mono,
    ) {
        if let Some(counts) = counts {
            self.counts.clone_from(counts);
        }
        if let Some(latencies) = latencies {
            self.latencies.clone_from(latencies);
        }
        if self.marks.back().is_none_or(|mark| now.since(mark.at) >= EVERY) {
            self.marks.push_back(self.mark(now));
        }
        while self.marks.get(1).is_some_and(|mark| now.since(mark.at) >= WINDOW) {
            self.marks.pop_front();
        }
    }

    pub(crate) fn begin_stage(&mut self, now: Mono) {
        self.stage = Some(self.mark(now));
    }

    pub(crate) fn counts(&self) -> &ServiceCounts {
        &self.counts
    }

    pub(crate) fn last_minute(&self, version: &VersionName, now: Mono) -> Figures {
        self.marks.front().map_or_else(Figures::default, |mark| self.since(mark, version, now))
    }

    /// Since the present stage began, or since the last restart.
    pub(crate) fn this_stage(&self, version: &VersionName, now: Mono) -> Figures {
        let begin = self.stage.as_ref().or(self.marks.front());
        begin.map_or_else(Figures::default, |mark| self.since(mark, version, now))
    }

    pub(super) fn mark(&self, at: Mono) -> Mark {
        Mark { at, counts: self.counts.clone(), latencies: self.latencies.clone() }
    }

    /// Requests that say something, without the cost of their latencies.
    pub(super) fn requests_since(&self, mark: &Mark, version: &VersionName) -> u64 {
        self.tally_since(mark, version).exposures()
    }

    fn tally_since(&self, mark: &Mark, version: &VersionName) -> Tally {
        let total = |counts: &ServiceCounts| {
            counts.of(version).map_or_else(Tally::default, |v| v.judged.plus(v.rest))
        };
        total(&self.counts).since(total(&mark.counts))
    }

    pub(super) fn since(&self, mark: &Mark, version: &VersionName, now: Mono) -> Figures {
        let tally = self.tally_since(mark, version);
        let requests = tally.exposures();
        let slow = histogram(&self.latencies, version).since(&histogram(&mark.latencies, version));
        let quantile = |q| slow.quantile(q).map(|d| d.as_secs_f64() * 1000.0);
        let seconds = now.since(mark.at).as_secs_f64();
        Figures {
            requests,
            bad: tally.bad,
            requests_per_second: if seconds > 0.0 { requests as f64 / seconds } else { 0.0 },
            error_ratio: (requests > 0).then(|| tally.bad as f64 / requests as f64),
            p50_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
        }
    }
}

fn histogram(latencies: &ServiceLatencies, version: &VersionName) -> Histogram {
    let mut sum = Histogram::default();
    for of_version in latencies.versions.iter().filter(|v| v.version == *version) {
        sum.add(&of_version.judged);
        sum.add(&of_version.rest);
    }
    sum
}
