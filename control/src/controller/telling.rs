//! Core's events in the words of the outside.

use crate::event::{Event, EventKind};
use crate::view::{Timestamp, WaitingFor};
use serin_core::rollout::{Decision, Event as Happened, GateRefKind, HoldReason, RollbackReason};
use serin_core::slo::Severity;
use serin_core::split::Split;
use std::collections::BTreeMap;

/// Basis points by version.
pub(crate) fn weights_of(split: &Split) -> BTreeMap<String, u16> {
    split.weights.iter().map(|(version, points)| (version.to_string(), points.get())).collect()
}

/// An event of a service; its id is given when it is recorded.
pub(crate) fn told(happened: &Happened, at: Timestamp, decision: &Decision) -> Event {
    // Weights by hand are of no rollout, unless one is under way.
    let at_rest = decision.next.active().is_none() && is_by_hand(happened);
    let latest = decision.next.rollout.as_ref().filter(|_| !at_rest).map(|rollout| &rollout.id);
    // Another one may have come after the one that is taken back.
    let rollout =
        if let Happened::Undone { rollout, .. } = happened { Some(rollout) } else { latest };
    Event {
        id: 0,
        at,
        kind: kind_of(happened),
        service: Some(decision.split.service.to_string()),
        rollout: rollout.map(ToString::to_string),
        severity: severity_of(happened).map(|s| s.as_str().to_owned()),
        message: happened.to_string(),
        actor: actor_of(happened).map(str::to_owned),
        weights: weights_of(&decision.split),
    }
}

pub(crate) fn is_by_hand(happened: &Happened) -> bool {
    matches!(happened, Happened::SetByHand { .. })
}

fn kind_of(happened: &Happened) -> EventKind {
    match happened {
        Happened::Started { .. } => EventKind::Started,
        Happened::Dark { .. } | Happened::Advanced { .. } => EventKind::Advanced,
        Happened::SteppedBack { .. } | Happened::SetByHand { .. } | Happened::CameBack { .. } => {
            EventKind::WeightSet
        }
        Happened::Paused { .. } => EventKind::Paused,
        Happened::Resumed { .. } | Happened::Promoted { .. } | Happened::Retried { .. } => {
            EventKind::Resumed
        }
        Happened::GateAnswered { .. }
        | Happened::Ticked { .. }
        | Happened::Queued { .. }
        | Happened::Unqueued { .. }
        | Happened::Drained
        | Happened::PlanChanged { .. }
        | Happened::StableChanged { .. } => EventKind::Waiting,
        Happened::Warned { .. } | Happened::SteppedAside { .. } | Happened::ClockJumped { .. } => {
            EventKind::Warning
        }
        Happened::RolledBack { .. } => EventKind::RolledBack,
        Happened::Undone { .. } => EventKind::Undone,
        Happened::Superseded { .. } => EventKind::Superseded,
        Happened::Completed { .. } => EventKind::Completed,
        Happened::Inconclusive { .. } => EventKind::Inconclusive,
        Happened::BudgetLow { .. } => EventKind::BudgetLow,
    }
}

fn severity_of(happened: &Happened) -> Option<Severity> {
    match happened {
        Happened::Warned { severity, .. }
        | Happened::SteppedAside { severity, .. }
        | Happened::RolledBack { severity, .. } => Some(*severity),
        Happened::Undone { .. } => Some(Severity::P2),
        Happened::Inconclusive { .. } | Happened::BudgetLow { .. } => Some(Severity::P3),
        Happened::Started { .. }
        | Happened::Dark { .. }
        | Happened::Advanced { .. }
        | Happened::SteppedBack { .. }
        | Happened::CameBack { .. }
        | Happened::SetByHand { .. }
        | Happened::Paused { .. }
        | Happened::Resumed { .. }
        | Happened::Promoted { .. }
        | Happened::GateAnswered { .. }
        | Happened::Ticked { .. }
        | Happened::Superseded { .. }
        | Happened::Queued { .. }
        | Happened::Unqueued { .. }
        | Happened::Drained
        | Happened::Completed { .. }
        | Happened::PlanChanged { .. }
        | Happened::StableChanged { .. }
        | Happened::ClockJumped { .. }
        | Happened::Retried { .. } => None,
    }
}

