//! What a person or a pipeline asks for. A command changes what is wanted and may lower a
//! weight at once; it is the next decision that raises one, if nothing stands against it.
//! The one exception is a weight set by hand.

use super::decision::{Decision, Event, Verdict};
use super::evidence::Evidence;
use super::plan::{OnBusy, Plan};
use super::position::{
    Answer, GateRef, Identity, Pause, Phase, Position, RolloutState, Stage, Started,
};
use super::reason::{HoldReason, RollbackReason};
use super::refusal::Refusal;
use super::terms::{Conditions, Terms};
use super::turn::Turn;
use super::{
    by_hand, decide, gates, guards, paused, queue, rest, rollback, supersede, undo, waits,
};
use crate::ids::VersionName;
use crate::time::{Now, Wall};
use crate::weights::{BasisPoints, Weights};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Start(Start),
    /// Leaves the present stage without its remaining hold and evidence, and grants what a
    /// person can grant. Never skips a guard, a freeze or a window.
    Promote {
        actor: String,
    },
    Pause {
        actor: String,
        reason: String,
    },
    Resume {
        actor: String,
    },
    Abort {
        actor: String,
        reason: String,
    },
    /// Takes back the rollout by which the present stable became stable.
    Undo {
        actor: String,
        reason: String,
    },
    /// Lifts the quarantine of what the plan brings in, and starts it.
    Retry(Start),
    SetWeights {
        weights: Weights,
        actor: String,
        reason: String,
    },
    /// An approval alone: hold and evidence are still waited for.
    Approve {
        /// The step's weight; `None`: of the next step.
        before: Option<BasisPoints>,
        actor: String,
    },
    /// Says that an item of a checklist ahead is done, or is not done after all.
    Tick {
        item: String,
        done: bool,
        actor: String,
    },
    /// What came of an [`Ask`](super::Ask).
    GateAnswered {
        gate: GateRef,
        answer: Answer,
        actor: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Must be what the plan brings in, when given.
    pub to: Option<VersionName>,
    /// Must be the listed release of it, when given.
    pub release: Option<String>,
    pub reason: String,
    pub committed_at: Option<Wall>,
    /// Takes the place of a rollout under way, whatever `onBusy` says.
    pub supersede: bool,
    pub actor: String,
}

/// Performs a command on a position. No time passes in it.
pub fn command(
    terms: &Terms,
    position: &Position,
    evidence: &Evidence,
    conditions: &Conditions,
    command: &Command,
    now: Now,
) -> Result<Decision, Refusal> {
    let mut turn = Turn::command(terms, position, evidence, conditions, now);
    let verdict = match command {
        Command::Start(asked) => start(&mut turn, asked),
        Command::Retry(asked) => retry(&mut turn, asked),
        Command::Undo { actor, reason } => undo::perform(&mut turn, actor, reason),
        Command::SetWeights { weights, actor, reason } => {
            by_hand::set(&mut turn, position, weights, actor, reason)
        }
        Command::Promote { .. }
        | Command::Pause { .. }
        | Command::Resume { .. }
        | Command::Abort { .. }
        | Command::Approve { .. }
        | Command::Tick { .. }
        | Command::GateAnswered { .. } => {
            let active = turn.next.rollout.take_if(|rollout| !rollout.phase.is_over());
            let mut rollout = active.ok_or(Refusal::NoRollout)?;
            let verdict = on_course(&mut turn, &mut rollout, command);
            turn.next.rollout = Some(rollout);
            verdict
        }
    }?;
    Ok(turn.finish(verdict))
}

