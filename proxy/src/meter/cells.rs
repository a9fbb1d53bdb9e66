//! The cells of one version: written per thread, merged by the reader.

use super::Counting;
use super::first_bad::FirstBad;
use super::samples::Samples;
use super::sources::OriginSample;
use super::timed::TimedSample;
use super::waiting::{Ages, Waiting};
use crate::thread::ThreadId;
use serin_core::ids::{Epoch, VersionName};
use serin_core::lag::Stretch;
use serin_core::measure::{
    Cells, FailedRequest, Histogram, Network, Population, SERVED_AT_FIRST, SERVED_EACH, Tally,
    VersionCounts, VersionLatencies,
};
use serin_core::outcome::Outcome;
use serin_core::plane::BadSample;
use serin_core::shadow::ShadowResults;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;

/// Statuses 100 to 599, and one place for all others.
const STATUSES: usize = 501;

/// What became of a copy that was sent to a shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shadowed {
    Same,
    Different,
    /// Sent and answered, and not compared.
    Answered,
    Failed,
}

#[derive(Debug)]
pub struct VersionMeter {
    threads: Box<[ThreadCells]>,
    /// Written by the thread that sends copies, and by no other.
    shadowed: [Count; 4],
    first_bad: FirstBad,
    first_refused: FirstBad,
    samples: Samples,
    origins: OriginSample,
    timed: TimedSample,
}

/// On cache lines of its own, so that one thread's writes do not slow the others'.
#[derive(Debug, Default)]
#[repr(align(128))]
struct ThreadCells {
    judged: TallyCells,
    rest: TallyCells,
    started: Count,
    ended: Count,
    attempts: [Count; 3],
    received: Count,
    sent: Count,
    latency_micros: Count,
    client_errors: Count,
    statuses: Statuses,
    judged_latency: Cells,
    rest_latency: Cells,
    waiting: Waiting,
}

#[derive(Debug, Default)]
struct TallyCells {
    good: Count,
    bad: Count,
    excluded: Count,
    first_bad: Count,
}

/// Takes no room before the first answer.
#[derive(Debug, Default)]
struct Statuses(OnceLock<Box<[Count]>>);

impl Statuses {
    fn add(&self, place: usize) {
        self.0.get_or_init(|| (0..STATUSES).map(|_| Count::default()).collect())[place].add(1);
    }

    fn get(&self, place: usize) -> u64 {
        self.0.get().map_or(0, |counts| counts[place].get())
    }
}

/// Only ever added to by one thread. What that thread added earlier elsewhere is seen by whoever
/// sees this.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Release);
    }

    fn get(&self) -> u64 {
        self.0.load(Acquire)
    }
}

/// What the request path writes. Each takes the thread it runs on.
impl VersionMeter {
    pub fn new(threads: usize) -> Self {
        Self {
            threads: (0..threads.max(1)).map(|_| ThreadCells::default()).collect(),
            shadowed: Default::default(),
            first_bad: FirstBad::default(),
            first_refused: FirstBad::default(),
            samples: Samples::default(),
            origins: OriginSample::default(),
            timed: TimedSample::default(),
        }
    }

    pub(super) fn started(&self, thread: ThreadId) {
        self.cells(thread).started.add(1);
    }

    pub(super) fn ended(&self, thread: ThreadId) {
        self.cells(thread).ended.add(1);
    }

    pub(super) fn attempt(&self, thread: ThreadId, outcome: Outcome) {
        self.cells(thread).attempts[index_of(outcome)].add(1);
    }

    pub(super) fn request(&self, thread: ThreadId, counting: Counting, outcome: Outcome) {
        let cells = self.cells(thread);
        let tally = match counting {
            Counting::Judged => &cells.judged,
            Counting::Rest => &cells.rest,
            Counting::Cohort => return cells.rest.excluded.add(1),
        };
        match outcome {
            Outcome::Good => tally.good.add(1),
            Outcome::Bad => tally.bad.add(1),
            Outcome::Excluded => tally.excluded.add(1),
        }
    }

