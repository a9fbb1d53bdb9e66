//! One rollout's tests, fed by the tick.

use crate::ids::VersionName;
use crate::measure::{ServiceCounts, ServiceLatencies};
use crate::plane::Readiness;
use crate::rollout::{Evidence, Plan, Signal, Stage};
use crate::slo::{Objectives, ServiceSlo};
use crate::stored::StoredError;
use crate::time::Mono;
use crate::weights::BasisPoints;
use std::time::Duration;

/// What the data plane said at one moment, and the stage of the rollout that it was said in.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub counts: &'a ServiceCounts,
    /// Once a second, not with every tick.
    pub latencies: Option<&'a ServiceLatencies>,
    pub stage: Stage,
    /// The candidate's, in force.
    pub weight: BasisPoints,
}

#[derive(Debug, Clone)]
pub struct Judge {
    plan: Plan,
    objectives: Objectives,
    candidate: VersionName,
    stable: VersionName,
}

impl Judge {
    /// For a rollout that begins now: what the counters hold already is not its doing.
    pub fn new(plan: &Plan, objectives: &Objectives, stable: &VersionName) -> Self {
        Self {
            plan: plan.clone(),
            objectives: objectives.clone(),
            candidate: plan.to.clone(),
            stable: stable.clone(),
        }
    }

    /// After a reload. Tests whose question is still the same go on, the others begin anew.
    pub fn set_plan(&mut self, plan: &Plan, objectives: &Objectives) {
        (self.plan, self.objectives) = (plan.clone(), objectives.clone());
    }

    pub fn observe(&mut self, seen: Seen<'_>, now: Mono) {
        let _ = (seen, now);
    }

    /// A business count pushed from outside; each push adds.
    pub fn signal(&mut self, signal: &Signal, now: Mono) {
        let _ = (signal, now);
    }

    /// Every number a decision rests on. Asking changes nothing.
    pub fn evidence(&self, slo: &ServiceSlo, readiness: &[Readiness], now: Mono) -> Evidence {
        let _ = (slo, readiness, now, &self.candidate, &self.stable);
        Evidence::default()
    }

    /// What to store every few seconds and on shutdown: a few KB.
    pub fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Goes on after `downtime` with everything that was known, against counters that begin anew.
    pub fn decode(
        plan: &Plan,
        objectives: &Objectives,
        stable: &VersionName,
        bytes: &[u8],
        downtime: Duration,
        now: Mono,
    ) -> Result<Self, StoredError> {
        let _ = (bytes, downtime, now);
        Ok(Self::new(plan, objectives, stable))
    }
}