fn on_course(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    command: &Command,
) -> Result<Verdict, Refusal> {
    match command {
        Command::Promote { actor } => promote(turn, rollout, actor),
        Command::Pause { actor, reason } => pause(turn, rollout, actor, reason),
        Command::Resume { actor } => resume(turn, rollout, actor),
        Command::Abort { actor, reason } => {
            let why = RollbackReason::Aborted { by: actor.clone(), reason: reason.clone() };
            let verdict = rollback::perform(turn, rollout, why);
            queue::drop_with_abort(turn);
            Ok(verdict)
        }
        Command::Approve { before, actor } => gates::approve(turn, rollout, *before, actor),
        Command::Tick { item, done, actor } => gates::tick(turn, rollout, item, *done, actor),
        Command::GateAnswered { gate, answer, actor } => {
            gates::answered(turn, rollout, gate, answer.clone(), actor)
        }
        Command::Start(_)
        | Command::Retry(_)
        | Command::Undo { .. }
        | Command::SetWeights { .. } => {
            Err(Refusal::Phase { phase: rollout.phase, command: "start" })
        }
    }
}

fn start(turn: &mut Turn<'_>, asked: &Start) -> Result<Verdict, Refusal> {
    let plan = startable(turn, asked)?;
    let wanted = Identity { version: plan.to.clone(), release: plan.release.clone() };
    if let Some(held) = turn.next.quarantine.iter().find(|held| held.identity == wanted) {
        return Err(Refusal::Quarantined { identity: wanted, why: held.why.clone() });
    }
    begin(turn, plan, asked)
}

fn retry(turn: &mut Turn<'_>, asked: &Start) -> Result<Verdict, Refusal> {
    let plan = startable(turn, asked)?;
    let wanted = Identity { version: plan.to.clone(), release: plan.release.clone() };
    let held = turn.next.quarantine.iter().any(|held| held.identity == wanted);
    let tried = turn.next.rollout.as_ref().is_some_and(|last| last.candidate == wanted);
    if !held && !tried {
        return Err(Refusal::NotTried(wanted));
    }
    turn.next.quarantine.retain(|held| held.identity != wanted);
    turn.events.push(Event::Retried { identity: wanted, by: asked.actor.clone() });
    begin(turn, plan, asked)
}

/// The plan, if what is asked for is what it says.
fn startable<'a>(turn: &Turn<'a>, asked: &Start) -> Result<&'a Plan, Refusal> {
    let plan = turn.plan().ok_or(Refusal::NoPlan)?;
    if let Some(to) = asked.to.as_ref().filter(|to| **to != plan.to) {
        return Err(Refusal::NotPlanned { asked: to.clone(), planned: plan.to.clone() });
    }
    if let Some(release) = asked.release.as_ref().filter(|release| **release != plan.release) {
        let listed = plan.release.clone();
        return Err(Refusal::NotThatRelease { asked: release.clone(), listed });
    }
    if turn.next.stable.version == plan.to {
        return Err(Refusal::AlreadyStable(turn.next.stable.clone()));
    }
    if turn.next.manual.is_some() {
        return Err(Refusal::ByHand);
    }
    Ok(plan)
}

fn begin(turn: &mut Turn<'_>, plan: &Plan, asked: &Start) -> Result<Verdict, Refusal> {
    let started = Started {
        at: turn.now.wall,
        by: asked.actor.clone(),
        reason: asked.reason.clone(),
        committed_at: asked.committed_at,
    };
    if let Some(mut rollout) = turn.next.rollout.take_if(|rollout| !rollout.phase.is_over()) {
        let verdict = behind(turn, &mut rollout, plan, asked, started);
        turn.next.rollout = Some(rollout);
        return verdict;
    }
    turn.next.queued = None;
    rest::begin(turn, plan, started);
    turn.hold_for(HoldReason::Accepted);
    Ok(turn.hold())
}

