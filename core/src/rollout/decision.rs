//! What is to happen, as a value. The controller stores it, publishes its split, and tells of
//! its events; it never asks why.

use super::position::{GateRef, Identity, Position};
use super::reason::{Grounds, HoldReason, RollbackReason};
use super::words::{Given, Span};
use crate::ids::RolloutId;
use crate::slo::Severity;
use crate::split::Split;
use crate::weights::BasisPoints;
use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub verdict: Verdict,
    /// Everything that stands against moving further; empty only when something moved.
    pub hold_reasons: Vec<HoldReason>,
    /// To be durable before `split` is published, unless it
    /// [equals](Position::equals_but_for_time) the one before.
    pub next: Position,
    pub split: Split,
    /// Publish `split` even if it equals the last one: that lifts the tripwires.
    pub lift_trip: bool,
    /// What happened, in order, for timeline and notifications.
    pub events: Vec<Event>,
    /// Gates that are to be asked now; each answer comes back as a command.
    pub asks: Vec<Ask>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Advance(Grounds),
    /// The weightiest hold reason. Also the verdict where no rollout is under way.
    Hold(HoldReason),
    Rollback(RollbackReason),
    Complete(Grounds),
    Inconclusive(HoldReason),
    /// By this candidate, whose rollout the next decision starts.
    Supersede(Identity),
}

impl Decision {
    /// Nothing has come of it but that time has passed since the position before.
    pub fn only_time_passed(&self, before: &Position) -> bool {
        self.events.is_empty() && self.next.equals_but_for_time(before)
    }
}

impl Verdict {
    /// The product's word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Advance(_) => "advance",
            Self::Hold(_) => "hold",
            Self::Rollback(_) => "rollback",
            Self::Complete(_) => "complete",
            Self::Inconclusive(_) => "inconclusive",
            Self::Supersede(_) => "supersede",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advance(grounds) => write!(f, "advance to {grounds}"),
            Self::Hold(why) => write!(f, "hold: {why}"),
            Self::Rollback(why) => write!(f, "roll back: {why}"),
            Self::Complete(grounds) => write!(f, "complete at {grounds}"),
            Self::Inconclusive(why) => write!(f, "inconclusive: {why}"),
            Self::Supersede(next) => write!(f, "make way for {next}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub rollout: RolloutId,
    pub gate: GateRef,
    pub url: String,
    pub timeout: Duration,
}

/// Something that happened to a service's rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Asked for, or begun by itself.
    Started {
        candidate: Identity,
        by: String,
    },
    /// The candidate gets copies.
    Dark {
        hold: Duration,
    },
    Advanced {
        from: BasisPoints,
        to: BasisPoints,
    },
    /// `rolling` lost endpoints of the candidate.
    SteppedBack {
        from: BasisPoints,
        to: BasisPoints,
    },
    /// A person set the weight.
    SetByHand {
        from: BasisPoints,
        to: BasisPoints,
        by: String,
    },
    Paused {
        by: String,
        why: String,
    },
    Resumed {
        by: String,
    },
    Promoted {
        by: String,
    },
    GateAnswered {
        gate: GateRef,
        by: String,
        refused: Option<String>,
    },
    /// A guard or burn rule with `action: notify`, or one that begins to stand.
    /// An item of a checklist is done, or is not done after all.
    Ticked {
        item: String,
        before: BasisPoints,
        done: bool,
        by: String,
    },
    Warned {
        rule: String,
        why: String,
        severity: Severity,
    },
    RolledBack {
        why: RollbackReason,
        from: BasisPoints,
        severity: Severity,
    },
    /// A completed rollout was taken back; what was stable before it is stable again.
    Undone {
        /// The rollout that is taken back.
        rollout: RolloutId,
        undone: Identity,
        why: RollbackReason,
    },
    /// The comparison with stable has proof for the first time: no traffic for a while, and then fresh
    /// traffic decides.
    SteppedAside {
        why: RollbackReason,
        from: BasisPoints,
        away: Duration,
        severity: Severity,
    },
    CameBack {
        to: BasisPoints,
        /// Stable had gone through the same meanwhile.
        cleared: bool,
    },
    /// Another candidate takes its place.
    Superseded {
        next: Identity,
        from: BasisPoints,
        by: String,
    },
    /// It starts when the rollout under way has ended.
    Queued {
        candidate: Identity,
        by: String,
    },
    Unqueued {
        candidate: Identity,
        why: String,
    },
    /// Open sessions had their ten minutes.
    Drained,
    Completed {
        stable: Identity,
    },
    Inconclusive {
        why: HoldReason,
    },
    /// The plan of a rollout under way was changed by a reload.
    PlanChanged {
        weight: BasisPoints,
    },
    /// The file lists another stable, or another release of it.
    StableChanged {
        from: Identity,
        to: Identity,
    },
    ClockJumped {
        by_ms: i64,
    },
    BudgetLow {
        left: f64,
    },
    Retried {
        identity: Identity,
        by: String,
    },
}

