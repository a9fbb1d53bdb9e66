//! Is a rate above a fixed limit? The one-sample test behind every absolute threshold.
//!
//! One error in twenty requests is over 1%, and proves nothing; five in twenty do.

use super::bets::Bets;
use crate::measure::Part;
use crate::stored::{Reader, StoredError, Writer};

/// Multiples of the limit's odds.
const ODDS: [f64; 10] = [1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 200.0];

#[derive(Debug, Clone, PartialEq)]
pub(super) struct RateTest {
    limit: f64,
    /// By how much one bad and one good outcome move each stake.
    bad: [f64; 10],
    good: [f64; 10],
    bets: Bets<10>,
}

impl RateTest {
    pub(super) fn new(limit: f64) -> Self {
        // A limit of nothing would make the first error infinite proof.
        let limit = limit.clamp(1e-9, 1.0 - 1e-9);
        let alternatives = ODDS.map(|times| {
            let odds = times * limit / (1.0 - limit);
            odds / (1.0 + odds)
        });
        Self {
            limit,
            bad: alternatives.map(|q| (q / limit).ln()),
            good: alternatives.map(|q| (-q).ln_1p() - (-limit).ln_1p()),
            bets: Bets::in_instalments(),
        }
    }

    pub(super) fn limit(&self) -> f64 {
        self.limit
    }

    fn factors(&self, bad: f64, good: f64) -> [f64; 10] {
        std::array::from_fn(|i| bad * self.bad[i] + good * self.good[i])
    }

    pub(super) fn observe(&mut self, part: Part) {
        if part.of > 0 {
            let good = part.of.saturating_sub(part.bad);
            self.bets.play(self.factors(part.bad as f64, good as f64));
        }
    }

    pub(super) fn value(&self) -> f64 {
        self.bets.value()
    }

    /// What the evidence would be after `failures` in a row.
    pub(super) fn value_after(&self, failures: f64) -> f64 {
        self.bets.value_after(self.factors(failures, 0.0))
    }

    /// Whether these would make the evidence greater, and more than none.
    pub(super) fn gains_by(&self, part: Part) -> bool {
        let good = part.of.saturating_sub(part.bad);
        let after = self.bets.value_after(self.factors(part.bad as f64, good as f64));
        after > self.value().max(1.0)
    }

    /// About how many requests at this share would be proof.
    pub(super) fn samples_needed(&self, share: f64, needed: f64) -> u64 {
        if share <= self.limit {
            return 0;
        }
        let p = share.min(1.0 - 1e-12);
        let gain = p * (p / self.limit).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - self.limit)).ln();
        ((needed * 2.0 * ODDS.len() as f64).ln() / gain).ceil() as u64
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        self.bets.encode(out);
    }

    pub(super) fn decode(limit: f64, from: &mut Reader<'_>) -> Result<Self, StoredError> {
        let mut test = Self::new(limit);
        test.bets.decode(from)?;
        Ok(test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_in_twenty_is_no_verdict_and_five_are() {
        let after = |bad| {
            let mut test = RateTest::new(0.01);
            test.observe(Part { bad, of: 20 });
            test.value()
        };
        assert!(after(1) < 1_000.0, "{}", after(1));
        assert!(after(5) >= 1_000.0, "{}", after(5));
    }

    #[test]
    fn a_billion_good_requests_leave_the_test_alert() {
        let mut test = RateTest::new(0.01);
        for _ in 0..1_000 {
            test.observe(Part { bad: 1_000, of: 1_000_000 });
        }
        test.observe(Part { bad: 30, of: 100 });
        assert!(test.value() >= 1_000.0, "{}", test.value());
    }
}
