//! Where a version's failures came from, and some of what it served: a bounded sample of one rollout.
//!
//! Failures take a lock, and the memory is made with the first of them. Of good requests the
//! first and then every eighth leaves its client's network in a ring of atomic cells, and only while a
//! rollout is in force; what is overwritten is forgotten.

use serin_core::ids::Epoch;
use serin_core::measure::{FAILURES_KEPT, FailedRequest, Network, SERVED_AT_FIRST};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

const SERVED: usize = 512;

#[derive(Debug, Default)]
pub(super) struct OriginSample {
    failed: Mutex<Failed>,
    served: OnceLock<Box<[AtomicU64]>>,
    next: AtomicU32,
}

#[derive(Debug, Default)]
struct Failed {
    epoch: Epoch,
    /// All of the epoch, kept or not.
    count: u64,
    /// Newest first.
    latest: VecDeque<FailedRequest>,
}

impl OriginSample {
    pub(super) fn failed(&self, epoch: Epoch, request: FailedRequest) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch < failed.epoch {
            return;
        }
        if epoch > failed.epoch {
            *failed = Failed { epoch, ..Failed::default() };
        }
        failed.count += 1;
        failed.latest.truncate(FAILURES_KEPT - 1);
        failed.latest.push_front(request);
    }

    /// Every request that was answered well is to be noted: what is failed meanwhile has to be told
    /// from that by something.
    pub(super) fn knows_little(&self) -> bool {
        u64::from(self.noted()) < SERVED_AT_FIRST
    }

    pub(super) fn noted(&self) -> u32 {
        self.next.load(Relaxed)
    }

    pub(super) fn served(&self, network: Network) {
        let ring = self.served.get_or_init(|| (0..SERVED).map(|_| AtomicU64::new(0)).collect());
        let place = self.next.fetch_add(1, Relaxed) as usize % SERVED;
        ring[place].store(network.to_bits(), Relaxed);
    }

    /// How many failures of an epoch there were: changes when there is another.
    pub(super) fn failures(&self, epoch: Epoch) -> u64 {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.epoch == epoch { failed.count } else { 0 }
    }

    pub(super) fn latest(&self, epoch: Epoch) -> Vec<FailedRequest> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.epoch == epoch { failed.latest.iter().cloned().collect() } else { Vec::new() }
    }

    pub(super) fn networks_served(&self, into: &mut Vec<Network>) {
        let ring = self.served.get().map(|ring| ring.iter()).into_iter().flatten();
        into.extend(ring.filter_map(|cell| Network::from_bits(cell.load(Relaxed))));
    }
}
