//! Between the outside's commands and core's.

use super::flight::Flight;
use super::telling::state_of;
use crate::command::{Command, Order, Outcome, Refusal};
use serin_core::ids::ServiceName;
use serin_core::rollout::{Command as Asked, Decision, Refusal as CoreRefusal, StartCommand};
use serin_core::weights::Weights;

pub(crate) fn to_core(flight: &Flight, order: &Order) -> Result<Asked, Refusal> {
    let actor = order.actor.0.clone();
    Ok(match &order.command {
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
        Command::Weight { weight, reason } => {
            let position = flight.pilot.position();
            let under_way = position.active().map(|course| course.candidate.version.clone());
            let planned = || flight.pilot.terms().plan.as_ref().map(|plan| plan.to.clone());
            let stable = position.stable.version.clone();
            let candidate = under_way.or_else(planned).filter(|c| *c != stable).ok_or_else(|| {
                Refusal::NotNow(format!(
                    "{} has no candidate to give weight to: its configuration plans no rollout away from {stable}",
                    flight.name
                ))
            })?;
            let weights = Weights::two(stable, candidate, *weight);
            Asked::SetWeights {
                weights,
                actor,
                reason: if reason.is_empty() { "by hand".to_owned() } else { reason.clone() },
            }
        }
    })
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
