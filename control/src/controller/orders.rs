//! Between the outside's commands and core's.

use super::records;
use super::snapshot::step_number;
use crate::command::{Command, Order, Outcome, Refusal};
use crate::journal::schema;
use crate::view::RolloutState;
use serin_core::ids::{RolloutId, ServiceName, VersionName};
use serin_core::rollout::{
    Command as CoreCommand, Decision, Event, HoldReason, Position, Refusal as CoreRefusal,
    StartCommand,
};
use serin_core::split::Split;
use serin_core::weights::BasisPoints;

pub(crate) fn to_core(order: &Order) -> CoreCommand {
    let actor = order.actor.0.clone();
    match &order.command {
        Command::Start(start) => CoreCommand::Start(StartCommand {
            to: start.to.clone(),
            release: start.release.clone(),
            reason: start.reason.clone(),
            committed_at: start.committed_at,
            supersede: start.supersede,
            actor,
        }),
        Command::Retry { reason } => CoreCommand::Retry(StartCommand {
            to: None,
            release: None,
            reason: reason.clone(),
            committed_at: None,
            supersede: false,
            actor,
        }),
        Command::Promote { .. } => CoreCommand::Promote { actor },
        Command::Pause { reason } => CoreCommand::Pause { actor, reason: reason.clone() },
        Command::Resume { .. } => CoreCommand::Resume { actor },
        Command::Abort { reason } => CoreCommand::Abort { actor, reason: reason.clone() },
        Command::Approve { before, .. } => CoreCommand::Approve { before: *before, actor },
        Command::Tick { item, done, .. } => {
            CoreCommand::Tick { item: item.clone(), done: *done, actor }
        }
        Command::Undo { reason } => CoreCommand::Undo { actor, reason: reason.clone() },
        Command::Weights { weights, reason } => {
            CoreCommand::SetWeights { weights: weights.clone(), actor, reason: reason.clone() }
        }
    }
}

/// Why a promotion is refused that was meant for another step than the present one.
pub(crate) fn elsewhere(order: &Order, position: &Position) -> Option<Refusal> {
    let Command::Promote { from_step: Some(asked), .. } = order.command else { return None };
    let at = step_number(position.active()?);
    let word = if at > asked { "already" } else { "still" };
    (at != asked).then(|| Refusal::NotNow(format!("the rollout is {word} at step {at}")))
}

pub(crate) fn refusal(service: &ServiceName, refused: CoreRefusal) -> Refusal {
    let text = refused.to_string();
    match refused {
        CoreRefusal::UnknownVersion(version) => {
            Refusal::UnknownVersion { service: service.clone(), version: version.to_string() }
        }
        CoreRefusal::NotAnApprover { .. } => Refusal::Forbidden(text),
        CoreRefusal::NoSuchItem { .. } => Refusal::Invalid(text),
        CoreRefusal::Held(_) => Refusal::Frozen(text),
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
        | CoreRefusal::NoApproval { .. }
        | CoreRefusal::NoNextStep
        | CoreRefusal::UndoUnderWay { .. }
        | CoreRefusal::NothingBefore(_)
        | CoreRefusal::FormerNotListed(_)
        | CoreRefusal::FormerReleased { .. }
        | CoreRefusal::FormerNotReady { .. }
        | CoreRefusal::OtherVersions { .. } => Refusal::NotNow(text),
    }
}

/// `before` is what was in force until then.
pub(crate) fn outcome(
    service: &ServiceName,
    revision: u64,
    decision: &Decision,
    before: &Split,
) -> Outcome {
    let rollout = decision.next.rollout.as_ref();
    // What was asked for comes next; the rollout in the position is the one before it.
    let comes = decision.events.iter().any(|event| match event {
        Event::Queued { .. } | Event::Superseded { .. } => true,
        Event::Started { .. }
        | Event::Dark { .. }
        | Event::Advanced { .. }
        | Event::SteppedBack { .. }
        | Event::SteppedAside { .. }
        | Event::CameBack { .. }
        | Event::SetByHand { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Promoted { .. }
        | Event::GateAnswered { .. }
        | Event::Ticked { .. }
        | Event::Warned { .. }
        | Event::RolledBack { .. }
        | Event::Undone { .. }
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
    let moved = rollout.and_then(|rollout| {
        let candidate = &rollout.candidate.version;
        let (from, to) = (before.weights.of(candidate), decision.split.weights.of(candidate));
        (from != to).then(|| format!("{from} → {to}"))
    });
    // The weights say the same.
    let other = |e: &&Event| moved.is_none() || !matches!(e, Event::Advanced { .. });
    let mut said: Vec<String> =
        decision.events.iter().filter(other).map(ToString::to_string).collect();
    said.extend(moved);
    let message = if said.is_empty() { decision.verdict.to_string() } else { said.join("; ") };
    Outcome {
        service: service.to_string(),
        revision,
        state: match &next {
            Some(_) => Some(RolloutState::Pending),
            None => rollout.map(|rollout| rollout.phase.into()),
        },
        rollout: next.or_else(|| {
            let about = records::taken_back(decision).or(rollout.map(|rollout| &rollout.id));
            about.map(ToString::to_string)
        }),
        message,
        durable: true,
        repeated: false,
    }
}

/// Whether a command leaves it to the next decision to move the rollout.
pub(crate) fn is_to_follow(decision: &Decision) -> bool {
    decision.next.active().is_some() && decision.hold_reasons.contains(&HoldReason::Accepted)
}

/// What came of a command, and of the decision that followed it.
pub(crate) fn followed(command: Outcome, then: Outcome) -> Outcome {
    Outcome { message: format!("{}; {}", command.message, then.message), ..then }
}

/// The command as the journal remembers it.
pub(crate) fn stored(order: &Order) -> schema::Command<'_> {
    match &order.command {
        Command::Start(start) => schema::Command::Start {
            to: start.to.as_ref().map(VersionName::as_str),
            release: start.release.as_deref(),
            reason: &start.reason,
            committed_at: start.committed_at.map(|at| at.0),
            supersede: start.supersede,
        },
        Command::Retry { reason } => schema::Command::Retry { reason },
        Command::Promote { reason, from_step } => {
            schema::Command::Promote { reason, from_step: *from_step }
        }
        Command::Pause { reason } => schema::Command::Pause { reason },
        Command::Resume { reason } => schema::Command::Resume { reason },
        Command::Abort { reason } => schema::Command::Abort { reason },
        Command::Approve { reason, before } => {
            schema::Command::Approve { before: before.map(BasisPoints::get), reason }
        }
        Command::Tick { reason, item, done } => schema::Command::Tick { item, done: *done, reason },
        Command::Undo { reason } => schema::Command::Undo { reason },
        Command::Weights { weights, reason } => schema::Command::Weights {
            weights: weights
                .iter()
                .map(|(version, points)| (version.as_str(), points.get()))
                .collect(),
            reason,
        },
    }
}
