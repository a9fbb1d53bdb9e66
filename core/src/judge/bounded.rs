//! How much harm may the candidate still do before anybody looks again?
//!
//! That it is as good as stable takes thousands of requests to show. That it fails less than a share
//! of which little harm comes takes few: the fewer requests the next step has, the greater the share. So a
//! step may be taken when the share of failures at which the step would do more harm than is acceptable,
//! beyond what stable would do as well, is ruled out.
//!
//! The limit moves with the traffic and with stable's own share; the evidence against each limit is
//! a bet on all that was seen since the rollout began, with nothing added later.

use super::compare::Batch;
use super::errors::{decode_part, encode_part};
use super::outlook::Stakes;
use super::suite::allowed;
use crate::measure::Part;
use crate::rollout::Plan;
use crate::slo::Objectives;
use crate::stored::{Reader, StoredError, Writer};
use std::time::Duration;

/// What an operator who says nothing accepts.
const USUAL_HARM: u64 = 200;
/// For so long nobody may look after a rollout is complete: the window of the slow burn rule, which then tells.
pub(super) const UNSEEN: Duration = Duration::from_secs(6 * 3_600);
/// With little traffic a number of failures is a large share of it. When a rollout is complete, no more than this
/// of its requests counts as little harm; the slow burn rule tells of .6%.
const AT_MOST: f64 = 0.005;
/// Fewer requests of the candidate show nothing, whatever the limit.
const LEAST: u64 = 30;
/// What stable did before the rollout counts as much as so many requests in it.
const PRIOR: f64 = 1_000.0;
/// Alternatives, as shares of the limit, and the stakes on them: most candidates fail rarely.
const RARER: [f64; 4] = [0.7, 0.4, 0.1, 0.001];
const STAKES: [f64; 4] = [0.15, 0.2, 0.3, 0.35];
/// No evidence is worth more.
const CEILING: f64 = 1e12;

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Bounded {
    seen: Part,
    /// The failures that the candidate's requests would have met on stable at the same time.
    on_stable: f64,
    /// Stable's share before the rollout.
    usual: f64,
}

/// What the candidate gets before somebody looks again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ahead {
    pub(super) requests: f64,
    pub(super) completes: bool,
}

/// What is acceptable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Accepted {
    pub(super) failures: u64,
    /// Times stable's share.
    pub(super) margin: f64,
    /// A share that the objective allows.
    pub(super) allowed: f64,
}

impl Accepted {
    pub(super) fn by(plan: &Plan, objectives: &Objectives) -> Self {
        Self {
            failures: plan.harm.failed_requests.unwrap_or(USUAL_HARM),
            margin: plan.regression.errors,
            allowed: allowed(objectives),
        }
    }
}

impl Bounded {
    pub(super) fn after_no_failure(requests: u64) -> Self {
        Self { seen: Part { bad: 0, of: requests }, ..Self::default() }
    }

    pub(super) fn know_usual(&mut self, share: f64) {
        self.usual = share;
    }

    pub(super) fn usual(&self) -> f64 {
        self.usual
    }

    /// Every failure counts, whoever met it.
    pub(super) fn observe(&mut self, batch: Batch) {
        let share = batch.stable.share().unwrap_or_else(|| self.stable_share());
        self.on_stable += batch.candidate.of as f64 * share;
        self.seen = self.seen.plus(batch.candidate);
    }

    /// Of the candidate's requests, had stable answered them.
    fn stable_share(&self) -> f64 {
        (self.on_stable + PRIOR * self.usual) / (self.seen.of as f64 + PRIOR)
    }

    /// The share of failures that has to be ruled out. From 1 on nothing has to.
    pub(super) fn limit(&self, ahead: Ahead, accepted: Accepted) -> f64 {
        let share = accepted.failures as f64 / ahead.requests.max(1.0);
        let share = if ahead.completes { share.min(AT_MOST) } else { share };
        let acceptable = share + accepted.margin.max(1.0) * self.stable_share();
        acceptable.max(accepted.allowed).min(1.0)
    }

