//! The numbers of the last minute, and of the present step: for people, never for a verdict.

use crate::view::Figures;
use serin_core::ids::VersionName;
use serin_core::measure::{Histogram, ServiceCounts, ServiceLatencies, Tally, VersionLatencies};
use serin_core::time::Mono;
use std::collections::VecDeque;
use std::sync::Arc;
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
    latencies: Latencies,
    /// Requests that had ended when the latencies were read last; `None` before the first time.
    ended_when_read: Option<u64>,
}

/// A former state of the counters.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) at: Mono,
    counts: ServiceCounts,
    latencies: Latencies,
}

/// Of each version, what its histogram holds. Marks of a time without requests share one.
type Latencies = Arc<[(VersionName, Filled)]>;

/// The filled buckets of a histogram: a tenth of what all of them take.
#[derive(Debug)]
struct Filled(Box<[(u16, u64)]>);

impl Filled {
    fn of(parts: [&Histogram; 2]) -> Self {
        let [a, b] = parts.map(Histogram::buckets);
        let sums = (0u16..).zip(a.iter().zip(b).map(|(a, b)| a + b));
        Self(sums.filter(|(_, count)| *count > 0).collect())
    }

    /// What was recorded since `earlier`, which is a former state of the same.
    fn since(&self, earlier: Option<&Self>) -> Histogram {
        let mut gained = Histogram::default();
        let buckets = gained.buckets_mut();
        for (bucket, count) in &self.0 {
            buckets[usize::from(*bucket)] = *count;
        }
        for (bucket, count) in earlier.iter().flat_map(|earlier| &earlier.0) {
            let here = &mut buckets[usize::from(*bucket)];
            *here = here.saturating_sub(*count);
        }
        gained
    }
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
            let known = self.ended_when_read.replace(ended(&self.counts));
            if known != self.ended_when_read {
                let filled =
                    |v: &VersionLatencies| (v.version.clone(), Filled::of([&v.judged, &v.rest]));
                self.latencies = latencies.versions.iter().map(filled).collect();
            }
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

    /// Whether the latencies are what they were when they were read last: nothing has ended since,
    /// and nothing is waited for.
    pub(crate) fn knows_latencies(&self, counts: &ServiceCounts) -> bool {
        let waits = |counts: &ServiceCounts| counts.versions.iter().any(|v| v.in_flight > 0);
        self.ended_when_read == Some(ended(counts)) && !waits(counts) && !waits(&self.counts)
    }

    /// Whether there was any request in the last minute.
    pub(crate) fn is_moving(&self) -> bool {
        self.marks.front().is_some_and(|mark| ended(&mark.counts) != ended(&self.counts))
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
        Mark { at, counts: self.counts.clone(), latencies: Arc::clone(&self.latencies) }
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
        let slow = filled(&self.latencies, version)
            .map_or_else(Histogram::default, |now| now.since(filled(&mark.latencies, version)));
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

fn filled<'a>(latencies: &'a Latencies, version: &VersionName) -> Option<&'a Filled> {
    latencies.iter().find(|(of, _)| of == version).map(|(_, filled)| filled)
}

fn ended(counts: &ServiceCounts) -> u64 {
    let of = |tally: Tally| tally.exposures() + tally.excluded;
    counts.versions.iter().map(|v| of(v.judged) + of(v.rest)).sum()
}
