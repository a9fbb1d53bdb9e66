//! Does the candidate fail more than stable does at the same time?
//!
//! Two tests, and both must have proof: the comparison with concurrent stable, and that the
//! candidate fails more than its objective allows. The first alone would condemn two failures
//! against none; the second alone would blame the candidate for an outage that both share.
//! Requiring both costs no false alarms.
//!
//! The comparison counts the first failure of each user only, because a user whose requests
//! fail alike would be counted as many proofs. The objective is held against every request.

use super::bets::Bets;
use super::compare::{Batch, expected_factors, factors};
use super::rate::RateTest;
use crate::measure::Part;
use crate::stored::{Reader, StoredError, Writer};
use std::time::Duration;

/// Multiples of the margin.
const TIMES: [f64; 10] = [1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 200.0];
/// How the stakes are divided among them. Most on what a bad release usually does, a multiple
/// between three and twelve: the extremes announce themselves, and slight ones take long anyway.
const SHARES: [f64; 10] = [0.02, 0.02, 0.06, 0.14, 0.25, 0.25, 0.1, 0.05, 0.05, 0.06];

#[derive(Debug, Clone, PartialEq)]
pub(super) struct ErrorsTest {
    margin: f64,
    ratios: [f64; 10],
    bets: Bets<10>,
    floor: RateTest,
    stable_floor: RateTest,
    pub(super) seen: Batch,
}

impl ErrorsTest {
    /// `margin` is the odds ratio that is still acceptable, `allowed` the share of failures that the
    /// objective allows.
    pub(super) fn new(margin: f64, allowed: f64) -> Self {
        let margin = margin.max(1.0);
        Self {
            margin,
            ratios: TIMES.map(|times| margin * times),
            bets: Bets::divided(SHARES),
            floor: RateTest::new(allowed),
            stable_floor: RateTest::new(allowed),
            seen: Batch::default(),
        }
    }

    /// First failures of users, in one finished batch.
    pub(super) fn compare(&mut self, batch: Batch) {
        self.seen = self.seen.plus(batch);
        if batch.candidate.bad + batch.stable.bad > 0 {
            self.bets.play(factors(batch, self.margin, &self.ratios));
        }
    }

    /// Every failure.
    pub(super) fn hold_to_objective(&mut self, more: Batch) {
        self.floor.observe(more.candidate);
        self.stable_floor.observe(more.stable);
    }

    /// Evidence for "worse than stable".
    pub(super) fn comparison(&self) -> f64 {
        self.bets.value()
    }

    /// Evidence for "above what the objective allows".
    pub(super) fn floor(&self) -> f64 {
        self.floor.value()
    }

    pub(super) fn stable_floor(&self) -> f64 {
        self.stable_floor.value()
    }

    /// The evidence of both together.
    pub(super) fn value(&self) -> f64 {
        self.comparison().min(self.floor())
    }

    /// The evidence after so many failures in a row, while stable answers `concurrent` requests
    /// and fails this share of them. `pending` is what has come and is not compared yet; the
    /// objective has been held against it already.
    pub(super) fn value_after(
        &self,
        failures: f64,
        concurrent: f64,
        stable_share: f64,
        pending: Batch,
    ) -> f64 {
        let (bad, of) = (pending.candidate.bad as f64, pending.candidate.of as f64);
        let (stable_bad, stable_of) = (pending.stable.bad as f64, pending.stable.of as f64);
        let candidate = (bad + failures, of + failures);
        let stable = (stable_bad + concurrent * stable_share, stable_of + concurrent);
        let factors = expected_factors(candidate, stable, self.margin, &self.ratios);
        self.bets.value_after(factors).min(self.floor.value_after(failures))
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        self.bets.encode(out);
        self.floor.encode(out);
        self.stable_floor.encode(out);
        encode_batch(self.seen, out);
    }

    pub(super) fn decode(
        margin: f64,
        allowed: f64,
        from: &mut Reader<'_>,
    ) -> Result<Self, StoredError> {
        let mut test = Self::new(margin, allowed);
        test.bets.decode(from)?;
        test.floor = RateTest::decode(allowed, from)?;
        test.stable_floor = RateTest::decode(allowed, from)?;
        test.seen = decode_batch(from)?;
        Ok(test)
    }

    /// Whether this test asks the same question as one made with these.
    pub(super) fn asks(&self, margin: f64, allowed: f64) -> bool {
        let other = Self::new(margin, allowed);
        self.margin == other.margin && self.floor.limit() == other.floor.limit()
    }
}

/// Collects ticks until both versions have something to compare. When a batch is finished depends on
/// how many requests there were and on time, never on what came of them: otherwise the test
/// could be fooled by when it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Batching {
    pending: Pending,
    begun: Option<u64>,
}

/// The same requests three times: with first failures, with all, and with those first ones that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pending {
    pub(super) first: Batch,
    pub(super) all: Batch,
    pub(super) counted: Batch,
}

impl From<Batch> for Pending {
    fn from(of: Batch) -> Self {
        Self { first: of, all: of, counted: of }
    }
}

/// With so many on each side a batch is finished at once: few, so that a version that fails at
/// everything is found within ten failures; not one, because what fails together says more.
const ENOUGH: u64 = 4;
const SOON: Duration = Duration::from_secs(1);
/// After this the two sides are no longer concurrent.
const LATEST: Duration = Duration::from_secs(60);

impl Batching {
    pub(super) fn add(&mut self, more: impl Into<Pending>, at: u64) -> Option<Pending> {
        let more = more.into();
        self.pending.first = self.pending.first.plus(more.first);
        self.pending.all = self.pending.all.plus(more.all);
        self.pending.counted = self.pending.counted.plus(more.counted);
        let begun = *self.begun.get_or_insert(at);
        let age = Duration::from_millis(at.saturating_sub(begun));
        let fewer = self.pending.all.candidate.of.min(self.pending.all.stable.of);
        let finished = fewer >= ENOUGH || (fewer >= 1 && age >= SOON) || age >= LATEST;
        finished.then(|| self.finish(at))
    }

    /// At once, whatever there is: the weight changes.
    pub(super) fn finish(&mut self, at: u64) -> Pending {
        self.begun = Some(at);
        std::mem::take(&mut self.pending)
    }

    pub(super) fn pending(&self) -> Pending {
        self.pending
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        encode_batch(self.pending.first, out);
        encode_batch(self.pending.all, out);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, StoredError> {
        let (first, all) = (decode_batch(from)?, decode_batch(from)?);
        // Which of them count is not stored: as if there had been none.
        let pending = Pending { first, all, counted: Batch::default() };
        Ok(Self { pending, begun: None })
    }
}

pub(super) fn encode_part(part: Part, out: &mut Writer) {
    out.u64(part.bad);
    out.u64(part.of);
}

pub(super) fn decode_part(from: &mut Reader<'_>) -> Result<Part, StoredError> {
    let part = Part { bad: from.u64()?, of: from.u64()? };
    if part.bad > part.of || part.of > 1 << 56 {
        return Err(StoredError::Nonsense("more bad than all"));
    }
    Ok(part)
}

pub(super) fn encode_batch(batch: Batch, out: &mut Writer) {
    encode_part(batch.candidate, out);
    encode_part(batch.stable, out);
}

pub(super) fn decode_batch(from: &mut Reader<'_>) -> Result<Batch, StoredError> {
    Ok(Batch { candidate: decode_part(from)?, stable: decode_part(from)? })
}
