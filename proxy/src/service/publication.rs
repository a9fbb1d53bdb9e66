//! A published split, and the same split prepared for the versions of one configuration.

use super::harm::Harm;
use crate::thread::ThreadId;
use crate::upstream::{RetryBudget, VersionRuntime};
use arc_swap::ArcSwap;
use serin_core::assign::{Slots, Splitter};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::split::{Sessions, Split};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// What of a service outlives its configuration.
#[derive(Debug)]
pub(super) struct Shared {
    publication: ArcSwap<Publication>,
    /// The highest epoch that was ever published.
    epoch: AtomicU64,
    /// Each thread's place in the split; it goes on from one split to the next.
    splitters: Box<[Alone<AtomicU64>]>,
    retry_budget: RetryBudget,
    /// Of the last rollout; one that rests for a while goes on with it.
    harm: Mutex<Option<Arc<Harm>>>,
}

/// On a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone<T>(T);

impl Shared {
    pub(super) fn at_rest(service: ServiceName, stable: VersionName, threads: usize) -> Self {
        let split = Arc::new(Split::at_rest(service, stable));
        let phase = || Splitter::new(crate::thread::random()).to_bits();
        let splitters = (0..threads.max(1)).map(|_| Alone(AtomicU64::new(phase())));
        Self {
            publication: ArcSwap::from_pointee(Publication::new(split, &mut None)),
            epoch: AtomicU64::new(0),
            splitters: splitters.collect(),
            retry_budget: RetryBudget::default(),
            harm: Mutex::default(),
        }
    }

    pub(super) fn publication(&self) -> Arc<Publication> {
        self.publication.load_full()
    }

    pub(super) fn retry_budget(&self) -> &RetryBudget {
        &self.retry_budget
    }

    /// Called by control's thread alone.
    pub(super) fn publish(&self, split: Arc<Split>) -> bool {
        let epoch = split.rollout.as_ref().map_or(0, |rollout| rollout.epoch.0);
        if split.rollout.is_some() && epoch < self.epoch.load(Relaxed) {
            tracing::warn!(service = %split.service, epoch, "split of a past epoch refused");
            return false;
        }
        self.epoch.fetch_max(epoch, Relaxed);
        let mut harm = self.harm.lock().unwrap_or_else(PoisonError::into_inner);
        let publication = Publication::new(split, &mut harm);
        let withdrawn = publication.withdraws().cloned();
        self.publication.store(Arc::new(publication));
        if let Some(harm) = withdrawn {
            harm.withdraw();
        }
        true
    }

    /// The part that gets this thread's next request.
    pub(super) fn with_splitter<T>(
        &self,
        thread: ThreadId,
        take: impl FnOnce(&mut Splitter) -> T,
    ) -> T {
        let cell = &self.splitters.get(thread.index()).unwrap_or(&self.splitters[0]).0;
        let mut splitter = Splitter::from_bits(cell.load(Relaxed));
        let taken = take(&mut splitter);
        cell.store(splitter.to_bits(), Relaxed);
        taken
    }
}

/// A split with what happened since it was published. Its tripwire begins untouched: that is how a
/// publication lifts it.
#[derive(Debug)]
pub struct Publication {
    pub split: Arc<Split>,
    tripwire: Option<NonZeroU32>,
    trip: Alone<Trip>,
    /// Of the rollout's epoch; at rest, of the last one's, which still counts.
    harm: Option<Arc<Harm>>,
}

/// The run of candidate failures over all threads, so that more threads do not mean more failures.
/// A healthy candidate's requests only read it.
#[derive(Debug, Default)]
struct Trip {
    run: AtomicU32,
    tripped: AtomicBool,
}

impl Publication {
    fn new(split: Arc<Split>, last: &mut Option<Arc<Harm>>) -> Self {
        if let Some(rollout) = &split.rollout {
            match last.as_ref().filter(|harm| harm.epoch == rollout.epoch) {
                Some(harm) => harm.set(rollout.harm_ceiling),
                None => *last = Some(Arc::new(Harm::new(rollout.epoch, rollout.harm_ceiling))),
            }
        }
        Self {
            tripwire: split.rollout.as_ref().and_then(|rollout| rollout.tripwire),
            split,
            trip: Alone::default(),
            harm: last.clone(),
        }
    }

    /// The rollout whose candidate this takes back, if it does: everybody leaves now. Sessions that
    /// drain may finish where they are.
    fn withdraws(&self) -> Option<&Arc<Harm>> {
        let rollout = self.split.rollout.as_ref()?;
        match rollout.sessions {
            Sessions::Revoke => self.harm.as_ref().filter(|harm| harm.epoch == rollout.epoch),
            Sessions::Honour | Sessions::Drain => None,
        }
    }

    pub(super) fn harm(&self) -> Option<&Arc<Harm>> {
        self.harm.as_ref()
    }

    /// Failed candidate requests of the latest epoch, and the users among them.
    pub(super) fn failed(&self) -> (u64, u64) {
        self.harm.as_ref().map_or((0, 0), |harm| harm.failed())
    }

    pub fn is_tripped(&self) -> bool {
        self.trip.0.tripped.load(Relaxed)
    }

    pub(super) fn candidate_good(&self) {
        let Trip { run, .. } = &self.trip.0;
        if run.load(Relaxed) != 0 {
            run.store(0, Relaxed);
        }
    }

    pub(super) fn candidate_bad(&self) {
        let Some(limit) = self.tripwire else { return };
        let Trip { run, tripped } = &self.trip.0;
        let run = run.fetch_add(1, Relaxed).saturating_add(1);
        if run >= limit.get() && !tripped.swap(true, Relaxed) {
            tracing::warn!(service = %self.split.service, run, "tripwire: new requests go to stable");
        }
    }
}

/// A publication, with the split's names looked up among the versions of one configuration.
#[derive(Debug)]
pub(super) struct Prepared {
    publication: Arc<Publication>,
    slots: Slots,
    parts: Vec<Arc<VersionRuntime>>,
    stable: Arc<VersionRuntime>,
}

impl Prepared {
    /// `versions` is not empty. A version that the split names and the configuration no longer lists
    /// is replaced by stable, and stable, if it is gone itself, by the configuration's.
    pub(super) fn new(
        publication: Arc<Publication>,
        versions: &[Arc<VersionRuntime>],
        configured: &VersionName,
    ) -> Self {
        let find = |name: &VersionName| versions.iter().find(|version| version.name == *name);
        let split = &publication.split;
        let stable = find(&split.stable).or_else(|| find(configured)).unwrap_or(&versions[0]);
        let part = |(name, _): &(VersionName, _)| Arc::clone(find(name).unwrap_or(stable));
        Self {
            slots: Slots::new(&split.weights),
            parts: split.weights.parts().iter().map(part).collect(),
            stable: Arc::clone(stable),
            publication,
        }
    }

    pub(super) fn publication(&self) -> &Arc<Publication> {
        &self.publication
    }

    pub(super) fn split(&self) -> &Arc<Split> {
        &self.publication.split
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(super) fn stable(&self) -> &Arc<VersionRuntime> {
        &self.stable
    }

    /// The version of a part, and whether it is the one that the split names.
    pub(super) fn part(&self, part: u16) -> (&Arc<VersionRuntime>, bool) {
        let place = usize::from(part);
        match (self.parts.get(place), self.split().weights.parts().get(place)) {
            (Some(version), Some((named, _))) => (version, version.name == *named),
            _ => (&self.stable, false),
        }
    }
}
