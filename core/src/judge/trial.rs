//! One rollout's tests, fed by the tick.

use super::before::{self, Before};
use super::compare::Batch;
use super::concentration::concentration;
use super::errors::{ErrorsTest, Pending};
use super::gained::{Gain, Read, Shadow, gain};
use super::guards::{More, Watched};
use super::harm::{Harm, Rate};
use super::rate::RateTest;
use super::slow_clients::Origins;
use super::slower::{Answers, whole};
use super::suite::{BurnTest, Tests, allowed};
use crate::ids::VersionName;
use crate::measure::{Part, Running, ServiceCounts, ServiceLatencies, Sources};
use crate::rollout::{Compared, Guard, Plan, Rule, Signal, Stage};
use crate::slo::Objectives;
use crate::time::Mono;
use crate::weights::BasisPoints;
use std::sync::Arc;
use std::time::Duration;

/// Of the candidate's first traffic: caches are cold, and so are connections. Latency is not judged
/// in it, errors are.
pub const WARM_UP: Duration = Duration::from_secs(30);
/// For saying that both versions are bad right now.
pub(super) const LATELY: Duration = Duration::from_secs(60);
/// Within so long both versions go through the same.
pub(super) const MINUTES: Duration = Duration::from_secs(300);
/// Up to so many times its share of failures before, stable is as it was.
const AS_BEFORE: f64 = 2.0;
/// What is proof that it is not.
const STORMY: f64 = 20.0;

/// What the data plane said at one moment, and the stage of the rollout that it was said in.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub counts: &'a ServiceCounts,
    /// Once a second, not with every tick.
    pub latencies: Option<&'a ServiceLatencies>,
    pub stage: Stage,
    /// The candidate's, in force.
    pub weight: BasisPoints,
    /// How often the candidate stepped aside and came back.
    pub returns: u32,
    /// It did so, and is away at weight 0 or back on probation, where less proof is enough.
    pub aside: bool,
    /// What stable did before, where the judge [asks](Judge::asks_before) for it.
    pub stable_before: Option<Part>,
}

#[derive(Debug, Clone)]
pub struct Judge {
    pub(super) plan: Plan,
    pub(super) objectives: Objectives,
    pub(super) candidate: VersionName,
    pub(super) stable: VersionName,
    pub(super) tests: Tests,
    pub(super) course: Course,
    pub(super) read: Read,
    /// Added to the monotonic clock; makes one line of time of many processes.
    pub(super) offset: i128,
}

/// What has happened so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    pub(super) at: u64,
    /// The candidate's first request.
    pub(super) born: Option<u64>,
    pub(super) stage: Option<Stage>,
    /// When the present stage began.
    pub(super) stage_at: u64,
    pub(super) weight: BasisPoints,
    /// Of the present stage, and of the whole rollout.
    pub(super) step: Batch,
    pub(super) harm: Harm,
    pub(super) shadow: Shadow,
    pub(super) tripped: bool,
    pub(super) returns: u32,
    pub(super) aside: bool,
    pub(super) accused: Accused,
    /// Health checks fail for most endpoints of the service and are overruled.
    pub(super) overruled: bool,
}

/// The candidate's requests since the comparison with stable last said nothing against it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Accused(pub(super) Part);

impl Accused {
    fn add(&mut self, more: Part, comparison: f64) {
        self.0 = if comparison <= 1.0 { Part::default() } else { self.0.plus(more) };
    }
}

impl Judge {
    /// For a rollout that begins now: what the counters hold already is not its doing.
    pub fn new(plan: &Plan, objectives: &Objectives, stable: &VersionName) -> Self {
        Self {
            plan: plan.clone(),
            objectives: objectives.clone(),
            candidate: plan.to.clone(),
            stable: stable.clone(),
            tests: Tests::new(plan, objectives),
            course: Course::default(),
            read: Read::default(),
            offset: 0,
        }
    }

