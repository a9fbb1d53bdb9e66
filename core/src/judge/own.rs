//! Is what the candidate does its own doing? Proof that it is half again as bad as stable at the same time.
//!
//! Two shares read off a window differ by chance: six failures of a hundred and ninety are three in a hundred
//! where one and a half are usual. So the relation is a bet like the others, on what a guard counts; little proof
//! is enough, since the guard has its own.

use super::bets::Bets;
use super::compare::{Batch, factors};
use super::errors::Batching;

/// So many times stable's share at the same time is the candidate's own doing.
pub(super) const OWN: f64 = 1.5;
const NEEDED: f64 = 20.0;
const RATIOS: [f64; 6] = [2.0, 3.0, 5.0, 10.0, 30.0, 200.0];
/// Where stable has fewer requests for each of the candidate's, they tell nothing of it in time.
pub(super) const STABLES: f64 = 0.05;

#[derive(Debug, Clone)]
pub(super) struct Own {
    bets: Bets<6>,
    batching: Batching,
}

impl Own {
    pub(super) fn new() -> Self {
        Self { bets: Bets::in_instalments(), batching: Batching::default() }
    }

    pub(super) fn observe(&mut self, more: Batch, at: u64) {
        if let Some(finished) = self.batching.add(more, at) {
            self.play(finished.all);
        }
    }

    fn play(&mut self, batch: Batch) {
        if batch.candidate.bad + batch.stable.bad > 0 {
            self.bets.play(factors(batch, OWN, &RATIOS));
        }
    }

    /// `None` where stable has too few requests to tell.
    pub(super) fn is_proven(&self, seen: Batch) -> Option<bool> {
        let tells = seen.stable.of as f64 >= STABLES * seen.candidate.of as f64;
        let pending = self.batching.pending().all;
        let value = match pending.candidate.bad {
            0 => self.bets.value(),
            _ => self.bets.value_after(factors(pending, OWN, &RATIOS)),
        };
        tells.then_some(value >= NEEDED)
    }
}
