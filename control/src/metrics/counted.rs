//! Events, counted as they happen.

use serin_core::metrics::{Metered, Metric, Samples};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(super) struct Counted(Mutex<BTreeMap<&'static str, Series>>);

#[derive(Debug)]
struct Series {
    metric: &'static Metric,
    /// By the values of the labels.
    counts: BTreeMap<Vec<String>, u64>,
}

impl Counted {
    /// With 0, a series is there from now on.
    pub(super) fn add(&self, metric: &'static Metric, labels: &[&str], more: u64) {
        let mut all = self.lock();
        let new = || Series { metric, counts: BTreeMap::new() };
        let series = all.entry(metric.name).or_insert_with(new);
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        *series.counts.entry(labels).or_default() += more;
    }

    pub(super) fn get(&self, metric: &Metric, labels: &[&str]) -> u64 {
        let all = self.lock();
        let found = all.get(metric.name).and_then(|series| {
            series.counts.iter().find(|(known, _)| known.iter().eq(labels.iter()))
        });
        found.map_or(0, |(_, count)| *count)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metered for Counted {
    fn read(&self, samples: &mut Samples) {
        for Series { metric, counts } in self.lock().values() {
            for (labels, count) in counts {
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                samples.counter(metric, &labels, *count);
            }
        }
    }
}