    /// What stable did before. Where nothing will run beside the candidate, its last day forgives as
    /// much; and what it usually does is what the candidate is held to where nothing was promised.
    #[must_use]
    pub fn after(self, last_day: Part, usual: f64) -> Self {
        let mut judge = Self::new(&self.plan, &self.objectives.learnt_from(usual), &self.stable);
        judge.course.harm.know_usual(last_day);
        judge.tests.bounded.know_usual(usual);
        judge
    }

    /// What it holds the candidate to.
    pub fn objectives(&self) -> &Objectives {
        &self.objectives
    }

    /// After a reload. Tests whose question is still the same go on, the others begin anew.
    pub fn set_plan(&mut self, plan: &Plan, objectives: &Objectives) {
        let objectives = objectives.learnt_from(self.tests.bounded.usual());
        if self.plan == *plan && self.objectives == objectives {
            return;
        }
        self.tests.keep_what_still_asks(plan, &objectives);
        self.read.slower.clear();
        self.read.slow = None;
        (self.plan, self.objectives) = (plan.clone(), objectives);
    }

    pub(super) fn line(&self, now: Mono) -> u64 {
        u64::try_from(i128::from(now.0) + self.offset).unwrap_or(0).max(self.course.at)
    }

    pub fn observe(&mut self, seen: Seen<'_>, now: Mono) {
        let at = self.line(now);
        self.course.at = at;
        if self.read.candidate.is_none() {
            self.tests.counted.begin(seen.counts.sources.as_deref());
        }
        let candidate = gain(&mut self.read.candidate, seen.counts.of(&self.candidate));
        let stable = gain(&mut self.read.stable, seen.counts.of(&self.stable));
        if candidate.all.of > 0 {
            self.course.born.get_or_insert(at);
        }
        self.course.overruled = seen.counts.checks_overruled;
        if self.course.overruled {
            // What fails now has a cause that the versions share: shown, and held against neither.
            let all = Batch { candidate: candidate.all, stable: stable.all };
            self.tests.recent.add(all, at);
        } else {
            self.weigh(candidate, stable, self.news_of(seen.counts.sources.as_ref()), at);
        }
        self.count_harm(&seen, candidate, stable);
        self.course.tripped = seen.counts.of(&self.candidate).is_some_and(|counts| counts.tripped);
        if let Some(latencies) = seen.latencies.filter(|_| !self.course.overruled) {
            self.weigh_latencies(latencies, at);
        }
        self.locate(seen.counts.sources.as_ref(), at);
        self.move_on(&seen, at);
    }

    fn weigh(&mut self, candidate: Gain, stable: Gain, news: Option<&Sources>, at: u64) {
        let per_stable = self.per_stable(at);
        let counted = self.tests.counted.add(candidate, news, per_stable);
        let all = Batch { candidate: candidate.all, stable: stable.all };
        let first = Batch { candidate: candidate.first, stable: stable.first };
        let counts = Batch { candidate: counted.all, stable: stable.all };
        self.course.step = self.course.step.plus(all);
        self.tests.recent.add(all, at);
        self.tests.minutes.add(all, at);
        self.tests.errors.observe(counts, all, ErrorsTest::hold_to_objective);
        self.tests.stable_errors.hold_to_objective(all.swapped());
        let counted_first = Batch { candidate: counted.first, stable: stable.first };
        let more = Pending { first, all, counted: counted_first };
        if let Some(finished) = self.tests.batching.add(more, at) {
            self.tests.compare(finished);
        }
        self.course.accused.add(counted.all, self.tests.errors.counts.comparison());
        let refused = Batch { candidate: candidate.client_errors, stable: stable.client_errors };
        self.tests.client_errors.add(refused, at);
        if let Some(before) = &mut self.tests.before {
            before.observe(counted.all, candidate.all, self.tests.minutes.seen(at).stable);
        }
        for tests in &mut self.tests.burns {
            tests[0].observe(counted.own, candidate.own);
        }
        let shadow = candidate.shadow;
        self.course.shadow = self.course.shadow.plus(shadow);
        for watched in &mut self.tests.guards {
            let more = |all| requests_of(&watched.guard, all, shadow).map(More::Requests);
            if let Some((counts, all)) = more(counts).zip(more(all)) {
                watched.observe(counts, all, at);
            }
        }
    }

