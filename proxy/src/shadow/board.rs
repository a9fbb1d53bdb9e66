//! What is known of differences: groups by route and path, each with its last few samples. All of
//! it is bounded; what finds no place is counted.

use super::noise::Noise;
use serin_core::measure::Histogram;
use serin_core::shadow::{Beside, Difference, DifferenceSample, Place, Quantiles, ShadowReport};
use serin_core::time::Wall;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

const MOST_GROUPS: usize = 256;
const SAMPLES: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) noise: Noise,
    groups: HashMap<Place, Group>,
    not_kept: u64,
    stable: Histogram,
    shadow: Histogram,
}

#[derive(Debug)]
struct Group {
    count: u64,
    first: Wall,
    last: Wall,
    samples: VecDeque<DifferenceSample>,
}

impl Board {
    pub(super) fn latencies(&mut self, stable: Duration, shadow: Duration) {
        self.stable.record(stable);
        self.shadow.record(shadow);
    }

    pub(super) fn differs(&mut self, place: Place, sample: DifferenceSample) {
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&place) {
            self.not_kept += 1;
            return;
        }
        let at = sample.at;
        let fresh = || Group { count: 0, first: at, last: at, samples: VecDeque::new() };
        let group = self.groups.entry(place).or_insert_with(fresh);
        group.count += 1;
        group.last = at;
        group.samples.truncate(SAMPLES - 1);
        group.samples.push_front(sample);
    }

    /// The report, with all that is known here.
    pub(super) fn report(&self, report: ShadowReport) -> ShadowReport {
        // What was found before it was known to be noise is noise too.
        let real = self.groups.iter().filter(|(place, _)| !self.noise.is_noise(place));
        let mut differences: Vec<_> = real.map(|(place, group)| group.tell(place)).collect();
        differences.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.place.cmp(&b.place)));
        let (noise, not_kept) = (self.noise.places(), self.not_kept);
        ShadowReport { differences, noise, not_kept, latency: self.beside(), ..report }
    }

    fn beside(&self) -> Option<Beside> {
        let samples = self.stable.total();
        Some(Beside { samples, stable: quantiles(&self.stable)?, shadow: quantiles(&self.shadow)? })
    }
}

fn quantiles(of: &Histogram) -> Option<Quantiles> {
    Some(Quantiles { p50: of.quantile(0.5)?, p95: of.quantile(0.95)?, p99: of.quantile(0.99)? })
}

impl Group {
    fn tell(&self, place: &Place) -> Difference {
        Difference {
            place: place.clone(),
            count: self.count,
            first: self.first,
            last: self.last,
            samples: self.samples.iter().cloned().collect(),
        }
    }
}
