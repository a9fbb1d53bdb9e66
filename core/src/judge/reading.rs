//! What the tests say, in the numbers that an operator can follow.

use super::before::is_hardly_beside;
use super::compare::Batch;
use super::own;
use super::slow_clients::Origins;
use super::slower::{Answers, Margin};
use super::suite::{Tests, allowed};
use super::trial::Judge;
use crate::ids::VersionName;
use crate::plane::Readiness;
use crate::rollout::{
    Action, BurnReading, Data, ErrorTest, Evidence, Exposure, GuardReading, LatencyTest, Ready,
    ShadowReading, SharedCause, SlowClients,
};
use crate::slo::{Burn, Promise, ServiceSlo};
use crate::time::Mono;
use crate::weights::BasisPoints;
use std::time::Duration;

/// How the one false alarm rate is divided: failing is what rollbacks are mostly for.
const SHARE_OF_ERRORS: f64 = 0.95;
const SHARE_OF_LATENCY: f64 = 1.0 - SHARE_OF_ERRORS;
/// Fewer failures that count break no burn rule. The comparison with stable needs less, and is there for what is quick.
const LEAST_BAD: u64 = 10;
/// What is proof on probation: the second strike, and both together are as rare as ever.
const ON_PROBATION: f64 = 20.0;
/// A longer run of failures is left to the tick.
const LONGEST_RUN: u32 = 64;

impl Judge {
    /// Every number a decision rests on. Asking changes nothing.
    pub fn evidence(&self, slo: &ServiceSlo, readiness: &[Readiness], now: Mono) -> Evidence {
        let at = self.line(now);
        let errors = self.errors();
        let ready = |version: &VersionName| {
            let found = readiness.iter().find(|r| r.version == *version)?;
            Some(Ready { ready: found.ready, total: found.total })
        };
        let shadow = self.course.shadow;
        Evidence {
            data: Data::Fresh,
            step: exposure(self.course.step),
            errors: (errors.candidate.of > 0).then_some(errors),
            client_errors: self.tests.client_errors.reading(self.proof()),
            latency: self.latency(),
            before: self.tests.before.as_ref().map(|b| b.reading(self.proof_of_comparison())),
            promotion: self.promotion(),
            bounded: self.bounded(at),
            outlook: self.outlook(at),
            guards: self.guards(at),
            burns: self.burns(slo, at, now),
            budget_left: slo.budget_left(),
            harm: self.course.harm.so_far(self.tests.counted.repeated()),
            concentration: self.read.sources.as_ref().and_then(|(_, found)| found.clone()),
            slow_clients: self.read.slow_clients.clone(),
            shared_cause: self.shared_cause(&errors, at),
            stable_stormy: (self.course.aside || errors.worse) && self.is_stable_stormy(at),
            accused: self.course.accused.0,
            stable_worse: self.stable_worse(at),
            shadow: ShadowReading {
                compared: shadow.compared,
                mismatched: shadow.mismatched,
                failed: shadow.failed,
            },
            candidate_ready: ready(&self.candidate),
            stable_ready: ready(&self.stable),
            former_ready: None,
            tripped: self.course.tripped,
            tripwire: self.tripwire(errors.needed, at),
        }
    }

    /// How much evidence is proof.
    fn proof(&self) -> f64 {
        1.0 / self.plan.evidence.false_alarm.clamp(1e-9, 1.0)
    }

    /// The same for the comparisons, of which a first proof may be somebody else's doing.
    fn proof_of_comparison(&self) -> f64 {
        let proof = self.proof();
        if self.course.aside { proof.min(ON_PROBATION) } else { proof }
    }

    /// The comparisons share one false alarm rate: the weighted average of their evidence is what
    /// must be proof. Said of one of them: what the others have found need not be found again.
    fn needed(&self, share: f64, others: f64) -> f64 {
        let proof = self.proof_of_comparison();
        ((proof - others) / share).max(proof)
    }

