//! Between the outside's commands and core's.

use super::telling::state_of;
use crate::command::{Command, Order, Outcome, Refusal};
use serin_core::ids::ServiceName;
use serin_core::rollout::{Command as Asked, Decision, Refusal as CoreRefusal, StartCommand};

pub(crate) fn to_core(order: &Order) -> Asked {
    let actor = order.actor.0.clone();
    match &order.command {
        Command::Start(start) => Asked::Start(StartCommand {
            to: start.to.clone(),
            release: start.release.clone(),
            reason: start.reason.clone(),
            committed_at: start.committed_at,
            actor,
        }),
        Command::Retry { reason } => Asked::Retry(StartCommand {
            to: None,
            release: None,
            reason: reason.clone(),
            committed_at: None,
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
    let events: Vec<String> = decision.events.iter().map(ToString::to_string).collect();
    let message = if events.is_empty() { decision.verdict.to_string() } else { events.join("; ") };
    Outcome {
        service: service.to_string(),
        revision,
        rollout: course.map(|course| course.id.to_string()),
        state: course.map(|course| state_of(course.phase)),
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
