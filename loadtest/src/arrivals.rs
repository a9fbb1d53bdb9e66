//! When requests are due: a course of rates, turned into moments.
//!
//! The load is an open loop. A moment comes whether or not earlier requests were answered, and
//! a latency is counted from it, so that a proxy that stalls for a second shows in every
//! request that should have begun in that second. Pure: randomness is an argument.

use std::time::Duration;

/// A stretch of time in which the rate changes evenly. Rates are per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    pub from: f64,
    pub to: f64,
    pub lasting: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// As even as the rate allows.
    Even,
    /// Independent arrivals, as from many users who know nothing of each other.
    Poisson,
}

/// The moments, as offsets from the beginning, in order.
#[derive(Debug)]
pub struct Arrivals<R> {
    stretches: Vec<Stretch>,
    spacing: Spacing,
    random: R,
    /// Expected arrivals up to the next moment.
    due: f64,
}

impl<R: FnMut() -> f64> Arrivals<R> {
    /// `random` gives numbers in [0, 1).
    pub fn new(stretches: Vec<Stretch>, spacing: Spacing, random: R) -> Self {
        Self { stretches, spacing, random, due: 0.0 }
    }

    pub fn lasting(&self) -> Duration {
        self.stretches.iter().map(|s| s.lasting).sum()
    }
}

impl<R: FnMut() -> f64> Iterator for Arrivals<R> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.spacing == Spacing::Poisson {
            self.due += -(1.0 - (self.random)()).ln();
        }
        let moment = moment_of(&self.stretches, self.due);
        if self.spacing == Spacing::Even {
            self.due += 1.0;
        }
        moment
    }
}

/// When the expected number of arrivals reaches `due`; `None` when it never does.
fn moment_of(stretches: &[Stretch], due: f64) -> Option<Duration> {
    let mut left = due;
    let mut before = Duration::ZERO;
    for stretch in stretches {
        let lasting = stretch.lasting.as_secs_f64();
        let expected = (stretch.from + stretch.to) / 2.0 * lasting;
        if left < expected {
            return Some(before + Duration::from_secs_f64(inside(stretch, lasting, left)));
        }
        left -= expected;
        before += stretch.lasting;
    }
    None
}

/// Solves `from·t + (to − from)/(2·lasting)·t² = expected` for `t`, in the form that stays exact
/// when the rate does not change.
fn inside(stretch: &Stretch, lasting: f64, expected: f64) -> f64 {
    let slope = (stretch.to - stretch.from) / lasting;
    let root = (stretch.from * stretch.from + 2.0 * slope * expected).max(0.0).sqrt();
    let denominator = stretch.from + root;
    if denominator <= 0.0 { 0.0 } else { (2.0 * expected / denominator).min(lasting) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stretch(from: f64, to: f64, seconds: u64) -> Stretch {
        Stretch { from, to, lasting: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let moments: Vec<_> =
            Arrivals::new(vec![stretch(1000.0, 1000.0, 2)], Spacing::Even, || 0.5).collect();
        assert_eq!(moments.len(), 2000);
        assert_eq!(moments[0], Duration::ZERO);
        assert!(moments[1500].abs_diff(Duration::from_millis(1500)) < Duration::from_micros(2));
    }

    #[test]
    fn a_ramp_from_nothing_has_a_quarter_of_its_arrivals_in_its_first_half() {
        let moments: Vec<_> =
            Arrivals::new(vec![stretch(0.0, 1000.0, 4)], Spacing::Even, || 0.5).collect();
        assert_eq!(moments.len(), 2000);
        let first_half = moments.iter().filter(|m| **m < Duration::from_secs(2)).count();
        assert!((499..=501).contains(&first_half), "{first_half}");
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_poisson() {
        let mut dice = fastrand::Rng::with_seed(7);
        let stretches = vec![stretch(500.0, 500.0, 100)];
        let moments: Vec<_> = Arrivals::new(stretches, Spacing::Poisson, || dice.f64()).collect();
        let mut counts = vec![0f64; 100];
        moments.iter().for_each(|m| counts[m.as_secs() as usize] += 1.0);
        let mean = counts.iter().sum::<f64>() / 100.0;
        let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / 99.0;
        assert!((480.0..520.0).contains(&mean), "{mean}");
        assert!((0.6..1.6).contains(&(variance / mean)), "{variance} against {mean}");
    }

    proptest! {
        #[test]
        fn moments_never_go_back_and_never_pass_the_end(
            rates in prop::collection::vec((0.0..2000.0f64, 0.0..2000.0f64, 1u64..4), 1..5),
            seed in any::<u64>(),
            poisson in any::<bool>(),
        ) {
            let stretches: Vec<_> = rates.iter().map(|(f, t, s)| stretch(*f, *t, *s)).collect();
            let end: Duration = stretches.iter().map(|s| s.lasting).sum();
            let mut dice = fastrand::Rng::with_seed(seed);
            let spacing = if poisson { Spacing::Poisson } else { Spacing::Even };
            let mut last = Duration::ZERO;
            for moment in Arrivals::new(stretches, spacing, || dice.f64()) {
                prop_assert!(moment >= last);
                prop_assert!(moment <= end);
                last = moment;
            }
        }
    }
}