/// Another rollout is under way.
fn behind(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    plan: &Plan,
    asked: &Start,
    started: Started,
) -> Result<Verdict, Refusal> {
    let wanted = Identity { version: plan.to.clone(), release: plan.release.clone() };
    let (phase, candidate) = (rollout.phase, rollout.candidate.clone());
    if candidate == wanted {
        return Err(Refusal::UnderWay { phase, candidate });
    }
    let on_busy = if asked.supersede { OnBusy::Supersede } else { plan.on_busy };
    match (on_busy, &turn.conditions.freeze) {
        (OnBusy::Refuse, _) => Err(Refusal::UnderWay { phase, candidate }),
        (OnBusy::Supersede, Some(freeze)) => {
            let (by, reason) = (freeze.by.clone(), freeze.reason.clone());
            Err(Refusal::Held(vec![HoldReason::Frozen { by, reason }]))
        }
        (OnBusy::Supersede, None) => Ok(supersede::perform(turn, rollout, wanted, started)),
        (OnBusy::Queue, _) => {
            queue::add(turn, wanted, started);
            turn.hold_for(HoldReason::Accepted);
            Ok(turn.hold())
        }
    }
}

fn promote(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    actor: &str,
) -> Result<Verdict, Refusal> {
    let plan = turn.plan().ok_or(Refusal::NoPlan)?;
    let hold_reasons = unskippable(turn, rollout, plan);
    if !hold_reasons.is_empty() {
        return Err(Refusal::Held(hold_reasons));
    }
    if matches!(rollout.phase, Phase::Paused | Phase::Inconclusive) {
        go_on(rollout);
    }
    gates::approve_by_promotion(turn, rollout, actor);
    rollout.promoted = true;
    turn.events.push(Event::Promoted { by: actor.to_owned() });
    turn.hold_for(HoldReason::Accepted);
    Ok(turn.hold())
}

/// What stands against a promotion, looked at without changing anything.
pub(super) fn unskippable(turn: &Turn<'_>, rollout: &RolloutState, plan: &Plan) -> Vec<HoldReason> {
    let mut probe = Turn::command(turn.terms, &turn.next, turn.evidence, turn.conditions, turn.now);
    if decide::exposed(rollout) {
        let breach = guards::look(&mut probe, &mut rollout.clone());
        if let Some(guards::Breach::Rollback(why)) = breach {
            return vec![HoldReason::Breached(why)];
        }
    }
    waits::object_for_all(&mut probe, plan, true);
    probe.hold_reasons
}

fn pause(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    actor: &str,
    reason: &str,
) -> Result<Verdict, Refusal> {
    match rollout.phase {
        Phase::Pending | Phase::Dark | Phase::Running | Phase::Holding => {}
        phase @ (Phase::Paused
        | Phase::Inconclusive
        | Phase::RolledBack
        | Phase::Superseded
        | Phase::Complete) => {
            return Err(Refusal::Phase { phase, command: "pause" });
        }
    }
    let pause =
        Pause { by: actor.to_owned(), why: reason.to_owned(), at: turn.now.wall, guard: None };
    paused::enter(turn, rollout, pause);
    Ok(paused::decide(turn, rollout))
}

fn resume(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    actor: &str,
) -> Result<Verdict, Refusal> {
    match rollout.phase {
        Phase::Paused => {}
        // Another `giveUpAfter`: the stage is watched from its beginning.
        Phase::Inconclusive => rollout.held = Duration::ZERO,
        phase @ (Phase::Pending
        | Phase::Dark
        | Phase::Running
        | Phase::Holding
        | Phase::RolledBack
        | Phase::Superseded
        | Phase::Complete) => return Err(Refusal::Phase { phase, command: "resume" }),
    }
    go_on(rollout);
    turn.events.push(Event::Resumed { by: actor.to_owned() });
    turn.hold_for(HoldReason::Accepted);
    Ok(turn.hold())
}

/// Back to the phase that belongs to the stage.
fn go_on(rollout: &mut RolloutState) {
    rollout.pause = None;
    rollout.phase = match rollout.stage {
        Stage::Before if rollout.weight == BasisPoints::ZERO => Phase::Pending,
        Stage::Dark => Phase::Dark,
        Stage::Before | Stage::Step(_) => Phase::Holding,
    };
}