    /// After a bad request: counts it again if it is its user's first in this epoch.
    pub(super) fn first_bad(
        &self,
        thread: ThreadId,
        counting: Counting,
        epoch: Epoch,
        user: Option<u64>,
    ) {
        let cells = self.cells(thread);
        let tally = match counting {
            Counting::Judged => &cells.judged,
            Counting::Rest => &cells.rest,
            Counting::Cohort => return,
        };
        if user.is_none_or(|user| self.first_bad.insert(epoch, user)) {
            tally.first_bad.add(1);
        }
    }

    /// After a judged request that was answered 4xx: counts it if it is its user's first in this epoch.
    pub(super) fn refused(&self, thread: ThreadId, epoch: Epoch, user: Option<u64>) {
        if user.is_none_or(|user| self.first_refused.insert(epoch, user)) {
            self.cells(thread).client_errors.add(1);
        }
    }

    pub(super) fn latency(&self, thread: ThreadId, counting: Counting, latency: Duration) {
        let cells = self.cells(thread);
        match counting {
            Counting::Judged => cells.judged_latency.record(latency),
            Counting::Rest => cells.rest_latency.record(latency),
            Counting::Cohort => return,
        }
        cells.latency_micros.add(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn wait(
        &self,
        thread: ThreadId,
        since_micros: u64,
        network: Option<Network>,
    ) -> Option<u32> {
        self.cells(thread).waiting.enter(since_micros, network)
    }

    pub(super) fn no_longer_waits(&self, thread: ThreadId, place: u32) {
        self.cells(thread).waiting.leave(place);
    }

    pub(super) fn answered(&self, thread: ThreadId, status: u16, received: u64, sent: u64) {
        let cells = self.cells(thread);
        let place = usize::from(status.wrapping_sub(100)).min(STATUSES - 1);
        cells.statuses.add(place);
        cells.received.add(received);
        cells.sent.add(sent);
    }

    pub(super) fn sample(&self, sample: BadSample) {
        self.samples.push(sample);
    }

    pub(super) fn failed_from(&self, epoch: Epoch, request: FailedRequest) {
        self.origins.failed(epoch, request);
    }

    /// Some of the requests that were answered well say where from.
    pub(super) fn served(&self, thread: ThreadId, client: IpAddr) {
        let good = self.cells(thread).judged.good.get();
        if self.origins.knows_little() || good.is_multiple_of(SERVED_EACH) {
            self.origins.served(Network::of(client));
        }
    }

    pub(super) fn took(&self, took: Duration, client: IpAddr) {
        self.timed.note(took, Network::of(client));
    }

    /// What came of a copy. Called by the one thread that sends copies.
    pub fn shadowed(&self, what: Shadowed) {
        self.shadowed[what as usize].add(1);
    }

    /// A number beyond what the meter was made for falls back on the first thread's cells.
    fn cells(&self, thread: ThreadId) -> &ThreadCells {
        self.threads.get(thread.index()).unwrap_or(&self.threads[0])
    }
}

fn index_of(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Good => 0,
        Outcome::Bad => 1,
        Outcome::Excluded => 2,
    }
}

/// What readers ask, on any thread, at any time.
impl VersionMeter {
    pub fn counts(&self, version: VersionName, tripped: bool) -> VersionCounts {
        let shadow = self.shadow_results();
        // Read first, so that there are never more of them than requests.
        let client_errors = self.sum(|cells| cells.client_errors.get());
        VersionCounts {
            client_errors,
            judged: self.tally(|cells| &cells.judged),
            rest: self.tally(|cells| &cells.rest),
            tripped,
            in_flight: self.in_flight(),
            shadow_compared: shadow.same + shadow.different,
            shadow_mismatched: shadow.different,
            shadow_failed: shadow.failed,
            ..VersionCounts::new(version)
        }
    }