    fn errors(&self) -> ErrorTest {
        let Tests { errors, slowness, .. } = &self.tests;
        let test = &errors.counts;
        let needed = self.needed(SHARE_OF_ERRORS, SHARE_OF_LATENCY * slowness.value());
        let worse = test.value() >= needed;
        ErrorTest {
            value: test.comparison(),
            needed,
            floor: test.floor(),
            candidate: test.seen.candidate,
            stable: test.seen.stable,
            worse,
            of_few_clients: !worse && errors.all().is_some_and(|all| all.value() >= needed),
        }
    }

    fn latency(&self) -> Option<LatencyTest> {
        let worst = self.tests.slowness.worst().filter(|worst| worst.seen.candidate.of > 0)?;
        let value = self.tests.slowness.value();
        let others = SHARE_OF_ERRORS * self.tests.errors.counts.value();
        let needed = self.needed(SHARE_OF_LATENCY, others);
        Some(LatencyTest {
            value,
            needed,
            quantile: worst.quantile,
            baseline: worst.limit,
            candidate: worst.seen.candidate,
            stable: worst.seen.stable,
            worse: value >= needed,
            of_few_clients: value < needed && self.tests.slowness.value_of_all() >= needed,
        })
    }

    /// Of each rule about times that has proof: whose requests they are.
    pub(super) fn slow_clients(
        &self,
        candidate: &Answers<'_>,
        stable: &Answers<'_>,
        at: u64,
    ) -> Vec<SlowClients> {
        let served = self.read.sources.as_ref().map_or(&[][..], |(known, _)| &known.served);
        let origins = Origins { served, per_stable: self.per_stable(at) };
        let of = |rule: String, limit: Duration, (observed, allowed): (f64, f64)| {
            let requests = self.tests.slowness.slow_clients(candidate, stable, origins, limit)?;
            Some(SlowClients { rule, observed, limit: allowed, requests })
        };
        let proof = self.proof();
        let guards = self.tests.guards.iter().filter_map(|watched| {
            let (above, shares) = watched.too_slow(proof, at)?;
            of(watched.guard.name.clone(), above, shares)
        });
        let burns = self.objectives.burn_rates.iter().zip(&self.tests.burns);
        let burns = burns.filter(|(_, [_, latency])| latency.value_of_all() >= proof);
        let burns = burns.filter_map(|(rule, _)| {
            let promised = self.objectives.latency.as_ref()?;
            let share = candidate.passed(promised.under).share()?;
            let rate = share / (1.0 - promised.objective);
            of(format!("burn.{}", rule.name), promised.under, (rate, rule.above))
        });
        let slower = self.latency().filter(|test| test.worse || test.of_few_clients);
        let slower = slower.and_then(|test| {
            let limit = Margin::of(&self.plan.regression).beyond(test.baseline);
            let share = |part: crate::measure::Part| part.share().unwrap_or(0.0);
            let shares = (share(test.candidate), share(test.stable));
            of("regression.latency".to_owned(), limit, shares)
        });
        guards.chain(burns).chain(slower).collect()
    }

    fn guards(&self, at: u64) -> Vec<GuardReading> {
        let Tests { guards, slowness, .. } = &self.tests;
        let lately = |quantile| slowness.lately(quantile);
        guards.iter().map(|watched| watched.reading(self.proof(), lately, at)).collect()
    }

    fn burns(&self, slo: &ServiceSlo, at: u64, now: Mono) -> Vec<BurnReading> {
        let age = self.course.born.map_or(0, |born| at.saturating_sub(born));
        let age = Some(Duration::from_millis(age));
        // Nothing runs beside it.
        let alone = self.course.weight == BasisPoints::WHOLE;
        let rules = self.objectives.burn_rates.iter().zip(&self.tests.burns);
        let read = rules.map(|(rule, [availability, latency])| {
            let burn = slo.burn(rule, &self.candidate, age, now);
            let (test, comparison) = match burn.promise {
                Promise::Availability => (availability, self.tests.errors.counts.comparison()),
                // Where times are not compared they speak for nobody.
                Promise::Latency if is_hardly_beside(self.course.weight) => (latency, 1.0),
                Promise::Latency => (latency, self.tests.slowness.value()),
            };
            // Few failures burn fast where there were few requests, and are those of a few users.
            let bad = burn.long.unwrap_or(0.0) * test.rate.counts.limit() / rule.above;
            let bad = (bad * burn.samples as f64).round() as u64;
            let enough = test.bad.min(bad) >= LEAST_BAD;
            let proven = enough && test.rate.counts.value() >= self.proof();
            let stable = slo.burn_against(burn.promise, rule, &self.stable, age, now);
            BurnReading {
                name: rule.name.clone(),
                promise: burn.promise,
                long: burn.long,
                short: burn.short,
                threshold: rule.above,
                above: burn.lower().is_some_and(|lower| lower > rule.above),
                proven,
                of_few_clients: !proven && bad >= LEAST_BAD && test.value_of_all() >= self.proof(),
                stable: stable.lower(),
                shared: !(alone || (is_own(burn, stable) && comparison >= 1.0)),
                samples: burn.samples,
            }
        });
        read.collect()
    }

