//! Between the outside's commands and core's.

use super::telling::state_of;
use crate::command::{Command, Order, Outcome, Refusal};
use crate::view::RolloutState;
use serin_core::ids::{RolloutId, ServiceName};
use serin_core::rollout::{
    Command as Asked, Decision, Event, Refusal as CoreRefusal, StartCommand,
};

pub(crate) fn to_core(order: &Order) -> Asked {
    let actor = order.actor.0.clone();
    match &order.command {
        Command::Start(start) => Asked::Start(StartCommand {
            to: start.to.clone(),
            release: start.release.clone(),
            reason: start.reason.clone(),
            committed_at: start.committed_at,
            supersede: start.supersede,
            actor,
        }),
        Command::Retry { reason } => Asked::Retry(StartCommand {
            to: None,
            release: None,
            reason: reason.clone(),
            committed_at: None,
            supersede: false,
            actor,
        }),
        Command::Promote { .. } => Asked::Promote { actor },
        Command::Pause { reason } => Asked::Pause { actor, reason: reason.clone() },
        Command::Resume { .. } => Asked::Resume { actor },
        Command::Abort { reason } => Asked::Abort { actor, reason: reason.clone() },
        Command::Weights { weights, reason } => {
            Asked::SetWeights { weights: weights.clone(), actor, reason: reason.clone() }
        }
    }
}

pub(crate) fn refusal(service: &ServiceName, refused: CoreRefusal) -> Refusal {
    let text = refused.to_string();
    match refused {
        CoreRefusal::UnknownVersion(version) => {
            Refusal::UnknownVersion { service: service.clone(), version: version.to_string() }
        }
        CoreRefusal::Objected(_) => Refusal::Frozen(text),
        CoreRefusal::NoPlan
        | CoreRefusal::NotPlanned { .. }
        | CoreRefusal::NotThatRelease { .. }
        | CoreRefusal::AlreadyStable(_)
        | CoreRefusal::UnderWay { .. }
        | CoreRefusal::NoRollout
        | CoreRefusal::Phase { .. }
        | CoreRefusal::Quarantined { .. }
        | CoreRefusal::NotTried(_)
        | CoreRefusal::ByHand
        | CoreRefusal::NoSuchGate(_)
        | CoreRefusal::OtherVersions { .. } => Refusal::NotNow(text),
    }
}

pub(crate) fn outcome(service: &ServiceName, revision: u64, decision: &Decision) -> Outcome {
    let course = decision.next.course.as_ref();
    // What was asked for comes next; the rollout in the position is the one before it.
    let comes = decision.events.iter().any(|event| match event {
        Event::Queued { .. } | Event::Superseded { .. } => true,
        Event::Started { .. }
        | Event::Dark { .. }
        | Event::Advanced { .. }
        | Event::SteppedBack { .. }
        | Event::SetByHand { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Promoted { .. }
        | Event::GateAnswered { .. }
        | Event::Warned { .. }
        | Event::RolledBack { .. }
        | Event::Unqueued { .. }
        | Event::Drained
        | Event::Completed { .. }
        | Event::Inconclusive { .. }
        | Event::PlanChanged { .. }
        | Event::StableChanged { .. }
        | Event::ClockJumped { .. }
        | Event::BudgetLow { .. }
        | Event::Retried { .. } => false,
    });
    let next = comes.then(|| RolloutId::new(service, decision.next.epoch.next()).to_string());
    let events: Vec<String> = decision.events.iter().map(ToString::to_string).collect();
    let message = if events.is_empty() { decision.verdict.to_string() } else { events.join("; ") };
    Outcome {
        service: service.to_string(),
        revision,
        state: match &next {
            Some(_) => Some(RolloutState::Pending),
            None => course.map(|course| state_of(course.phase)),
        },
        rollout: next.or_else(|| course.map(|course| course.id.to_string())),
        message,
        durable: true,
        repeated: false,
    }
}

/// The command as the journal remembers it.
pub(crate) fn text(order: &Order) -> String {
    format!("{:?}", order.command)
}

/// Two orders with one idempotency key must be the same order.
pub(crate) fn digest(service: &ServiceName, order: &Order) -> String {
    let text = format!("{service} {}", text(order));
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}
