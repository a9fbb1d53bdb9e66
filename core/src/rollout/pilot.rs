//! One service's objectives, judge and decision together: what the controller, the simulator
//! and the property tests drive. It holds what lives between ticks and does nothing by itself.
//!
//! A tick is `observe → judge → decide`; what was decided is in force only after
//! [`commit`](Pilot::commit), which the caller does once the decision is durable.

use super::command::{Command, command};
use super::decide::decide;
use super::decision::Decision;
use super::evidence::{Data, Evidence, Ready};
use super::plan::Plan;
use super::position::{Clock, Identity, Position, RolloutState};
use super::refusal::Refusal;
use super::terms::{Conditions, Terms};
use crate::ids::{Epoch, VersionName};
use crate::judge::{Judge, Seen};
use crate::measure::{Part, ServiceCounts, ServiceLatencies};
use crate::plane::Readiness;
use crate::slo::ServiceSlo;
use crate::stored::StoredError;
use crate::time::{Mono, Now};
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
/// Stable's windows from which what it usually does is learnt; the last is as long as they are kept.
const BEFORE: [Duration; 3] = [HOUR.saturating_mul(6), A_DAY, A_DAY.saturating_mul(3)];
const A_DAY: Duration = HOUR.saturating_mul(24);
/// Of its requests in a window, before the window says anything.
const TELLING: u64 = 1_000;

#[derive(Debug)]
pub struct Pilot {
    terms: Arc<Terms>,
    position: Position,
    slo: ServiceSlo,
    /// The rollout under way, and who judges it.
    judge: Option<(Epoch, Judge)>,
    evidence: Evidence,
    /// When counts came last.
    counted: Option<Mono>,
}

/// A business count pushed from outside: cumulative is not asked for, each push adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    pub version: VersionName,
    pub name: String,
    pub good: u64,
    pub total: u64,
}

/// What the data plane says at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// `None` when the data plane does not know the service.
    pub counts: Option<&'a ServiceCounts>,
    /// Present once a second, not with every tick.
    pub latencies: Option<&'a ServiceLatencies>,
    pub readiness: &'a [Readiness],
    /// How late this process's own threads are, when so late that its times are not believed.
    pub own_lag: Option<Duration>,
}

/// What is worth storing every few seconds beside the position: losing it costs certainty,
/// never safety.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    pub slo: Vec<u8>,
    /// Of the rollout with this epoch.
    pub judge: Option<(Epoch, Vec<u8>)>,
}

impl Pilot {
    /// `position` is what was stored last, or [`Position::at_rest`].
    /// Its clock is forgotten: it was another process's.
    pub fn new(terms: Arc<Terms>, mut position: Position, now: Mono) -> Self {
        position.clock = Clock::default();
        Self {
            slo: ServiceSlo::new(&terms.objectives, now),
            terms,
            position,
            judge: None,
            evidence: Evidence::default(),
            counted: None,
        }
    }

    /// Goes on after `downtime` with what was remembered. What cannot be read is reported and
    /// begins anew; the pilot is sound either way.
    pub fn resume(
        terms: Arc<Terms>,
        position: Position,
        memory: &Memory,
        downtime: Duration,
        now: Mono,
    ) -> (Self, Result<(), StoredError>) {
        let mut pilot = Self::new(terms, position, now);
        let read = pilot.recall(memory, downtime, now);
        (pilot, read)
    }

    fn recall(
        &mut self,
        memory: &Memory,
        downtime: Duration,
        now: Mono,
    ) -> Result<(), StoredError> {
        let objectives = &self.terms.objectives;
        if !memory.slo.is_empty() {
            self.slo = ServiceSlo::decode(objectives, &memory.slo, downtime, now)?;
        }
        let active = self.position.active();
        if let (Some((epoch, bytes)), Some(rollout)) = (&memory.judge, active)
            && rollout.epoch == *epoch
            && let Some(plan) = plan_for(&self.terms, rollout)
        {
            let stable = &self.position.stable.version;
            let judge = Judge::decode(&plan, objectives, stable, bytes, downtime, now)?;
            self.slo.set_objectives(judge.objectives());
            self.judge = Some((*epoch, judge));
        }
        Ok(())
    }

    pub fn memory(&self) -> Memory {
        Memory {
            slo: self.slo.encode(),
            judge: self.judge.as_ref().map(|(epoch, judge)| (*epoch, judge.encode())),
        }
    }

    /// After a reload. The next decision notices what has changed.
    pub fn set_terms(&mut self, terms: Arc<Terms>) {
        self.slo.set_objectives(&terms.objectives);
        let plan = self.position.active().and_then(|rollout| plan_for(&terms, rollout));
        if let (Some((_, judge)), Some(plan)) = (&mut self.judge, &plan) {
            judge.set_plan(plan, &terms.objectives);
            self.slo.set_objectives(judge.objectives());
        }
        self.terms = terms;
    }

    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    pub fn position(&self) -> &Position {
        &self.position
    }

    pub fn slo(&self) -> &ServiceSlo {
        &self.slo
    }

    /// What the latest decision rested on.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Counts for the rollout under way; without one a signal says nothing.
    pub fn signal(&mut self, signal: &Signal, now: Now) {
        if let Some((_, judge)) = &mut self.judge {
            judge.signal(signal, now.mono);
        }
    }

