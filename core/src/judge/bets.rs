//! Money on a fixed set of alternatives, and how it grows: the one engine behind every test.
//!
//! Each alternative holds a stake; what is observed multiplies it by a factor whose expectation is
//! at most 1 as long as nothing is wrong. The sum can then reach 1/α only with probability α,
//! however often and whenever one looks. Part of the money is bet at the start and the rest in
//! ever smaller instalments, because a stake that lost a million times over a healthy hour
//! would need as long to win again. Stakes are kept as logarithms: a billion requests neither
//! underflow nor overflow them.

use super::outlook::Stakes;
use crate::stored::{Reader, StoredError, Writer};

/// ln 10^12. A stake grows no further, so that what is over is forgotten sooner; giving money
/// away cannot make a test less honest.
const CEILING: f64 = 27.631_021_115_928_547;
/// Of an alternative's money, before anything is seen.
const AT_ONCE: f64 = 0.5;
/// The n-th instalment is this share of what is left, divided by n + [`EARLY`]: much for the
/// first hours, and never nothing.
const THRIFT: f64 = 0.6;
const EARLY: f64 = 200.0;
/// An alternative is paid an instalment when it has lost so much (a factor of e^3) since its last.
/// By what was lost, not by the clock: at a thousand requests a second a bold stake is worthless
/// within a second, at one a minute a cautious one is as good as new after an hour.
const PATIENCE: f64 = 3.0;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bets<const K: usize>([Stake; K]);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Stake {
    ln: f64,
    /// Not bet yet.
    purse: f64,
    /// Won or lost since the last instalment, as a logarithm.
    since: f32,
    instalments: u32,
}

impl<const K: usize> Bets<K> {
    /// Much at once, the rest in instalments: finds what begins late.
    pub(super) fn in_instalments() -> Self {
        Self::divided([1.0 / K as f64; K])
    }

    /// The same with more on the alternatives that are likelier; the shares sum to 1.
    pub(super) fn divided(shares: [f64; K]) -> Self {
        Self(shares.map(|share| Stake::new(share, AT_ONCE)))
    }

    /// Everything at once: for a question that is asked about the whole course.
    pub(super) fn at_once() -> Self {
        Self([Stake::new(1.0 / K as f64, 1.0); K])
    }

    /// `factors` are logarithms, one for each alternative.
    pub(super) fn play(&mut self, factors: [f64; K]) {
        for (stake, factor) in self.0.iter_mut().zip(factors) {
            stake.ln = (stake.ln + factor).min(CEILING);
            stake.since += (factor as f32).clamp(-1e30, 1e30);
            if f64::from(stake.since) <= -PATIENCE {
                stake.pay();
            }
        }
    }

    /// The evidence so far; 1 says nothing.
    pub(super) fn value(&self) -> f64 {
        self.0.iter().map(|stake| stake.purse + stake.ln.exp()).sum()
    }

    /// What the evidence would be after these factors.
    pub(super) fn value_after(&self, factors: [f64; K]) -> f64 {
        let after =
            |(stake, factor): (&Stake, f64)| stake.purse + (stake.ln + factor).min(CEILING).exp();
        self.0.iter().zip(factors).map(after).sum()
    }

    /// What is bet, and what it gains with each request at a mean of these factors.
    pub(super) fn stakes(&self, share: f64, growth: [f64; K], to: &mut Stakes) {
        for (stake, growth) in self.0.iter().zip(growth) {
            to.add(stake.ln + share.ln(), growth);
        }
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        for stake in &self.0 {
            out.f64(stake.ln);
            out.f64(stake.purse);
            out.f64(f64::from(stake.since));
            out.u64(u64::from(stake.instalments));
        }
    }

    /// Takes over what was won and lost.
    pub(super) fn decode(&mut self, from: &mut Reader<'_>) -> Result<(), StoredError> {
        for stake in &mut self.0 {
            stake.ln = from.f64()?.min(CEILING);
            stake.purse = from.f64()?.clamp(0.0, 1.0);
            stake.since = from.f64()?.clamp(-1e30, 1e30) as f32;
            stake.instalments = u32::try_from(from.u64()?).unwrap_or(u32::MAX);
        }
        Ok(())
    }
}

impl Stake {
    fn new(money: f64, at_once: f64) -> Self {
        let purse = money * (1.0 - at_once);
        Self { ln: (money * at_once).ln(), purse, since: 0.0, instalments: 0 }
    }

    fn pay(&mut self) {
        self.since = 0.0;
        self.instalments = self.instalments.saturating_add(1);
        let amount = self.purse * THRIFT / (f64::from(self.instalments) + EARLY);
        if amount > 0.0 {
            self.purse -= amount;
            self.ln = ln_add(self.ln, amount.ln());
        }
    }
}

/// ln(e^a + e^b), also where e^a is nothing.
fn ln_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stake_lost_over_a_billion_requests_is_replaced_by_instalments() {
        let mut bets = Bets::<2>::in_instalments();
        (0..1_000).for_each(|_| bets.play([-1.0e6, -1.0e6]));
        assert!(bets.value() > 0.0 && bets.value() < 1.0);
        bets.play([30.0, 30.0]);
        assert!(bets.value() > 1e6, "an instalment wins at once: {}", bets.value());
    }

    /// Everything that was ever paid, and what is left, is the whole.
    #[test]
    fn instalments_never_exceed_the_purse() {
        let mut bets = Bets::<3>::in_instalments();
        let mut paid = AT_ONCE;
        let purse = |bets: &Bets<3>| bets.0.iter().map(|stake| stake.purse).sum::<f64>();
        for _ in 0..100_000 {
            // Lost for good, so that what is there afterwards is the instalment.
            bets.play([-1e9; 3]);
            paid += bets.value() - purse(&bets);
            assert!(paid + purse(&bets) <= 1.0 + 1e-6);
        }
        assert!(purse(&bets) > 0.0 && paid > 0.9, "{paid} and {}", purse(&bets));
    }

    #[test]
    fn gains_are_bounded_and_finite() {
        let mut bets = Bets::<2>::in_instalments();
        (0..1_000).for_each(|_| bets.play([1e9, 1e300]));
        assert!(bets.value().is_finite());
        bets.play([-1e300, -1e300]);
        assert!(bets.value().is_finite() && bets.value() > 0.0);
    }
}