    /// Evidence that the candidate fails less than the limit.
    pub(super) fn value(&self, limit: f64) -> f64 {
        if self.seen.of < LEAST {
            return 1.0;
        }
        if limit >= 1.0 {
            return CEILING;
        }
        self.stakes(limit).value().min(CEILING)
    }

    /// How many are missing until a limit can be ruled out at all.
    pub(super) fn until_least(&self) -> u64 {
        LEAST.saturating_sub(self.seen.of)
    }

    /// What is bet against a limit, and how it grows while the candidate fails as it does.
    pub(super) fn stakes(&self, limit: f64) -> Stakes {
        let limit = limit.clamp(1e-9, 1.0 - 1e-9);
        let (bad, of, share) =
            (self.seen.bad as f64, self.seen.of as f64, self.seen.share().unwrap_or(0.0));
        let mut stakes = Stakes::default();
        for (rarer, stake) in RARER.into_iter().zip(STAKES) {
            let good = (-rarer * limit).ln_1p() - (-limit).ln_1p();
            let after = |bad: f64, of: f64| bad * rarer.ln() + (of - bad) * good;
            stakes.add(stake.ln() + after(bad, of), after(share, 1.0));
        }
        stakes
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        encode_part(self.seen, out);
        out.f64(self.on_stable);
        out.f64(self.usual);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, StoredError> {
        let (seen, on_stable, usual) = (decode_part(from)?, from.f64()?, from.f64()?);
        if !(0.0..=1e17).contains(&on_stable) || !(0.0..=1.0).contains(&usual) {
            return Err(StoredError::Nonsense("more failed on stable than could"));
        }
        Ok(Self { seen, on_stable, usual })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUALLY: Accepted = Accepted { failures: USUAL_HARM, margin: 1.5, allowed: 0.001 };

    fn bounded(candidate: (u64, u64), stable: (u64, u64)) -> Bounded {
        let part = |(bad, of)| Part { bad, of };
        let mut bounded = Bounded::default();
        bounded.observe(Batch { candidate: part(candidate), stable: part(stable) });
        bounded
    }

    fn last(a_second: f64) -> Ahead {
        Ahead { requests: a_second * UNSEEN.as_secs_f64(), completes: true }
    }

    #[test]
    fn the_limit_is_the_harm_spread_over_what_comes_and_what_stable_does_as_well() {
        let of = |ahead, bounded: &Bounded| bounded.limit(ahead, USUALLY);
        let nothing = bounded((0, 30), (0, 270));
        let next = Ahead { requests: 10_000.0, completes: false };
        assert!((of(next, &nothing) - 0.02).abs() < 1e-9);
        assert_eq!(of(Ahead { requests: 150.0, completes: false }, &nothing), 1.0);
        assert_eq!(of(last(0.1), &nothing), AT_MOST, "200 of so few would be a tenth of them");
        assert_eq!(of(last(1_000.0), &nothing), 0.001, "the objective allows it");
        let both_fail = bounded((1_000, 100_000), (9_000, 900_000));
        let limit = of(last(1_000.0), &both_fail);
        assert!((0.0148..0.0151).contains(&limit), "{limit}");
    }

    /// However the failures fall, the mean of the evidence at the limit is at most 1.
    #[test]
    fn at_the_limit_no_stake_grows_on_average() {
        for (of, limit) in [(30_u64, 0.3), (200, 0.02), (1_000, 0.005)] {
            let mut p = (1.0_f64 - limit).powi(of as i32);
            let mut mean = 0.0;
            for bad in 0..=of {
                mean += p * bounded((bad, of), (0, 1)).stakes(limit).value();
                p *= (of - bad) as f64 / (bad + 1) as f64 * limit / (1.0 - limit);
            }
            assert!(mean <= 1.0 + 1e-9, "{mean} at {limit}");
        }
    }

    #[test]
    fn thirty_requests_are_the_least_and_a_failing_candidate_gains_nothing() {
        assert_eq!(bounded((0, 29), (0, 100)).value(1.0), 1.0);
        assert!(bounded((0, 30), (0, 100)).value(1.0) > 20.0);
        assert!(bounded((0, 2_000), (0, 100)).value(0.005) > 20.0);
        assert!(bounded((40, 2_000), (0, 100)).value(0.005) < 1e-3);
    }
}
