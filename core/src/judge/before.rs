//! Is the candidate worse than stable was, where hardly anything of stable runs beside it?
//!
//! At full weight nothing is compared, and beside a control group of a few percent it takes hundreds of
//! failures until the group shows that it has none. What stable did in the hour before is known at once. It is less
//! exact: an outage that both would share looks the same. So the limit is wide, and where stable still answers
//! and is beyond it as well, nothing is held against the candidate.

use super::own;
use super::rate::RateTest;
use super::twofold::Twofold;
use crate::measure::Part;
use crate::rollout::BeforeTest;
use crate::weights::BasisPoints;

/// Times stable's share.
const TIMES: f64 = 4.0;
/// Fewer failures that count are not looked at.
const LEAST_BAD: u64 = 6;
/// Of stable's last five minutes: what is proof that it is beyond the limit as well.
const AS_WELL: f64 = 20.0;
/// What stable did is looked up again after so long.
const HOUR_MS: u64 = 3_600_000;

#[derive(Debug, Clone)]
pub(super) struct Before {
    stable: Part,
    limit: f64,
    since: u64,
    test: Twofold<Test>,
}

#[derive(Debug, Clone)]
struct Test {
    rate: RateTest,
    seen: Part,
}

/// Whether stable's part of the traffic is too small to tell in time.
pub(super) fn is_hardly_beside(candidate: BasisPoints) -> bool {
    candidate.rest().ratio() < own::STABLES * candidate.ratio()
}

impl Before {
    /// `stable` is what it did before; `allowed` is no failure of anybody's. `None`: nothing is known.
    pub(super) fn new(stable: Part, allowed: f64, at: u64) -> Option<Self> {
        let bad = stable.bad as f64;
        // A few failures are a poor measure, and none of few requests is none: the upper end of what they may mean.
        let share = (stable.of > 0).then(|| (bad + 2.0 * bad.sqrt() + 3.0) / stable.of as f64)?;
        let limit = (TIMES * share).max(allowed);
        let test = Test { rate: RateTest::new(limit), seen: Part::default() };
        (limit < 1.0).then(|| Self { stable, limit, since: at, test: Twofold::new(test) })
    }

    pub(super) fn is_old(&self, at: u64) -> bool {
        at.saturating_sub(self.since) >= HOUR_MS
    }

    /// `lately` is what stable did in the last minutes.
    pub(super) fn observe(&mut self, counted: Part, all: Part, lately: Part) {
        let mut stables = RateTest::new(self.limit);
        if lately.share().is_some_and(|share| share > self.limit) {
            stables.observe(lately);
        }
        if stables.value() >= AS_WELL {
            let test = Test { rate: RateTest::new(self.limit), seen: Part::default() };
            self.test = Twofold::new(test);
        } else {
            self.test.observe(counted, all, Test::observe);
        }
    }

    /// Whether so many more failures in a row would be proof.
    pub(super) fn acts_after(&self, failures: u32, needed: f64) -> bool {
        let test = &self.test.counts;
        let enough = test.seen.bad + u64::from(failures) >= LEAST_BAD;
        enough && test.rate.value_after(f64::from(failures)) >= needed
    }

    pub(super) fn reading(&self, needed: f64) -> BeforeTest {
        let test = &self.test.counts;
        let worse = test.is_worse(needed);
        BeforeTest {
            value: test.rate.value(),
            needed,
            limit: self.limit,
            candidate: test.seen,
            stable: self.stable,
            worse,
            of_few_clients: !worse && self.test.all().is_some_and(|all| all.is_worse(needed)),
        }
    }
}

impl Test {
    fn observe(&mut self, part: Part) {
        self.seen = self.seen.plus(part);
        self.rate.observe(part);
    }

    fn is_worse(&self, needed: f64) -> bool {
        self.seen.bad >= LEAST_BAD && self.rate.value() >= needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROOF: f64 = 1_000.0;
    const GOOD: Part = Part { bad: 0, of: 100 };

    fn after(stable: Part) -> Before {
        Before::new(stable, 0.001, 0).unwrap()
    }

    /// Of how many failures a candidate that fails `share` of its requests is found.
    fn found_after(before: &mut Before, every: u64) -> u64 {
        for n in 1..=20_000 {
            let part = Part { bad: u64::from(n % every == 0), of: 1 };
            before.observe(part, part, Part::default());
            if before.reading(PROOF).worse {
                return n / every;
            }
        }
        u64::MAX
    }

    #[test]
    fn who_fails_everything_or_a_twentieth_is_found_by_few_failures() {
        let hour = Part { bad: 100, of: 100_000 };
        assert_eq!(found_after(&mut after(hour), 1), LEAST_BAD);
        assert!(found_after(&mut after(hour), 20) <= 12);
        let mut late = after(hour);
        for _ in 0..10_000 {
            late.observe(GOOD, GOOD, Part::default());
        }
        assert!(found_after(&mut late, 1) <= 9);
    }

    #[test]
    fn twice_as_bad_as_before_is_no_proof() {
        assert_eq!(found_after(&mut after(Part { bad: 100, of: 100_000 }), 500), u64::MAX);
    }

    #[test]
    fn little_is_known_of_a_stable_with_few_requests_and_nothing_of_none() {
        assert!(found_after(&mut after(Part { bad: 0, of: 30 }), 1) <= 15);
        assert!(Before::new(Part::default(), 0.001, 0).is_none());
    }

    #[test]
    fn what_stable_meets_as_well_is_held_against_nobody() {
        let mut before = after(Part { bad: 100, of: 100_000 });
        let storm = Part { bad: 100, of: 100 };
        before.observe(storm, storm, Part { bad: 10, of: 120 });
        let reading = before.reading(PROOF);
        assert!(!reading.worse && reading.candidate.of == 0, "{reading:?}");
        before.observe(storm, storm, Part { bad: 1, of: 120 });
        assert!(before.reading(PROOF).worse, "one failure of stable says nothing");
    }
}
