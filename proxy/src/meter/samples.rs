//! The latest failed requests of a version: enough to find them in the backend's log.

use serin_core::plane::BadSample;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

const KEPT: usize = 16;

/// A ring; what falls out was the oldest. Only failures take its lock.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<VecDeque<BadSample>>);

impl Samples {
    pub(super) fn push(&self, sample: BadSample) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT - 1);
        kept.push_front(sample);
    }

    pub(super) fn newest_first(&self) -> Vec<BadSample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
