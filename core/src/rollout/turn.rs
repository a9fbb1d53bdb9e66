//! One decision in the making: what it reads, and what it has collected so far.

use super::decision::{Ask, Decision, Event, Verdict};
use super::evidence::{Data, Evidence};
use super::plan::Plan;
use super::position::{Clock, Position};
use super::publish::split_of;
use super::reason::HoldReason;
use super::terms::{Conditions, Terms};
use crate::time::Now;
use std::time::Duration;

/// A gap between two decisions counts for no more than this: in a longer one nobody watched.
pub(super) const WATCHED_AT_MOST: Duration = Duration::from_secs(2);
/// By how much the two clocks may disagree over one gap.
const JUMP_MS: i64 = 2_000;
/// How long they must agree again before the wall clock is believed.
const SETTLES_IN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) terms: &'a Terms,
    pub(super) evidence: &'a Evidence,
    pub(super) conditions: &'a Conditions,
    pub(super) now: Now,
    /// How much watched time this turn adds.
    pub(super) elapsed: Duration,
    /// The first turn after a start or restart.
    pub(super) first: bool,
    pub(super) next: Position,
    pub(super) hold_reasons: Vec<HoldReason>,
    pub(super) events: Vec<Event>,
    pub(super) asks: Vec<Ask>,
}

impl<'a> Turn<'a> {
    /// A tick's turn: time passes.
    pub(super) fn tick(
        terms: &'a Terms,
        position: &Position,
        evidence: &'a Evidence,
        conditions: &'a Conditions,
        now: Now,
    ) -> Self {
        let mut turn = Self::command(terms, position, evidence, conditions, now);
        turn.run_clock();
        turn
    }

    /// A command's turn: no time passes, so that commands cannot hurry anything.
    pub(super) fn command(
        terms: &'a Terms,
        position: &Position,
        evidence: &'a Evidence,
        conditions: &'a Conditions,
        now: Now,
    ) -> Self {
        Self {
            terms,
            evidence,
            conditions,
            now,
            elapsed: Duration::ZERO,
            first: position.clock.last.is_none(),
            next: position.clone(),
            hold_reasons: Vec::new(),
            events: Vec::new(),
            asks: Vec::new(),
        }
    }

    fn run_clock(&mut self) {
        let Clock { last, unsettled } = self.next.clock;
        let mut unsettled = unsettled;
        if let Some(last) = last {
            let gap = self.now.mono.since(last.mono);
            self.elapsed = gap.min(WATCHED_AT_MOST);
            let wall_gap = self.now.wall.0.saturating_sub(last.wall.0);
            let by_ms = wall_gap.saturating_sub(i64::try_from(gap.as_millis()).unwrap_or(i64::MAX));
            unsettled = unsettled.saturating_sub(self.elapsed);
            if by_ms.saturating_abs() > JUMP_MS {
                unsettled = SETTLES_IN;
                self.events.push(Event::ClockJumped { by_ms });
            }
        }
        self.next.clock = Clock { last: Some(self.now), unsettled };
    }

    pub(super) fn plan(&self) -> Option<&'a Plan> {
        self.terms.plan.as_ref()
    }

    pub(super) fn has_data(&self) -> bool {
        self.evidence.data == Data::Fresh
    }

    pub(super) fn hold_for(&mut self, hold_reason: HoldReason) {
        self.hold_reasons.push(hold_reason);
    }

    /// The verdict of a turn in which nothing moved: the weightiest hold reason.
    pub(super) fn hold(&self) -> Verdict {
        let unnamed = HoldReason::NoData(self.evidence.data);
        Verdict::Hold(self.hold_reasons.first().cloned().unwrap_or(unnamed))
    }

    pub(super) fn finish(self, verdict: Verdict) -> Decision {
        Decision {
            verdict,
            split: split_of(self.terms, &self.next, self.evidence),
            lift_trip: self.evidence.tripped,
            hold_reasons: self.hold_reasons,
            next: self.next,
            events: self.events,
            asks: self.asks,
        }
    }
}