    fn count_harm(&mut self, seen: &Seen<'_>, candidate: Gain, stable: Gain) {
        let rate = Rate { margin: self.plan.regression.errors, weight: seen.weight };
        let all = Batch { candidate: candidate.all, stable: stable.all };
        let first = Batch { candidate: candidate.first, stable: stable.first };
        self.course.harm.count(seen.counts, seen.weight);
        self.course.harm.forgive(all, first, rate);
    }

    fn weigh_latencies(&mut self, latencies: &ServiceLatencies, at: u64) {
        let of = |name: &VersionName| latencies.versions.iter().find(|l| l.version == *name);
        let (Some(candidate), Some(stable)) = (of(&self.candidate), of(&self.stable)) else {
            return;
        };
        let (candidate, stable) = (&Answers::new(candidate), &Answers::new(stable));
        let warm = self
            .course
            .born
            .is_some_and(|born| u128::from(at.saturating_sub(born)) >= WARM_UP.as_millis());
        let sources = self.read.sources.as_ref().map(|(known, _)| Arc::clone(known));
        let served = sources.as_ref().map_or(&[][..], |known| &known.served);
        let origins = Origins { served, per_stable: self.per_stable(at) };
        // A version that has hardly any load is faster for that alone.
        let alike = warm && !before::is_hardly_beside(self.course.weight);
        self.tests.slowness.observe(candidate, stable, origins, alike, at);
        let slowness = &self.tests.slowness;
        let countable = |limit| slowness.countable(candidate, stable, origins, limit);
        self.read.slower.resize(self.tests.guards.len(), None);
        for (watched, read) in self.tests.guards.iter_mut().zip(&mut self.read.slower) {
            let Rule::Latency { above, .. } = watched.guard.rule else { continue };
            let now = Batch { candidate: candidate.passed(above), stable: stable.passed(above) };
            if let (Some(before), true) = (*read, warm) {
                let more = now.since(before);
                let more = Batch { candidate: whole(more.candidate), stable: whole(more.stable) };
                watched.observe_slow(more, || countable(above), at);
            }
            *read = Some(now);
        }
        if let Some(objective) = &self.objectives.latency {
            let (judged, rest) = (&candidate.answered, &candidate.latencies.rest);
            let rest = rest.above_of(objective.under);
            let bad = judged.above(objective.under) + rest.0;
            let ended = Part { bad, of: judged.total() + rest.1 };
            let now = Running { ended, waiting: candidate.waiting_above(objective.under) };
            let gained = self.read.slow.map_or(Part::default(), |read| now.gained(read));
            self.read.slow = Some(now);
            if warm {
                for [_, test] in &mut self.tests.burns {
                    test.observe_slow(gained, || countable(objective.under));
                }
            }
        }
        self.read.slow_clients = self.slow_clients(candidate, stable, at);
    }

    /// Whether what stable did before is to be looked up for this weight.
    pub fn asks_before(&self, weight: BasisPoints, now: Mono) -> bool {
        let at = self.line(now);
        let fresh = self.tests.before.as_ref().is_some_and(|before| !before.is_old(at));
        before::is_hardly_beside(weight) && !(fresh && self.course.weight == weight)
    }

    /// How many requests the candidate gets for each of stable's, lately.
    pub(super) fn per_stable(&self, at: u64) -> f64 {
        let seen = self.tests.recent.seen(at);
        if seen.stable.of == 0 { 0.0 } else { seen.candidate.of as f64 / seen.stable.of as f64 }
    }

