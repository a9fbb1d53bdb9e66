//! Everything that weighs one rollout's evidence.

use super::before::Before;
use super::bounded::Bounded;
use super::clients::ClientErrors;
use super::counted::Counted;
use super::errors::{Batching, ErrorsTest, Pending};
use super::guards::Watched;
use super::promotion::Promotion;
use super::rate::RateTest;
use super::recent::Recent;
use super::slow_clients::Countable;
use super::slower::{Margin, NAMED, SlownessTest};
use super::trial::{LATELY, MINUTES};
use super::twofold::Twofold;
use crate::measure::Part;
use crate::rollout::{Plan, Rule};
use crate::slo::Objectives;
use std::time::Duration;

#[derive(Debug, Clone)]
pub(super) struct Tests {
    pub(super) errors: Twofold<ErrorsTest>,
    /// The same with the two versions in each other's place: is stable worse than the candidate? Not
    /// stored: after a restart it begins anew, and is only ever less sure.
    pub(super) stable_errors: ErrorsTest,
    /// Not stored either.
    pub(super) client_errors: ClientErrors,
    pub(super) batching: Batching,
    /// Not stored.
    pub(super) counted: Counted,
    /// By first failures and by all: both must be convinced.
    pub(super) promotion: [Promotion; 2],
    pub(super) bounded: Bounded,
    /// Where hardly anything of stable runs beside the candidate. Not stored.
    pub(super) before: Option<Box<Before>>,
    pub(super) slowness: SlownessTest,
    /// In the order of the plan's guards.
    pub(super) guards: Vec<Watched>,
    /// For each burn rule: availability, latency.
    pub(super) burns: Vec<[BurnTest; 2]>,
    pub(super) recent: Recent,
    /// Of the time in which both versions go through the same. Not stored.
    pub(super) minutes: Recent,
}

/// Is a version burning its budget faster than a rule allows, on what counts of it?
#[derive(Debug, Clone)]
pub(super) struct BurnTest {
    pub(super) rate: Twofold<RateTest>,
    countable: Countable,
    /// What counts of this rollout was bad so often. Not stored.
    pub(super) bad: u64,
}

impl Tests {
    pub(super) fn new(plan: &Plan, objectives: &Objectives) -> Self {
        let (margin, allowed) = (plan.regression.errors, allowed(objectives));
        let burns = objectives.burn_rates.iter().map(|rule| {
            let slow = objectives.latency.as_ref().map_or(1.0, |l| 1.0 - l.objective);
            [allowed, slow].map(|share| BurnTest::new(rule.above * share))
        });
        Self {
            errors: Twofold::new(ErrorsTest::new(margin, allowed)),
            stable_errors: ErrorsTest::new(margin, allowed),
            client_errors: ClientErrors::new(plan.regression.client_errors),
            batching: Batching::default(),
            counted: Counted::default(),
            promotion: [Promotion::new(margin, allowed), Promotion::new(margin, allowed)],
            bounded: Bounded::default(),
            before: None,
            slowness: SlownessTest::new(Margin::of(&plan.regression), &named(plan, objectives)),
            guards: plan.guards.iter().map(Watched::new).collect(),
            burns: burns.collect(),
            recent: Recent::new(LATELY),
            minutes: Recent::new(MINUTES),
        }
    }

    pub(super) fn compare(&mut self, finished: Pending) {
        self.errors.observe(finished.counted, finished.first, ErrorsTest::compare);
        self.stable_errors.compare(finished.first.swapped());
        self.promotion[0].observe(finished.first);
        self.promotion[1].observe(finished.all);
        self.bounded.observe(finished.all);
    }

    /// What was found belongs to the time before the candidate stepped aside.
    pub(super) fn compare_anew(&mut self, plan: &Plan, objectives: &Objectives) {
        let fresh = Self::new(plan, objectives);
        self.errors = fresh.errors;
        self.stable_errors = fresh.stable_errors;
        self.slowness = fresh.slowness;
        self.batching = fresh.batching;
    }

    pub(super) fn keep_what_still_asks(&mut self, plan: &Plan, objectives: &Objectives) {
        let fresh = Self::new(plan, objectives);
        let (margin, allowed) = (plan.regression.errors, allowed(objectives));
        if !self.errors.counts.asks(margin, allowed) {
            self.errors = fresh.errors;
            self.stable_errors = fresh.stable_errors;
            self.promotion = fresh.promotion;
        }
        if self.client_errors.margin != fresh.client_errors.margin {
            self.client_errors = fresh.client_errors;
        }
        if !self.slowness.asks(Margin::of(&plan.regression), &named(plan, objectives)) {
            self.slowness = fresh.slowness;
        }
        let old = std::mem::take(&mut self.guards);
        let kept = |new: Watched| old.iter().find(|w| w.guard == new.guard).cloned().unwrap_or(new);
        self.guards = fresh.guards.into_iter().map(kept).collect();
        let limits = |burns: &[[BurnTest; 2]]| -> Vec<[f64; 2]> {
            let limit = |test: &BurnTest| test.rate.counts.limit();
            burns.iter().map(|[a, l]| [limit(a), limit(l)]).collect()
        };
        if limits(&self.burns) != limits(&fresh.burns) {
            self.burns = fresh.burns;
        }
    }
}

impl BurnTest {
    fn new(limit: f64) -> Self {
        let (rate, countable) = (Twofold::new(RateTest::new(limit)), Countable::default());
        Self { rate, countable, bad: 0 }
    }

    pub(super) fn observe(&mut self, counted: Part, all: Part) {
        self.bad += counted.bad;
        self.rate.observe(counted, all, RateTest::observe);
    }

    pub(super) fn value_of_all(&self) -> f64 {
        self.rate.all().unwrap_or(&self.rate.counts).value()
    }

    pub(super) fn observe_slow(&mut self, all: Part, countable: impl FnOnce() -> f64) {
        let accuses = self.rate.counts.gains_by(all);
        let counted = if accuses { self.countable.of(all, countable()) } else { all };
        self.observe(counted, all);
    }
}

pub(super) fn allowed(objectives: &Objectives) -> f64 {
    1.0 - objectives.availability.objective
}

/// Every latency that the configuration names, in its order and once.
pub(super) fn named(plan: &Plan, objectives: &Objectives) -> Vec<Duration> {
    let mut named: Vec<Duration> = objectives.latency.iter().map(|l| l.under).collect();
    for guard in &plan.guards {
        if let Rule::Latency { above, .. } = guard.rule
            && !named.contains(&above)
        {
            named.push(above);
        }
    }
    named.truncate(NAMED);
    named
}