impl Event {
    /// One word, for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Dark { .. } => "dark",
            Self::Advanced { .. } => "advanced",
            Self::SteppedBack { .. } => "steppedBack",
            Self::SetByHand { .. } => "setByHand",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::Promoted { .. } => "promoted",
            Self::GateAnswered { .. } => "gateAnswered",
            Self::Ticked { .. } => "ticked",
            Self::Warned { .. } => "warned",
            Self::RolledBack { .. } => "rolledBack",
            Self::Undone { .. } => "undone",
            Self::SteppedAside { .. } => "asideOn",
            Self::CameBack { .. } => "cameBack",
            Self::Superseded { .. } => "superseded",
            Self::Queued { .. } => "queued",
            Self::Unqueued { .. } => "unqueued",
            Self::Drained => "drained",
            Self::Completed { .. } => "completed",
            Self::Inconclusive { .. } => "inconclusive",
            Self::PlanChanged { .. } => "planChanged",
            Self::StableChanged { .. } => "stableChanged",
            Self::ClockJumped { .. } => "clockJumped",
            Self::BudgetLow { .. } => "budgetLow",
            Self::Retried { .. } => "retried",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { candidate, by } => write!(f, "rollout of {candidate} started by {by}"),
            Self::Dark { hold } => write!(f, "the candidate gets copies for {}", Span(*hold)),
            Self::Advanced { from, to } => write!(f, "weight raised from {from} to {to}"),
            Self::SteppedBack { from, to } => {
                write!(f, "weight lowered from {from} to {to}: endpoints are not ready")
            }
            Self::SetByHand { from, to, by } => write!(f, "weight set from {from} to {to} by {by}"),
            Self::Paused { by, why } => write!(f, "paused by {by}{}", Given(why)),
            Self::Resumed { by } => write!(f, "resumed by {by}"),
            Self::Promoted { by } => write!(f, "promoted by {by}"),
            Self::GateAnswered { gate, by, refused: None } => write!(f, "{by} granted {gate}"),
            Self::GateAnswered { gate, by, refused: Some(detail) } => {
                write!(f, "{by} refused {gate}: {detail}")
            }
            Self::Ticked { item, before, done, by } => {
                let word = if *done { "ticked" } else { "took back" };
                write!(f, "{by} {word} {item:?} before {before}")
            }
            Self::Warned { rule, why, .. } => write!(f, "{rule}: {why}"),
            Self::RolledBack { why, from, .. } => write!(f, "rolled back from {from}: {why}"),
            Self::Undone { undone, why, .. } => write!(f, "{undone} was taken back: {why}"),
            Self::SteppedAside { why, from, away, .. } => write!(
                f,
                "stepped aside from {from} for {}, and fresh traffic decides: {why}",
                Span(*away)
            ),
            Self::CameBack { to, cleared: false } => write!(f, "back at {to}, on probation"),
            Self::CameBack { to, cleared: true } => {
                write!(f, "back at {to}: meanwhile stable failed as well")
            }
            Self::Superseded { next, from, by } => {
                write!(f, "superseded at {from} by {next}, as {by} asked")
            }
            Self::Queued { candidate, by } => write!(
                f,
                "{candidate} is queued by {by}; it starts when the rollout under way has ended"
            ),
            Self::Unqueued { candidate, why } => {
                write!(f, "{candidate} is no longer queued: {why}")
            }
            Self::Drained => f.write_str("open sessions had their time; all leave now"),
            Self::Completed { stable } => write!(f, "complete: {stable} is stable"),
            Self::Inconclusive { why } => write!(f, "inconclusive: {why}"),
            Self::PlanChanged { weight } => {
                write!(f, "the plan was changed; the weight stays at {weight}")
            }
            Self::StableChanged { from, to } => write!(f, "stable is {to} now, it was {from}"),
            Self::ClockJumped { by_ms } => write!(f, "the wall clock jumped by {by_ms} ms"),
            Self::BudgetLow { left } => {
                write!(f, "{} of the error budget is left", super::words::Percent(*left))
            }
            Self::Retried { identity, by } => write!(f, "quarantine of {identity} lifted by {by}"),
        }
    }
}
