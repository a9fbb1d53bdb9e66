//! The cap on what a candidate may damage, enforced where requests are admitted.
//!
//! Every request in flight on the candidate may fail, so each takes its place in the budget when
//! it is admitted and gives it back when it did no harm. What is taken can therefore never pass
//! the ceiling, however the threads interleave, and the cap holds even when everything in flight
//! fails at once. A request that cannot be admitted goes to stable.

use serin_core::ids::{Epoch, ServiceName};
use serin_core::split::HarmCeiling;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

/// The budget of one epoch.
#[derive(Debug)]
pub struct Harm {
    pub(super) epoch: Epoch,
    requests: Budget,
    users: Budget,
    failed_requests: AtomicU64,
    failed_users: AtomicU64,
    /// Users who have failed. Only failures touch it; there are never more than the cap on users,
    /// or without one, [`MOST_USERS`].
    known: Mutex<HashSet<u64>>,
    /// Whether anybody has been told that it holds requests back.
    told: AtomicBool,
    withdrawn: Withdrawn,
}

/// Whether an epoch's candidate was rolled back: what waits for its answer need wait no longer.
#[derive(Debug, Default)]
struct Withdrawn {
    is: AtomicBool,
    tell: tokio::sync::Notify,
}

const MOST_USERS: usize = 65_536;

#[derive(Debug)]
struct Budget {
    ceiling: AtomicU64,
    /// By failures, and by requests in flight, each of which may become one.
    taken: AtomicU64,
}

impl Harm {
    pub(super) fn new(epoch: Epoch, ceiling: HarmCeiling) -> Self {
        Self {
            epoch,
            requests: Budget::new(ceiling.failed_requests),
            users: Budget::new(ceiling.users),
            failed_requests: AtomicU64::new(0),
            failed_users: AtomicU64::new(0),
            known: Mutex::default(),
            told: AtomicBool::new(false),
            withdrawn: Withdrawn::default(),
        }
    }

    /// The epoch's candidate has lost its traffic for good.
    pub(super) fn withdraw(&self) {
        self.withdrawn.is.store(true, SeqCst);
        self.withdrawn.tell.notify_waiters();
    }

    /// Waits until it has.
    pub(super) async fn withdrawn(&self) {
        let told = self.withdrawn.tell.notified();
        let mut told = std::pin::pin!(told);
        // Registered before the look, so that nothing is missed in between.
        told.as_mut().enable();
        if !self.withdrawn.is.load(SeqCst) {
            told.await;
        }
    }

    /// What a later split of the same epoch says. Below what is taken already it admits nobody.
    pub(super) fn set(&self, ceiling: HarmCeiling) {
        self.requests.set(ceiling.failed_requests);
        self.users.set(ceiling.users);
    }

    /// A place for one request, if all that is in flight could still fail within the budget.
    pub fn admit(self: &Arc<Self>) -> Option<Reservation> {
        if !self.requests.take() {
            return None;
        }
        if !self.users.take() {
            self.requests.give_back();
            return None;
        }
        Some(Reservation { harm: Arc::clone(self), open: true })
    }

    /// Once an epoch: a cap that is smaller than what is usually in flight keeps a candidate below
    /// its weight, however healthy it is, and nothing else would say so.
    pub(super) fn tell(&self, service: &ServiceName) {
        if self.told.load(Relaxed) || self.told.swap(true, Relaxed) {
            return;
        }
        let (failed, users) = self.failed();
        tracing::warn!(
            %service, failed, users,
            "harm: what failed and what is in flight on the candidate reach the cap; the rest goes to stable"
        );
    }

    pub fn failed(&self) -> (u64, u64) {
        (self.failed_requests.load(Relaxed), self.failed_users.load(Relaxed))
    }

    /// Someone who cannot be told apart counts as someone new: the cap errs on the safe side.
    fn is_new(&self, user: Option<u64>) -> bool {
        let Some(user) = user else { return true };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() >= MOST_USERS || known.insert(user)
    }
}

impl Budget {
    fn new(ceiling: Option<u64>) -> Self {
        let budget = Self { ceiling: AtomicU64::default(), taken: AtomicU64::default() };
        budget.set(ceiling);
        budget
    }

    fn set(&self, ceiling: Option<u64>) {
        self.ceiling.store(ceiling.unwrap_or(u64::MAX), Relaxed);
    }

    fn take(&self) -> bool {
        let ceiling = self.ceiling.load(Relaxed);
        let one_more = |taken: u64| (taken < ceiling).then(|| taken + 1);
        self.taken.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    fn give_back(&self) {
        self.taken.fetch_sub(1, Relaxed);
    }
}

/// The place of one request in the budget, given back when it is dropped unspent.
#[derive(Debug)]
pub struct Reservation {
    harm: Arc<Harm>,
    open: bool,
}

impl Reservation {
    /// The request did no harm.
    pub fn release(&mut self) {
        if std::mem::take(&mut self.open) {
            self.harm.requests.give_back();
            self.harm.users.give_back();
        }
    }

    /// The request failed, and its place stays taken.
    pub fn spend(&mut self, user: Option<u64>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.harm.failed_requests.fetch_add(1, Relaxed);
        if self.harm.is_new(user) {
            self.harm.failed_users.fetch_add(1, Relaxed);
        } else {
            self.harm.users.give_back();
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}
