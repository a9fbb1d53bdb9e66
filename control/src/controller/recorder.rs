//! What a service did over the last day, for the page to draw: never for a verdict.
//!
//! Three rings of rising length and falling resolution, so that a rollback is seen to the second
//! and a day fits. They are memory only, about 270 KiB for a service with two versions at work: a
//! restart begins anew, and what was not observed has no point.

use super::figures::{Ledger, Mark};
use crate::view::{HistoryView, Timestamp, VersionHistory};
use serin_core::ids::VersionName;
use serin_core::split::Split;
use serin_core::time::{Mono, Now};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a ring takes a point, and how many it keeps: 15 minutes, 3 hours, 24 hours.
const RINGS: [(u64, usize); 3] = [(1, 900), (10, 1080), (60, 1440)];

/// Shared between the controller, which writes once a second, and whoever looks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Rings>>);

impl Recorder {
    pub(crate) fn record(&self, ledger: &Ledger, split: &Split, now: Now) {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rings.0.iter_mut().for_each(|ring| ring.record(ledger, split, now));
    }

    /// From the finest ring that reaches back as far as asked, points after a moment.
    pub(crate) fn read(
        &self,
        service: &str,
        period: Duration,
        after: Option<i64>,
        at: Timestamp,
    ) -> HistoryView {
        let rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reaches = |ring: &&Ring| period.as_secs() <= ring.every * ring.most as u64;
        let ring = rings.0.iter().find(reaches).unwrap_or(&rings.0[RINGS.len() - 1]);
        let from = at.0.0 / 1000 - i64::try_from(period.as_secs()).unwrap_or(i64::MAX);
        let after = after.unwrap_or(from).max(from);
        view(service, ring, at, |moment| moment > after)
    }
}

#[derive(Debug)]
struct Rings([Ring; RINGS.len()]);

impl Default for Rings {
    fn default() -> Self {
        Self(RINGS.map(|(every, most)| Ring {
            every,
            most,
            moments: 0,
            points: VecDeque::new(),
            mark: None,
        }))
    }
}

#[derive(Debug)]
struct Ring {
    /// Seconds a point.
    every: u64,
    most: usize,
    /// How many there are; a point may stand for several.
    moments: usize,
    points: VecDeque<Point>,
    /// Where the present point began.
    mark: Option<Mark>,
}

#[derive(Debug)]
struct Point {
    at: i64,
    /// So many moments that say the same follow each other: hours without a request are one point.
    moments: u32,
    /// Of the versions that had weight or requests.
    samples: Box<[Sample]>,
}

#[derive(Debug)]
struct Sample {
    version: VersionName,
    weight: u16,
    requests: u32,
    bad: u32,
    /// p50, p95 and p99 in milliseconds; `NaN` without requests.
    latency: [f32; 3],
}

impl Ring {
    fn record(&mut self, ledger: &Ledger, split: &Split, now: Now) {
        let Some(mark) = &self.mark else {
            self.mark = Some(ledger.mark(now.mono));
            return;
        };
        // Calls come a little more than a second apart: half of one early is nearer than late.
        let due = Duration::from_secs(self.every) - Duration::from_millis(500);
        if now.mono.since(mark.at) < due {
            return;
        }
        let versions = ledger.counts().versions.iter().map(|counts| &counts.version);
        let samples = versions.filter_map(|v| sample(ledger, mark, v, split, now.mono)).collect();
        self.add(now.wall.0 / 1000, samples);
        self.mark = Some(ledger.mark(now.mono));
    }

    fn add(&mut self, at: i64, samples: Box<[Sample]>) {
        // A wall clock that was set back must not make two points of one moment.
        let at = self.points.back().map_or(at, |last| at.max(self.last_of(last) + 1));
        if self.moments >= self.most {
            self.forget_first();
        }
        self.moments += 1;
        let every = i64::try_from(self.every).unwrap_or(i64::MAX);
        let on_time = self.points.back().is_some_and(|last| self.last_of(last) + every == at);
        match self.points.back_mut() {
            Some(last) if on_time && last.says_as_little_as(&samples) => last.moments += 1,
            _ => self.points.push_back(Point { at, moments: 1, samples }),
        }
    }

