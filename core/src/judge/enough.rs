//! Is the candidate good enough to go on with, and how much more does it take to say so?

use super::bounded::{Accepted, Ahead, UNSEEN};
use super::promotion::NEEDED;
use super::trial::Judge;
use crate::rollout::{Accept, Bet, BoundedHarm, Outlook, Stage, Step};
use std::time::Duration;

impl Judge {
    pub(super) fn promotion(&self) -> Option<Bet> {
        self.course.born?;
        let [first, all] = &self.tests.promotion;
        Some(Bet { value: first.value().min(all.value()), needed: NEEDED })
    }

    pub(super) fn bounded(&self, at: u64) -> Option<BoundedHarm> {
        self.course.born?;
        let limit = self.limit(at);
        Some(BoundedHarm { value: self.tests.bounded.value(limit), needed: NEEDED, limit })
    }

    fn limit(&self, at: u64) -> f64 {
        let accepted = Accepted::by(&self.plan, &self.objectives);
        self.tests.bounded.limit(self.ahead(at), accepted)
    }

    /// The next step, or all the time until somebody looks, at the rate of this step.
    fn ahead(&self, at: u64) -> Ahead {
        let all = self.course.step.candidate.of + self.course.step.stable.of;
        let rate = all as f64 / self.stage_lasted(at).as_secs_f64().max(1.0);
        match self.next_step() {
            Some(next) => Ahead {
                requests: rate * self.plan.weight_of(next).ratio() * next.hold.as_secs_f64(),
                completes: false,
            },
            None => Ahead { requests: rate * UNSEEN.as_secs_f64(), completes: true },
        }
    }

    fn stage_lasted(&self, at: u64) -> Duration {
        Duration::from_millis(at.saturating_sub(self.course.stage_at))
    }

    fn next_step(&self) -> Option<&Step> {
        let steps = &self.plan.steps;
        match self.course.stage {
            Some(Stage::Step(index)) => steps.get(usize::from(index) + 1),
            Some(Stage::Before | Stage::Dark) | None => {
                steps.iter().find(|step| step.weight > self.course.weight)
            }
        }
    }

    /// Whatever the plan accepts and comes first; `None` when it is shown and enough requests were seen.
    pub(super) fn outlook(&self, at: u64) -> Option<Outlook> {
        self.course.born?;
        let seen = self.course.step.candidate.of;
        let missing = self.plan.evidence.min_requests.saturating_sub(seen);
        let requests = self.until_shown(at).map(|requests| requests.max(missing));
        if requests == Some(0) {
            return None;
        }
        let rate = seen as f64 / self.stage_lasted(at).as_secs_f64().max(1.0);
        let seconds = requests.filter(|_| rate > 0.0);
        let seconds = seconds.map(|requests| (requests as f64 / rate).ceil() as u64);
        Some(Outlook { requests, seconds })
    }

    fn until_shown(&self, at: u64) -> Option<u64> {
        let bounded = match self.plan.evidence.accept {
            Accept::Proof => None,
            Accept::BoundedHarm => self.until_bounded(at),
        };
        match (self.until_proof(), bounded) {
            (Some(proof), Some(bounded)) => Some(proof.min(bounded)),
            (proof, bounded) => proof.or(bounded),
        }
    }

    fn until_proof(&self) -> Option<u64> {
        let [first, all] = &self.tests.promotion;
        let step = self.course.step;
        let seen = if step.candidate.of == 0 { self.tests.errors.counts.seen } else { step };
        let by_first = first.stakes(seen).requests_until(NEEDED)?;
        Some(by_first.max(all.stakes(seen).requests_until(NEEDED)?))
    }

    fn until_bounded(&self, at: u64) -> Option<u64> {
        let (bounded, limit) = (&self.tests.bounded, self.limit(at));
        if bounded.value(limit) >= NEEDED {
            return Some(0);
        }
        let few = bounded.until_least();
        if limit >= 1.0 {
            return Some(few);
        }
        Some(bounded.stakes(limit).requests_until(NEEDED)?.max(few))
    }
}