fn actor_of(happened: &Happened) -> Option<&str> {
    match happened {
        Happened::Started { by, .. }
        | Happened::SetByHand { by, .. }
        | Happened::Paused { by, .. }
        | Happened::Resumed { by }
        | Happened::Promoted { by }
        | Happened::GateAnswered { by, .. }
        | Happened::Ticked { by, .. }
        | Happened::Superseded { by, .. }
        | Happened::Queued { by, .. }
        | Happened::Retried { by, .. }
        | Happened::RolledBack {
            why: RollbackReason::Aborted { by, .. } | RollbackReason::Undone { by, .. },
            ..
        }
        | Happened::Undone {
            why: RollbackReason::Aborted { by, .. } | RollbackReason::Undone { by, .. },
            ..
        } => Some(by),
        Happened::Dark { .. }
        | Happened::Advanced { .. }
        | Happened::SteppedBack { .. }
        | Happened::SteppedAside { .. }
        | Happened::CameBack { .. }
        | Happened::Warned { .. }
        | Happened::RolledBack { .. }
        | Happened::Undone { .. }
        | Happened::Unqueued { .. }
        | Happened::Drained
        | Happened::Completed { .. }
        | Happened::Inconclusive { .. }
        | Happened::PlanChanged { .. }
        | Happened::StableChanged { .. }
        | Happened::ClockJumped { .. }
        | Happened::BudgetLow { .. } => None,
    }
}

/// What the next step waits for: the weightiest hold reason's kind.
pub(crate) fn waiting_for(hold_reason: &HoldReason) -> Option<WaitingFor> {
    Some(match hold_reason {
        HoldReason::Idle(_) => return None,
        HoldReason::Paused { .. } | HoldReason::GaveUp { .. } | HoldReason::Quarantined { .. } => {
            WaitingFor::Operator
        }
        HoldReason::NoData(_)
        | HoldReason::JustStarted
        | HoldReason::ClockJumped { .. }
        | HoldReason::GuardStanding { .. }
        | HoldReason::GuardDoubtful { .. }
        | HoldReason::Burning { .. }
        | HoldReason::Aside { .. }
        | HoldReason::ClientErrors { .. }
        | HoldReason::FewClients { .. }
        | HoldReason::NoReading { .. }
        | HoldReason::Tripped
        | HoldReason::Breached(_)
        | HoldReason::Accepted
        | HoldReason::TooFewSamples(_)
        | HoldReason::NotProven { .. } => WaitingFor::Evidence,
        HoldReason::StableWorse { .. } => WaitingFor::Operator,
        HoldReason::SharedCause(_) | HoldReason::StableAsWell { .. } => WaitingFor::SharedCause,
        HoldReason::NotReady(_) | HoldReason::TooFewReady { .. } => WaitingFor::Readiness,
        HoldReason::Frozen { .. } => WaitingFor::Freeze,
        HoldReason::BudgetFrozen { .. } => WaitingFor::Budget,
        HoldReason::Window { .. } => WaitingFor::Window,
        HoldReason::HoldRunning { .. } => WaitingFor::Hold,
        HoldReason::Gate { gate, .. } => match gate.kind {
            GateRefKind::Approval => WaitingFor::Approval,
            GateRefKind::Item { .. } => WaitingFor::Checklist,
            GateRefKind::Webhook { .. } => WaitingFor::Webhook,
            GateRefKind::Shadow => WaitingFor::Shadow,
            GateRefKind::Budget => WaitingFor::Budget,
        },
        HoldReason::Approvals { .. } => WaitingFor::Approval,
        HoldReason::Checklist { .. } => WaitingFor::Checklist,
        HoldReason::Shadow { .. } => WaitingFor::Shadow,
    })
}