    fn forget_first(&mut self) {
        self.moments -= 1;
        match self.points.front_mut() {
            Some(first) if first.moments > 1 => {
                first.moments -= 1;
                first.at += i64::try_from(self.every).unwrap_or(i64::MAX);
            }
            Some(_) | None => drop(self.points.pop_front()),
        }
    }

    /// The last moment that a point stands for.
    fn last_of(&self, point: &Point) -> i64 {
        point.at + i64::from(point.moments - 1) * i64::try_from(self.every).unwrap_or(i64::MAX)
    }

    /// Every moment with what is known of it.
    fn moments(&self) -> impl Iterator<Item = (i64, &[Sample])> {
        let every = i64::try_from(self.every).unwrap_or(i64::MAX);
        self.points.iter().flat_map(move |point| {
            let at = move |nth: u32| point.at + i64::from(nth) * every;
            (0..point.moments).map(move |nth| (at(nth), &*point.samples))
        })
    }
}

impl Point {
    /// The same weights, and no request here or there.
    fn says_as_little_as(&self, samples: &[Sample]) -> bool {
        let same = |(a, b): (&Sample, &Sample)| {
            a.version == b.version && a.weight == b.weight && a.requests + b.requests == 0
        };
        self.samples.len() == samples.len() && self.samples.iter().zip(samples).all(same)
    }
}

fn sample(
    ledger: &Ledger,
    mark: &Mark,
    version: &VersionName,
    split: &Split,
    now: Mono,
) -> Option<Sample> {
    let weight = split.weights.of(version).get();
    let short = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let millis = |value: Option<f64>| value.map_or(f32::NAN, |ms| ms as f32);
    let requests = ledger.requests_since(mark, version);
    if requests == 0 {
        let none = Sample {
            version: version.clone(),
            weight,
            requests: 0,
            bad: 0,
            latency: [f32::NAN; 3],
        };
        return (weight > 0).then_some(none);
    }
    let seen = ledger.since(mark, version, now);
    Some(Sample {
        version: version.clone(),
        weight,
        requests: short(requests),
        bad: short(seen.bad),
        latency: [millis(seen.p50_ms), millis(seen.p95_ms), millis(seen.p99_ms)],
    })
}

/// Columns of equal length: a version that took no part in a moment has nothing there.
fn view(service: &str, ring: &Ring, at: Timestamp, wanted: impl Fn(i64) -> bool) -> HistoryView {
    let mut view = HistoryView {
        service: service.to_owned(),
        at,
        step_seconds: ring.every,
        times: Vec::new(),
        versions: Vec::new(),
    };
    for (at, samples) in ring.moments().filter(|(at, _)| wanted(*at)) {
        for sample in samples {
            let name = sample.version.as_str();
            if !view.versions.iter().any(|known| known.name == name) {
                let fresh = VersionHistory { name: name.to_owned(), ..VersionHistory::default() };
                view.versions.push(padded(fresh, view.times.len()));
            }
        }
        view.times.push(at);
        for column in &mut view.versions {
            let found = samples.iter().find(|s| s.version.as_str() == column.name);
            push(column, found);
        }
    }
    view
}

fn padded(mut column: VersionHistory, length: usize) -> VersionHistory {
    (0..length).for_each(|_| push(&mut column, None));
    column
}

