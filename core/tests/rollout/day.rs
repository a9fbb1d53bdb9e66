//! A service whose counts are drawn second by second, and the pilot that decides on it.

use super::world::*;
use serin_core::measure::{ServiceCounts, VersionCounts};
use serin_core::plane::Readiness;
use serin_core::rollout::*;
use serin_core::simulate::Dice;
use serin_core::slo::Objectives;
use serin_core::time::{Mono, Now};
use std::sync::Arc;

const STABLE: usize = 0;
const CANDIDATE: usize = 1;
pub(crate) const HOUR: u64 = 3_600;

/// Everything that the pilot is asked about.
pub(crate) struct Day {
    pub(crate) pilot: Pilot,
    pub(crate) counts: ServiceCounts,
    pub(crate) now: Now,
}

impl Day {
    pub(crate) fn new(plan: Plan, objectives: Objectives) -> Self {
        let mut terms = terms(plan);
        terms.objectives = objectives;
        let pilot = Pilot::new(Arc::new(terms), Position::at_rest(stable()), Mono(0));
        let versions = [stable(), candidate()].map(|of| VersionCounts::new(of.version));
        let counts = ServiceCounts { versions: versions.to_vec(), ..ServiceCounts::default() };
        let now = Now { mono: Mono(1_000), wall: wall("2026-11-24T14:30") };
        Self { pilot, counts, now }
    }

    pub(crate) fn start(&mut self) {
        let decision = self.pilot.command(&start(), &Conditions::default(), self.now).unwrap();
        self.pilot.commit(decision.next);
    }

    pub(crate) fn weight(&self) -> f64 {
        self.pilot.position().active().map_or(0.0, |rollout| rollout.weight.ratio())
    }

    /// A second of traffic, and a look at it.
    pub(crate) fn second(&mut self, rate: f64, failing: [f64; 2], dice: &mut Dice) -> Verdict {
        let requests = poisson(rate, dice);
        let share = binomial(requests, self.weight(), dice);
        for (which, of) in [(STABLE, requests - share), (CANDIDATE, share)] {
            let bad = binomial(of, failing[which], dice);
            let tally = &mut self.counts.versions[which].judged;
            tally.good += of - bad;
            tally.bad += bad;
            tally.first_bad += bad;
            if which == CANDIDATE {
                self.counts.failed_requests += bad;
            }
        }
        self.now = self.now.plus(SECOND);
        let ready = |of: Identity| Readiness::new(of.version, 2, 2);
        let observed = Observed {
            counts: Some(&self.counts),
            latencies: None,
            readiness: &[ready(stable()), ready(candidate())],
            own_lag: None,
        };
        let decision = self.pilot.tick(observed, &Conditions::default(), self.now);
        self.pilot.commit(decision.next);
        decision.verdict
    }
}

pub(crate) fn poisson(mean: f64, dice: &mut Dice) -> u64 {
    if mean >= 30.0 {
        return (mean + mean.sqrt() * dice.normal()).round().max(0.0) as u64;
    }
    let (mut at, mut found) = (dice.wait(mean), 0);
    while at < 1.0 {
        (at, found) = (at + dice.wait(mean), found + 1);
    }
    found
}

/// By the gaps between successes.
pub(crate) fn binomial(n: u64, p: f64, dice: &mut Dice) -> u64 {
    if p <= 0.0 || n == 0 {
        return 0;
    }
    if p > 0.5 {
        return n - binomial(n, 1.0 - p, dice);
    }
    let (ln_q, mut at, mut found) = ((-p).ln_1p(), 0.0, 0);
    loop {
        at += (dice.unit().ln() / ln_q).floor() + 1.0;
        if at > n as f64 {
            return found;
        }
        found += 1;
    }
}

pub(crate) fn long() -> bool {
    std::env::var_os("SERIN_LONG").is_some()
}

pub(crate) fn seeds(runs: u64) -> impl Iterator<Item = u64> {
    let from = std::env::var("SERIN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1u64);
    (0..runs).map(move |n| Dice::new(from.wrapping_add(n)).draw())
}

/// Wilson's interval, 95%.
pub(crate) fn interval(count: u64, of: u64) -> (f64, f64) {
    let (n, p, z) = (of as f64, count as f64 / of as f64, 1.96);
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half) / (1.0 + z * z / n), (middle + half) / (1.0 + z * z / n))
}