    /// Whether stable fails more than is usual for it, provably: what the candidate meets may be theirs both.
    pub(super) fn is_stable_stormy(&self, at: u64) -> bool {
        let lately = self.tests.minutes.seen(at).stable;
        let before = self.tests.minutes.before(at).stable.share().unwrap_or(0.0);
        let mut test = RateTest::new((AS_BEFORE * before).max(allowed(&self.objectives)));
        test.observe(lately);
        test.value() >= STORMY
    }

    /// What the data plane says of where failures came from, unless it said so before: the same sample says the same.
    fn news_of<'a>(&self, sources: Option<&'a Arc<Sources>>) -> Option<&'a Sources> {
        let known = self.read.sources.as_ref().map(|(sources, _)| sources);
        let same = |sources: &&Arc<Sources>| known.is_some_and(|known| Arc::ptr_eq(known, sources));
        sources.filter(|sources| !same(sources)).map(Arc::as_ref)
    }

    /// Looks only when there is another failure.
    fn locate(&mut self, sources: Option<&Arc<Sources>>, at: u64) {
        if sources.is_none() || self.news_of(sources).is_some() {
            let per_stable = self.per_stable(at);
            let found = |s: &Arc<Sources>| (Arc::clone(s), concentration(s, per_stable));
            self.read.sources = sources.map(found);
        }
    }

    /// What was counted until now belongs to the stage and the weight that were in force.
    fn move_on(&mut self, seen: &Seen<'_>, at: u64) {
        let Seen { stage, weight, returns, aside, stable_before, .. } = *seen;
        if !before::is_hardly_beside(weight) {
            self.tests.before = None;
        } else if let Some(stable) = stable_before {
            let before = Before::new(stable, allowed(&self.objectives), at);
            self.tests.before = before.map(Box::new);
        }
        self.course.aside = aside;
        if self.course.weight != weight {
            self.course.weight = weight;
            let finished = self.tests.batching.finish(at);
            self.tests.compare(finished);
            self.tests.client_errors.finish(at);
        }
        if self.course.returns != returns {
            self.course.returns = returns;
            self.tests.compare_anew(&self.plan, &self.objectives);
        }
        if self.course.stage.replace(stage) != Some(stage) {
            self.course.step = Batch::default();
            self.course.stage_at = at;
            self.tests.guards.iter_mut().for_each(Watched::stage);
        }
    }

    /// A business count pushed from outside; each push adds.
    pub fn signal(&mut self, signal: &Signal, now: Mono) {
        let at = self.line(now);
        for watched in &mut self.tests.guards {
            let Rule::Signal { name, of, .. } = &watched.guard.rule else { continue };
            let good = signal.good.min(signal.total);
            let counted = match of {
                Compared::Baseline => good,
                Compared::Absolute => signal.total - good,
            };
            let part = Part { bad: counted, of: signal.total };
            let push = if signal.version == self.candidate {
                Batch { candidate: part, stable: Part::default() }
            } else if signal.version == self.stable {
                Batch { candidate: Part::default(), stable: part }
            } else {
                continue;
            };
            if *name == signal.name {
                watched.observe(More::Push(push), More::Push(push), at);
            }
        }
    }

    /// Roughly how much memory it holds.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.tests.slowness.bytes()
            + self.tests.guards.iter().map(Watched::bytes).sum::<usize>()
            + self.tests.burns.capacity() * size_of::<[BurnTest; 2]>()
            + self.tests.recent.bytes()
    }
}

fn requests_of(guard: &Guard, all: Batch, shadow: Shadow) -> Option<Batch> {
    let copies =
        |bad, of| Some(Batch { candidate: whole(Part { bad, of }), stable: Part::default() });
    match &guard.rule {
        Rule::ErrorRate { .. } => Some(all),
        Rule::ShadowMismatch { .. } => copies(shadow.mismatched, shadow.compared),
        Rule::ShadowErrors { .. } => copies(shadow.failed, shadow.compared + shadow.failed),
        Rule::Latency { .. } | Rule::Signal { .. } => None,
    }
}
