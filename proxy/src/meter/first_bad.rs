//! The users who have met a failure in the epoch now judged.
//!
//! Requests of one user are alike, so only the first failure of each counts as evidence. The set
//! is touched by failures alone, begins anew with each epoch, and has a bound: users beyond it
//! count as seen, which makes the test less eager, never more.

use serin_core::ids::Epoch;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Half a megabyte of hashes; the verdict needs a few hundred.
const MOST: usize = 65_536;

#[derive(Debug, Default)]
pub struct FirstBad(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    epoch: Epoch,
    users: HashSet<u64>,
}

impl FirstBad {
    /// Whether this is the user's first failure in `epoch`. One that belongs to an epoch already
    /// past says nothing about the present one.
    pub fn insert(&self, epoch: Epoch, user: u64) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch < inner.epoch {
            return false;
        }
        if epoch > inner.epoch {
            *inner = Inner { epoch, users: HashSet::new() };
        }
        inner.users.len() < MOST && inner.users.insert(user)
    }
}