    /// Copies that were sent to this version, by what came of them.
    pub fn shadow_results(&self) -> ShadowResults {
        let count = |what: Shadowed| self.shadowed[what as usize].get();
        // Differences are read first, so that there are never more of them than comparisons.
        let different = count(Shadowed::Different);
        ShadowResults {
            different,
            same: count(Shadowed::Same),
            answered: count(Shadowed::Answered),
            failed: count(Shadowed::Failed),
        }
    }

    /// `late`: who waited through it waited for this process.
    pub fn latencies(
        &self,
        version: VersionName,
        now_micros: u64,
        late: Stretch,
    ) -> VersionLatencies {
        let mut ages = Ages::default();
        for cells in &self.threads {
            cells.waiting.ages(now_micros, late, &mut ages);
        }
        VersionLatencies {
            version,
            judged: self.latency_of(Population::Judged),
            rest: self.latency_of(Population::Rest),
            waiting: ages.all.clone(),
            timed: self.timed.read(),
            waiting_timed: ages.timed(),
        }
    }

    pub fn latency_of(&self, population: Population) -> Histogram {
        let mut sum = Histogram::default();
        for cells in &self.threads {
            match population {
                Population::Judged => cells.judged_latency.add_to(&mut sum),
                Population::Rest => cells.rest_latency.add_to(&mut sum),
            }
        }
        sum
    }

    /// The ends are read first: a request that ends in between is counted once too often, and
    /// never makes the difference negative.
    pub fn in_flight(&self) -> u64 {
        let ended = self.sum(|cells| cells.ended.get());
        self.sum(|cells| cells.started.get()).saturating_sub(ended)
    }

    pub fn attempts(&self, outcome: Outcome) -> u64 {
        self.sum(|cells| cells.attempts[index_of(outcome)].get())
    }

    pub fn latency_sum(&self) -> Duration {
        Duration::from_micros(self.sum(|cells| cells.latency_micros.get()))
    }

    /// Bytes of bodies, from clients and to them.
    pub fn bytes(&self) -> (u64, u64) {
        (self.sum(|cells| cells.received.get()), self.sum(|cells| cells.sent.get()))
    }

    /// The statuses that clients got from this version. `None` stands for those outside 100 to 599.
    pub fn statuses(&self) -> Vec<(Option<u16>, u64)> {
        let count = |place: usize| self.sum(|cells| cells.statuses.get(place));
        let status = |place: usize| (place < STATUSES - 1).then_some(place as u16 + 100);
        let all = (0..STATUSES).map(|place| (status(place), count(place)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// Failures of an epoch, counted.
    pub(crate) fn failures(&self, epoch: Epoch) -> u64 {
        self.origins.failures(epoch)
    }

    /// The latest of them, newest first.
    pub(crate) fn latest_failures(&self, epoch: Epoch) -> Vec<FailedRequest> {
        self.origins.latest(epoch)
    }

    /// Changes when more is known of where requests come from: with every one at first, then now and then.
    pub(crate) fn networks_noted(&self) -> u64 {
        let noted = u64::from(self.origins.noted());
        if noted <= SERVED_AT_FIRST { noted } else { SERVED_AT_FIRST + noted / SERVED_AT_FIRST }
    }

    pub(crate) fn networks_served(&self, into: &mut Vec<Network>) {
        self.origins.networks_served(into);
    }

    pub fn bad_samples(&self) -> Vec<BadSample> {
        self.samples.newest_first()
    }

    /// Waiting requests that found no place and were not seen while they waited.
    pub fn unseen(&self) -> u64 {
        self.threads.iter().map(|cells| cells.waiting.overflowed()).sum()
    }

    fn tally(&self, of: impl Fn(&ThreadCells) -> &TallyCells) -> Tally {
        self.threads.iter().map(of).fold(Tally::default(), |sum, cells| {
            // First failures are read first, so that there are never more of them than failures.
            let first_bad = cells.first_bad.get();
            sum.plus(Tally {
                good: cells.good.get(),
                bad: cells.bad.get(),
                excluded: cells.excluded.get(),
                first_bad,
            })
        })
    }

    fn sum(&self, of: impl Fn(&ThreadCells) -> u64) -> u64 {
        self.threads.iter().map(of).sum()
    }
}