    /// Both fail more than the objective allows, provably and right now, and the comparison
    /// has found no difference; or the data plane knows of a cause that they share.
    fn shared_cause(&self, errors: &ErrorTest, at: u64) -> Option<SharedCause> {
        if self.course.overruled {
            let seen = self.tests.recent.seen(at);
            let share = |part: crate::measure::Part| part.share().unwrap_or(0.0);
            return Some(SharedCause {
                candidate: share(seen.candidate),
                stable: share(seen.stable),
            });
        }
        let proof = self.proof();
        let errors_test = &self.tests.errors.counts;
        let both = errors_test.floor() >= proof && errors_test.stable_floor() >= proof;
        let seen = self.tests.recent.seen(at);
        let (candidate, stable) = (seen.candidate.share()?, seen.stable.share()?);
        let silent = errors.value < errors.needed;
        let allowed = allowed(&self.objectives);
        (both && silent && candidate > allowed && stable > allowed)
            .then_some(SharedCause { candidate, stable })
    }

    /// The comparison the other way round, and as it stands now.
    fn stable_worse(&self, at: u64) -> Option<SharedCause> {
        let seen = self.tests.recent.seen(at);
        let (candidate, stable) = (seen.candidate.share()?, seen.stable.share()?);
        let proven = self.tests.stable_errors.value() >= self.proof();
        (proven && stable > candidate).then_some(SharedCause { candidate, stable })
    }

    /// The smallest run of consecutive failures of the candidate that would be proof by the same
    /// tests, while stable goes on as it does. `None` when no run of a sensible length would be.
    fn tripwire(&self, needed: f64, at: u64) -> Option<u32> {
        let weight = self.course.weight.ratio();
        if weight == 0.0 {
            return None;
        }
        let stable_share = self.tests.recent.seen(at).stable.share().unwrap_or(0.0);
        let (errors, pending) = (&self.tests.errors.counts, self.tests.batching.pending().counted);
        let before = self.tests.before.as_ref();
        let proof_of_before = self.proof_of_comparison();
        let proof = |run: u32| {
            let failures = f64::from(run);
            let concurrent = failures * (1.0 - weight) / weight;
            let mut guards =
                self.tests.guards.iter().filter(|w| w.guard.action == Action::Rollback);
            errors.value_after(failures, concurrent, stable_share, pending) >= needed
                || before.is_some_and(|before| before.acts_after(run, proof_of_before))
                || guards.any(|watched| watched.acts_after(failures, self.proof(), at))
        };
        let (mut too_few, mut enough) = (1, 2);
        while !proof(enough) {
            if enough == LONGEST_RUN {
                return None;
            }
            (too_few, enough) = (enough, enough * 2);
        }
        while enough - too_few > 1 {
            let middle = too_few.midpoint(enough);
            if proof(middle) { enough = middle } else { too_few = middle }
        }
        Some(enough)
    }
}

/// In both windows the candidate burns faster than stable by more than the two may differ.
fn is_own(candidate: Burn, stable: Burn) -> bool {
    let faster = |candidate: Option<f64>, stable: Option<f64>| {
        candidate.unwrap_or(0.0) > own::OWN * stable.unwrap_or(0.0)
    };
    faster(candidate.long, stable.long) && faster(candidate.short, stable.short)
}

fn exposure(batch: Batch) -> Exposure {
    Exposure { candidate: batch.candidate, stable: batch.stable }
}
