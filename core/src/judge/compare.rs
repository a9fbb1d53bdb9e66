//! The factor by which candidate against stable multiplies a stake.
//!
//! Of the bad outcomes in a batch, how many fell on the candidate? That number, given how many
//! there were and how many requests each version had, says nothing about how bad the times are
//! and everything about the difference between the two. It needs no known weights, and an outage
//! that both share cancels out.
//!
//! Given the totals it is a sum of independent trials with a known mean (the generating function
//! has only real roots), so the power of a binomial with the same mean, in as few trials as
//! possible, bounds it from above. Where failures are frequent and few, the exact value is worth
//! its sum.

use crate::measure::Part;

/// What both versions did in the same stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Batch {
    pub(super) candidate: Part,
    pub(super) stable: Part,
}

impl Batch {
    fn bad(self) -> u64 {
        self.candidate.bad + self.stable.bad
    }

    /// The two versions in each other's place.
    #[must_use]
    pub(super) fn swapped(self) -> Self {
        Self { candidate: self.stable, stable: self.candidate }
    }

    #[must_use]
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            candidate: self.candidate.since(earlier.candidate),
            stable: self.stable.since(earlier.stable),
        }
    }

    #[must_use]
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            candidate: self.candidate.plus(other.candidate),
            stable: self.stable.plus(other.stable),
        }
    }
}

/// A sum of more terms than this is not worth its exactness.
const EXACT_AT_MOST: u64 = 64;

/// The logarithms of L = (ρ/margin)^k ÷ E[(ρ/margin)^k] for every alternative ρ. Where ρ is above
/// the margin the margin is an odds ratio, where it is below, a ratio of risks.
pub(super) fn factors<const K: usize>(batch: Batch, margin: f64, ratios: &[f64; K]) -> [f64; K] {
    let above = ratios[0] > margin;
    let (candidate, all) = (batch.candidate.of, batch.candidate.of + batch.stable.of);
    let bad = batch.bad();
    if above && margin > 1.0 && bad > 1 && bad * 20 > all && candidate.min(bad) <= EXACT_AT_MOST {
        return exact_factors(batch, margin, ratios);
    }
    let odds = |part: Part| (part.bad as f64, part.of as f64);
    expected_factors(odds(batch.candidate), odds(batch.stable), margin, ratios)
}

/// The same for expected numbers, which need not be whole: each pair is bad and of.
pub(super) fn expected_factors<const K: usize>(
    (bad_c, of_c): (f64, f64),
    (bad_b, of_b): (f64, f64),
    margin: f64,
    ratios: &[f64; K],
) -> [f64; K] {
    let bad = bad_c + bad_b;
    if bad == 0.0 || of_c + of_b == 0.0 {
        return [0.0; K];
    }
    ratios.map(|ratio| {
        let growth = of_c * (ratio - margin) / (of_c * margin + of_b);
        bad_c * (ratio / margin).ln() - bad * growth.ln_1p()
    })
}

/// An alternative with its logarithm, which is needed all the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ratio {
    ratio: f64,
    ln: f64,
}

impl Ratio {
    pub(super) fn new(ratio: f64) -> Self {
        Self { ratio, ln: ratio.ln() }
    }
}

/// For margin 1, where the distribution is the plain hypergeometric: exceedances of a median are
/// half of everything, and counting the candidate's requests as the trials is then much sharper.
pub(super) fn even_factors<const K: usize>(batch: Batch, ratios: &[Ratio; K]) -> [f64; K] {
    let (bad, k) = (batch.bad() as f64, batch.candidate.bad as f64);
    let (of_c, of_b) = (batch.candidate.of as f64, batch.stable.of as f64);
    let all = of_c + of_b;
    if bad == 0.0 || of_c == 0.0 || of_b == 0.0 {
        return [0.0; K];
    }
    let fewest = bad.min(of_c).min(of_b).min(all - bad);
    ratios.map(|Ratio { ratio, ln }| {
        let power = if fewest == bad || fewest == of_c {
            fewest * (of_c * bad / all / fewest * (ratio - 1.0)).ln_1p()
        } else if fewest == of_b {
            bad * ln + fewest * (bad / all * (1.0 / ratio - 1.0)).ln_1p()
        } else if fewest == 0.0 {
            of_c * ln
        } else {
            of_c * ln + fewest * (of_c / all * (1.0 / ratio - 1.0)).ln_1p()
        };
        k * ln - power
    })
}

