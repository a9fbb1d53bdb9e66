//! Is one configuration worse than another that serves at the same time?
//!
//! The rollout's comparison of errors, with the old configuration in stable's place. Which of the
//! two a request gets is drawn for that request alone, so every difference between them is the
//! configuration's doing, and requests, not users, are what is compared. Latency is not: a
//! configuration has no way to be slow that does not end in errors or belong to a version.

use super::compare::Batch;
use super::errors::{Batching, ErrorsTest};
use crate::measure::Part;
use crate::time::Mono;
use std::time::Duration;

/// What a new configuration is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standard {
    /// The odds ratio of errors that is still acceptable.
    pub margin: f64,
    /// The share of errors that is nobody's fault.
    pub allowed: f64,
    /// The chance that a configuration which is no worse is ever called so.
    pub false_alarm: f64,
    /// Without a verdict against it, it is kept after so long.
    pub lasts: Duration,
}

/// Requests since the canary began, under each configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beside {
    pub old: Part,
    pub new: Part,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConfigurationVerdict {
    GoOn,
    /// The new one fails more: `evidence` had to reach `needed`.
    Revert {
        evidence: f64,
        needed: f64,
    },
    /// Its time is over, and nothing speaks against it.
    Keep,
}

#[derive(Debug, Clone)]
pub struct ConfigurationJudge {
    standard: Standard,
    began: Mono,
    errors: ErrorsTest,
    batching: Batching,
    seen: Beside,
}

impl ConfigurationJudge {
    pub fn new(standard: Standard, began: Mono) -> Self {
        Self {
            standard,
            began,
            errors: ErrorsTest::new(standard.margin, standard.allowed),
            batching: Batching::default(),
            seen: Beside::default(),
        }
    }

    pub fn seen(&self) -> Beside {
        self.seen
    }

    /// Takes what was counted until now.
    pub fn look(&mut self, counted: Beside, now: Mono) -> ConfigurationVerdict {
        let more = Batch {
            candidate: counted.new.since(self.seen.new),
            stable: counted.old.since(self.seen.old),
        };
        self.seen = counted;
        self.errors.hold_to_objective(more);
        if let Some(finished) = self.batching.add(more, now.0) {
            self.errors.compare(finished.all);
        }
        let (evidence, needed) = (self.errors.value(), 1.0 / self.standard.false_alarm);
        if evidence >= needed {
            return ConfigurationVerdict::Revert { evidence, needed };
        }
        // What nobody was served by was not tried, however long it stood there.
        let tried = counted.new.of > 0;
        if tried && now.since(self.began) >= self.standard.lasts {
            return ConfigurationVerdict::Keep;
        }
        ConfigurationVerdict::GoOn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Standard = Standard {
        margin: 1.5,
        allowed: 0.001,
        false_alarm: 0.001,
        lasts: Duration::from_secs(600),
    };

    /// Whole courses: each tick adds these.
    fn course(tick: impl Fn(u64) -> Beside, ticks: u64) -> (ConfigurationVerdict, Beside) {
        let mut judge = ConfigurationJudge::new(STANDARD, Mono(0));
        let mut sum = Beside::default();
        for n in 1..=ticks {
            let more = tick(n);
            sum = Beside { old: sum.old.plus(more.old), new: sum.new.plus(more.new) };
            let verdict = judge.look(sum, Mono(n * 100));
            if verdict != ConfigurationVerdict::GoOn {
                return (verdict, sum);
            }
        }
        (ConfigurationVerdict::GoOn, sum)
    }

    fn of(bad: u64, of: u64) -> Part {
        Part { bad, of }
    }

    #[test]
    fn one_that_fails_always_is_reverted_within_ten_requests() {
        let (verdict, seen) = course(|_| Beside { old: of(0, 19), new: of(1, 1) }, 100);
        assert!(matches!(verdict, ConfigurationVerdict::Revert { .. }), "{verdict:?}");
        assert!(seen.new.of <= 10, "{seen:?}");
    }

    #[test]
    fn one_that_fails_one_in_ten_more_is_reverted() {
        let new = |n: u64| of(u64::from(n.is_multiple_of(10)), 1);
        let (verdict, seen) = course(|n| Beside { old: of(0, 19), new: new(n) }, 2000);
        assert!(matches!(verdict, ConfigurationVerdict::Revert { .. }), "{verdict:?}");
        assert!(seen.new.of <= 200, "{seen:?}");
    }

    #[test]
    fn an_outage_that_both_share_is_not_blamed_on_the_new_one() {
        let (verdict, _) = course(|_| Beside { old: of(19, 19), new: of(1, 1) }, 2000);
        assert_eq!(verdict, ConfigurationVerdict::GoOn);
        let third =
            |n: u64, requests: u64| of(if n.is_multiple_of(3) { requests } else { 0 }, requests);
        let (verdict, _) = course(|n| Beside { old: third(n, 19), new: third(n + 1, 1) }, 2000);
        assert_eq!(verdict, ConfigurationVerdict::GoOn);
    }

    #[test]
    fn it_is_kept_when_its_time_is_over_and_somebody_was_served_by_it() {
        let (verdict, _) = course(|_| Beside { old: of(0, 19), new: of(0, 1) }, 6000);
        assert_eq!(verdict, ConfigurationVerdict::Keep);
        let (verdict, _) = course(|_| Beside { old: of(0, 19), new: of(0, 0) }, 7000);
        assert_eq!(verdict, ConfigurationVerdict::GoOn);
    }

    /// Requests of both fail alike, by chance: 2,000 courses of a thousand looks.
    #[test]
    fn one_that_is_no_worse_is_hardly_ever_reverted() {
        let standard = Standard { false_alarm: 0.05, ..STANDARD };
        let mut state = 7_u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        let mut reverted = 0;
        for _ in 0..2000 {
            let mut judge = ConfigurationJudge::new(standard, Mono(0));
            let mut sum = Beside::default();
            for n in 1..=1000 {
                let mut fail = |part: &mut Part| {
                    part.of += 1;
                    part.bad += u64::from(random() < 0.02);
                };
                (0..4).for_each(|_| fail(&mut sum.old));
                fail(&mut sum.new);
                if matches!(judge.look(sum, Mono(n)), ConfigurationVerdict::Revert { .. }) {
                    reverted += 1;
                    break;
                }
            }
        }
        assert!(reverted <= 100, "{reverted} of 2000 are over 5%");
    }
}
