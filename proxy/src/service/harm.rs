//! The cap on what a candidate may damage, enforced where requests are admitted.
//!
//! Every request in flight on the candidate may fail, so each takes its place in the budget when
//! it is admitted and gives it back when it did no harm. What is left can therefore never go
//! below zero, however the threads interleave, and the cap holds even when everything in flight
//! fails at once. A request that cannot be admitted goes to stable.

use serin_core::ids::Epoch;
use serin_core::split::HarmLeft;
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
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
}

const MOST_USERS: usize = 65_536;

/// More than can ever be counted down.
const UNLIMITED: i64 = i64::MAX / 2;

#[derive(Debug)]
struct Budget {
    left: AtomicI64,
    /// Taken by requests in flight.
    reserved: AtomicI64,
}

impl Harm {
    pub(super) fn new(epoch: Epoch, left: HarmLeft) -> Self {
        Self {
            epoch,
            requests: Budget::new(left.failed_requests),
            users: Budget::new(left.users),
            failed_requests: AtomicU64::new(0),
            failed_users: AtomicU64::new(0),
            known: Mutex::default(),
        }
    }

    /// A later split of the same epoch may only take away.
    pub(super) fn lower(&self, left: HarmLeft) {
        self.requests.lower(left.failed_requests);
        self.users.lower(left.users);
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
    fn new(left: Option<u64>) -> Self {
        Self { left: AtomicI64::new(capped(left)), reserved: AtomicI64::new(0) }
    }

    fn take(&self) -> bool {
        let one_less = |left: i64| (left > 0).then(|| left - 1);
        let taken = self.left.fetch_update(Relaxed, Relaxed, one_less).is_ok();
        if taken {
            self.reserved.fetch_add(1, Relaxed);
        }
        taken
    }

    fn give_back(&self) {
        self.reserved.fetch_sub(1, Relaxed);
        self.left.fetch_add(1, Relaxed);
    }

    fn spend(&self) {
        self.reserved.fetch_sub(1, Relaxed);
    }

    /// What is in flight counts as left, because it has not failed yet.
    fn lower(&self, left: Option<u64>) {
        let mine = self.left.load(Relaxed) + self.reserved.load(Relaxed);
        self.left.fetch_sub((mine - capped(left)).max(0), Relaxed);
    }
}

fn capped(left: Option<u64>) -> i64 {
    left.and_then(|left| i64::try_from(left).ok()).map_or(UNLIMITED, |left| left.min(UNLIMITED))
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

    /// The request failed.
    pub fn spend(&mut self, user: Option<u64>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.harm.failed_requests.fetch_add(1, Relaxed);
        self.harm.requests.spend();
        if self.harm.is_new(user) {
            self.harm.failed_users.fetch_add(1, Relaxed);
            self.harm.users.spend();
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
