//! Is the candidate good enough to go on with? The bet in the other direction.
//!
//! Not having found it worse is no proof that it is as good: that takes evidence of its own,
//! either that it fails less than the margin times as often as stable, or that it fails
//! less than its objective allows. The two are averaged, so each may carry the other. There are no
//! instalments: the question is about the whole course.

use super::bets::Bets;
use super::compare::{Batch, expected_factors, factors};
use super::outlook::Stakes;
use crate::measure::Part;
use crate::stored::{Reader, StoredError, Writer};

/// 1/α for α = 5%: how often a candidate exactly at the margin may be let through.
pub(super) const NEEDED: f64 = 20.0;
/// Of the margin: 1.2, 1, 0.8 and 0.5 for a margin of 1.5.
const BELOW: [f64; 4] = [0.8, 2.0 / 3.0, 8.0 / 15.0, 1.0 / 3.0];
/// Of what the objective allows.
const RARER: [f64; 4] = [0.7, 0.4, 0.1, 0.001];

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Promotion {
    margin: f64,
    allowed: f64,
    no_worse: Bets<4>,
    within_objective: Bets<4>,
}

impl Promotion {
    pub(super) fn new(margin: f64, allowed: f64) -> Self {
        Self {
            margin: margin.max(1.0),
            allowed: allowed.clamp(1e-9, 1.0 - 1e-9),
            no_worse: Bets::at_once(),
            within_objective: Bets::at_once(),
        }
    }

    pub(super) fn observe(&mut self, batch: Batch) {
        if batch.candidate.bad + batch.stable.bad > 0 {
            let ratios = BELOW.map(|share| share * self.margin);
            self.no_worse.play(factors(batch, self.margin, &ratios));
        }
        let (bad, of) = (batch.candidate.bad as f64, batch.candidate.of as f64);
        if of > 0.0 {
            self.within_objective.play(self.rarer(bad, of));
        }
    }

    /// Without a failure of either version the comparison says nothing, and the objective decides.
    pub(super) fn after_no_failure(&self, requests: u64) -> f64 {
        let within = self.within_objective.value_after(self.rarer(0.0, requests as f64));
        (self.no_worse.value() + within) / 2.0
    }

    fn rarer(&self, bad: f64, of: f64) -> [f64; 4] {
        let allowed = self.allowed;
        RARER.map(|share| {
            let good = (-share * allowed).ln_1p() - (-allowed).ln_1p();
            bad * share.ln() + (of - bad) * good
        })
    }

    /// What is bet, and what a request of the candidate adds while both versions go on as they were `seen`.
    pub(super) fn stakes(&self, seen: Batch) -> Stakes {
        let (candidate, stable) = (seen.candidate, seen.stable);
        let of = candidate.of.max(1) as f64;
        let each = |part: Part| (part.bad as f64 / of, part.of as f64 / of);
        let ratios = BELOW.map(|share| share * self.margin);
        let no_worse = expected_factors(each(candidate), each(stable), self.margin, &ratios);
        let mut stakes = Stakes::default();
        self.no_worse.stakes(0.5, no_worse, &mut stakes);
        self.within_objective.stakes(0.5, self.rarer(each(candidate).0, 1.0), &mut stakes);
        stakes
    }

    pub(super) fn value(&self) -> f64 {
        (self.no_worse.value() + self.within_objective.value()) / 2.0
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        self.no_worse.encode(out);
        self.within_objective.encode(out);
    }

    pub(super) fn decode(
        margin: f64,
        allowed: f64,
        from: &mut Reader<'_>,
    ) -> Result<Self, StoredError> {
        let mut bet = Self::new(margin, allowed);
        bet.no_worse.decode(from)?;
        bet.within_objective.decode(from)?;
        Ok(bet)
    }
}