fn push(column: &mut VersionHistory, sample: Option<&Sample>) {
    let latency = |at: usize| sample.map(|s| s.latency[at]).filter(|ms| !ms.is_nan());
    column.weights.push(sample.map_or(0, |s| s.weight));
    column.requests.push(sample.map_or(0, |s| s.requests));
    column.bad.push(sample.map_or(0, |s| s.bad));
    column.p50_ms.push(latency(0));
    column.p95_ms.push(latency(1));
    column.p99_ms.push(latency(2));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_core::ids::ServiceName;
    use serin_core::measure::{ServiceCounts, Tally, VersionCounts};
    use serin_core::time::Wall;

    fn split() -> Split {
        let (v1, v2) = (VersionName::new("v1").unwrap(), VersionName::new("v2").unwrap());
        let tenth = serin_core::weights::BasisPoints::new(1000).unwrap();
        let mut split = Split::at_rest(ServiceName::new("shop").unwrap(), v1.clone());
        split.weights = serin_core::weights::Weights::two(v1, v2, tenth);
        split
    }

    /// A hundred requests a second to v1, of which one is bad.
    fn watched(seconds: u64) -> Recorder {
        let (recorder, mut ledger) = (Recorder::default(), Ledger::default());
        for second in 0..=seconds {
            let mut counts = VersionCounts::new(VersionName::new("v1").unwrap());
            counts.judged = Tally { good: 99 * second, bad: second, ..Tally::default() };
            let now = Now { mono: Mono(second * 1000), wall: Wall(second as i64 * 1000) };
            let versions = vec![counts, VersionCounts::new(VersionName::new("v2").unwrap())];
            ledger.observe(
                Some(&ServiceCounts { versions, ..ServiceCounts::default() }),
                None,
                now.mono,
            );
            recorder.record(&ledger, &split(), now);
        }
        recorder
    }

    fn read(recorder: &Recorder, period: u64, after: Option<i64>, at: i64) -> HistoryView {
        recorder.read("shop", Duration::from_secs(period), after, Timestamp(Wall(at * 1000)))
    }

    #[test]
    fn a_point_counts_what_happened_since_the_one_before() {
        let history = read(&watched(20), 900, None, 20);
        assert_eq!(history.times, (1..=20).collect::<Vec<i64>>());
        let [v1, v2] = &history.versions[..] else { panic!("{history:?}") };
        assert_eq!((v1.requests[7], v1.bad[7], v1.weights[7]), (100, 1, 9000));
        assert_eq!((v2.requests[7], v2.weights[7], v2.p95_ms[7]), (0, 1000, None));
    }

    #[test]
    fn the_ring_is_as_fine_as_the_period_allows_and_keeps_no_more_than_its_length() {
        let recorder = watched(4000);
        let lengths = [900, 10_800, 86_400].map(|period| {
            let history = read(&recorder, period, None, 4000);
            (history.step_seconds, history.times.len())
        });
        assert_eq!(lengths, [(1, 900), (10, 400), (60, 66)]);
    }

    #[test]
    fn a_reader_that_comes_back_gets_what_is_new() {
        let recorder = watched(30);
        assert_eq!(read(&recorder, 900, Some(27), 30).times, [28, 29, 30]);
        assert_eq!(read(&recorder, 10, Some(0), 30).times.len(), 10);
    }

    #[test]
    fn moments_without_a_request_share_a_point_and_are_all_shown() {
        let (recorder, mut ledger) = (Recorder::default(), Ledger::default());
        for second in 0..=1_200_u64 {
            let mut counts = VersionCounts::new(VersionName::new("v1").unwrap());
            counts.judged.good = u64::from(second >= 600);
            let now = Now { mono: Mono(second * 1000), wall: Wall(second as i64 * 1000) };
            let counts = ServiceCounts { versions: vec![counts], ..ServiceCounts::default() };
            ledger.observe(Some(&counts), None, now.mono);
            recorder.record(&ledger, &split(), now);
        }
        let points = recorder.0.lock().unwrap().0[0].points.len();
        assert_eq!(points, 3, "before, the one request, and after");
        let history = read(&recorder, 900, None, 1_200);
        assert_eq!(history.times, (301..=1_200).collect::<Vec<i64>>());
        let requests = &history.versions[0].requests;
        assert_eq!((requests[299], requests.iter().sum::<u32>()), (1, 1));
        assert_eq!(read(&recorder, 900, Some(1_197), 1_200).times, [1_198, 1_199, 1_200]);
    }
}