    pub fn tick(&mut self, observed: Observed<'_>, conditions: &Conditions, now: Now) -> Decision {
        self.judge(observed, now.mono);
        decide(&self.terms, &self.position, &self.evidence, conditions, now)
    }

    /// Uses what the latest tick knew.
    pub fn command(
        &self,
        asked: &Command,
        conditions: &Conditions,
        now: Now,
    ) -> Result<Decision, Refusal> {
        command(&self.terms, &self.position, &self.evidence, conditions, asked, now)
    }

    /// Makes a decision's position the present one, once it is durable. A decision that could
    /// not be stored is dropped instead, and the next tick decides again.
    pub fn commit(&mut self, next: Position) {
        self.position = next;
    }

    fn judge(&mut self, observed: Observed<'_>, now: Mono) {
        self.appoint(now);
        let Some(counts) = observed.counts else {
            self.evidence.data = match self.counted {
                None => Data::Missing,
                Some(at) => Data::Stale { age: now.since(at) },
            };
            return;
        };
        self.counted = Some(now);
        self.slo.observe(counts, observed.latencies, now);
        let rollout = self.position.active();
        self.evidence = match (rollout, &mut self.judge) {
            (Some(rollout), Some((_, judge))) => {
                let (stage, weight) = (rollout.stage, rollout.weight);
                let latencies = observed.latencies;
                let (returns, aside) = (rollout.returns, rollout.aside.is_some());
                let stable = &self.position.stable.version;
                let asks = judge.asks_before(weight, now);
                let stable_before = asks.then(|| before(&self.slo, stable, now));
                let seen = Seen { counts, latencies, stage, weight, returns, aside, stable_before };
                judge.observe(seen, now);
                judge.evidence(&self.slo, observed.readiness, now)
            }
            (Some(_) | None, _) => {
                at_rest(&self.slo, &self.terms, &self.position, observed.readiness)
            }
        };
        if !self.terms.objectives.promised {
            self.evidence.budget_left = None;
        }
        if let Some(by) = observed.own_lag {
            self.evidence.data = Data::Late { by };
        }
        let known = |rollout: &RolloutState| counts.of(&rollout.candidate.version).is_some();
        if rollout.is_some_and(|rollout| !known(rollout)) {
            self.evidence.data = Data::Missing;
        }
    }

    /// Each rollout has its own judge, from its first moment to its last.
    fn appoint(&mut self, now: Mono) {
        let Some(rollout) = self.position.active() else {
            if self.judge.take().is_some() {
                self.slo.set_objectives(&self.terms.objectives);
            }
            return;
        };
        if self.judge.as_ref().is_some_and(|(epoch, _)| *epoch == rollout.epoch) {
            return;
        }
        self.judge = plan_for(&self.terms, rollout).map(|plan| {
            let stable = &self.position.stable.version;
            let last_day = self.slo.done(stable, A_DAY, now).unwrap_or_default();
            let usual = usual(&self.slo, stable, now);
            let judge = Judge::new(&plan, &self.terms.objectives, stable).after(last_day, usual);
            (rollout.epoch, judge)
        });
        if let Some((_, judge)) = &self.judge {
            self.slo.set_objectives(judge.objectives());
        }
    }
}

/// The plan by which a rollout is judged: the file's, for its own candidate. The file may name the
/// next one already.
fn plan_for(terms: &Terms, rollout: &RolloutState) -> Option<Plan> {
    let Identity { version, release } = rollout.candidate.clone();
    terms.plan.clone().map(|plan| Plan { to: version, release, ..plan })
}

/// The share that stable usually fails. Of several windows the best: an outage of yesterday is nothing
/// that a candidate may do as well.
fn usual(slo: &ServiceSlo, stable: &VersionName, now: Mono) -> f64 {
    let done = BEFORE.into_iter().filter_map(|window| slo.done(stable, window, now));
    let shares = done.filter(|part| part.of >= TELLING).filter_map(Part::share);
    shares.min_by(f64::total_cmp).unwrap_or(0.0)
}

/// What stable did lately: in its last hour, or as far back as there are enough of its requests.
fn before(slo: &ServiceSlo, stable: &VersionName, now: Mono) -> Part {
    let windows = std::iter::once(HOUR).chain(BEFORE);
    let mut done = windows.filter_map(|window| slo.done(stable, window, now));
    let longest = slo.done(stable, BEFORE[2], now).unwrap_or_default();
    done.find(|part| part.of >= TELLING).unwrap_or(longest)
}

/// No rollout is under way: what its start would have to know.
fn at_rest(
    slo: &ServiceSlo,
    terms: &Terms,
    position: &Position,
    readiness: &[Readiness],
) -> Evidence {
    let of = |version: &VersionName| {
        let found = readiness.iter().find(|r| r.version == *version)?;
        Some(Ready { ready: found.ready, total: found.total })
    };
    Evidence {
        data: Data::Fresh,
        budget_left: slo.budget_left(),
        candidate_ready: terms.plan.as_ref().and_then(|plan| of(&plan.to)),
        stable_ready: of(&position.stable.version),
        former_ready: position.former.last().and_then(|former| of(&former.identity.version)),
        ..Evidence::default()
    }
}