/// Fisher's noncentral hypergeometric distribution, summed.
fn exact_factors<const K: usize>(batch: Batch, margin: f64, ratios: &[f64; K]) -> [f64; K] {
    let (of_c, of_b, bad) = (batch.candidate.of, batch.stable.of, batch.bad());
    let (least, most) = (bad.saturating_sub(of_b), bad.min(of_c));
    // Logarithms of the ways to have j of the bad ones on the candidate, the fewest being 1 way.
    let mut ways = [0.0; EXACT_AT_MOST as usize + 1];
    let span = (most - least) as usize;
    for step in 0..span {
        let j = least + step as u64;
        let more = (of_c - j) as f64 * (bad - j) as f64;
        let fewer = (j + 1) as f64 * (of_b + j + 1 - bad) as f64;
        ways[step + 1] = ways[step] + (more / fewer).ln();
    }
    let ln_sum = |ratio: f64| {
        let term = |(step, ways): (usize, &f64)| ways + step as f64 * ratio.ln();
        let terms = ways[..=span].iter().enumerate().map(term);
        let high = terms.clone().fold(f64::NEG_INFINITY, f64::max);
        high + terms.map(|ln| (ln - high).exp()).sum::<f64>().ln()
    };
    let under_margin = ln_sum(margin);
    let k = (batch.candidate.bad - least) as f64;
    ratios.map(|ratio| k * (ratio / margin).ln() - (ln_sum(ratio) - under_margin))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATIOS: [f64; 4] = [2.0, 5.0, 20.0, 200.0];

    fn batch(bad_c: u64, of_c: u64, bad_b: u64, of_b: u64) -> Batch {
        Batch { candidate: Part { bad: bad_c, of: of_c }, stable: Part { bad: bad_b, of: of_b } }
    }

    /// C(n, k)
    fn choose(n: u64, k: u64) -> f64 {
        (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
    }

    /// The mean of e^factor over every way that `bad` failures can fall, when the odds ratio is
    /// exactly the margin. Honest when at most 1.
    fn mean(
        of_c: u64,
        of_b: u64,
        bad: u64,
        margin: f64,
        factors: impl Fn(Batch) -> [f64; 4],
    ) -> [f64; 4] {
        let possible = bad.saturating_sub(of_b)..=bad.min(of_c);
        let weight = |k: u64| choose(of_c, k) * choose(of_b, bad - k) * margin.powi(k as i32);
        let whole: f64 = possible.clone().map(weight).sum();
        let mut mean = [0.0; 4];
        for k in possible {
            let found = factors(batch(k, of_c, bad - k, of_b));
            mean.iter_mut().zip(found).for_each(|(m, f)| *m += weight(k) / whole * f.exp());
        }
        mean
    }

    #[test]
    fn at_the_margin_no_stake_grows_on_average() {
        for (of_c, of_b) in [(1, 1), (3, 9), (10, 10), (20, 5), (1, 40), (40, 1), (12, 90)] {
            for bad in 1..of_c + of_b {
                let means = [
                    mean(of_c, of_b, bad, 1.5, |b| factors(b, 1.5, &RATIOS)),
                    mean(of_c, of_b, bad, 1.0, |b| even_factors(b, &RATIOS.map(Ratio::new))),
                ];
                for mean in means.as_flattened() {
                    assert!(*mean <= 1.0 + 1e-9, "{mean} for {bad} of {of_c} and {of_b}");
                }
            }
        }
    }

    #[test]
    fn the_exact_value_is_sharper_than_its_bound() {
        let all_failing = batch(10, 10, 0, 10);
        let exact = factors(all_failing, 1.5, &RATIOS)[3];
        let bound = expected_factors((10.0, 10.0), (0.0, 10.0), 1.5, &RATIOS)[3];
        assert!(exact > bound + 3.0, "{exact} against {bound}");
    }

    /// The reverse direction promises a ratio of risks, over all that can happen.
    #[test]
    fn below_the_margin_no_stake_grows_when_the_risk_is_the_margins() {
        const BETTER: [f64; 4] = [1.2, 1.0, 0.8, 0.5];
        let binomial = |n: u64, k: u64, p: f64| {
            choose(n, k) * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32)
        };
        for (of_c, of_b, risk) in [(5, 20, 0.02), (10, 10, 0.3), (30, 8, 0.1), (4, 40, 0.6)] {
            let mut mean = [0.0; 4];
            for (k, j) in (0..=of_c).flat_map(|k| (0..=of_b).map(move |j| (k, j))) {
                let p = binomial(of_c, k, 1.5 * risk) * binomial(of_b, j, risk);
                let found = factors(batch(k, of_c, j, of_b), 1.5, &BETTER);
                mean.iter_mut().zip(found).for_each(|(m, f)| *m += p * f.exp());
            }
            assert!(mean.iter().all(|m| *m <= 1.0 + 1e-9), "{mean:?}");
        }
    }

    #[test]
    fn a_batch_without_a_counterpart_says_nothing() {
        for lonely in [batch(9, 9, 0, 0), batch(0, 0, 9, 9), batch(0, 50, 0, 50)] {
            for factor in factors(lonely, 1.5, &RATIOS) {
                assert!(factor.abs() < 1e-9, "{lonely:?}: {factor}");
            }
            assert_eq!(even_factors(lonely, &RATIOS.map(Ratio::new)), [0.0; 4]);
        }
    }
}
