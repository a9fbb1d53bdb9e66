//! The decision: from where a service stands and what is known, to what happens next.
//!
//! The order is the promise. First what the file says now, then everything that can roll
//! back, and only then, by phase, what waits. So no wait can ever hide a guard.

use super::consequence::{self, Conflict, Consequence, Intent};
use super::decision::{Decision, Event, Verdict};
use super::evidence::Evidence;
use super::guards::{self, Breach};
use super::position::{Identity, Phase, Position, RolloutState};
use super::reason::RollbackReason;
use super::terms::{Conditions, Terms};
use super::turn::Turn;
use super::{
    aside, dark, inconclusive, paused, pending, queue, rest, rollback, supersede, watching,
};
use crate::time::Now;
use crate::weights::BasisPoints;

/// The same arguments always give the same decision.
pub fn decide(
    terms: &Terms,
    position: &Position,
    evidence: &Evidence,
    conditions: &Conditions,
    now: Now,
) -> Decision {
    let mut turn = Turn::tick(terms, position, evidence, conditions, now);
    relabel_stable(&mut turn);
    let active = turn.next.rollout.take_if(|rollout| !rollout.phase.is_over());
    let verdict = match active {
        None => rest::decide(&mut turn),
        Some(mut rollout) => {
            let verdict = under_way(&mut turn, &mut rollout);
            turn.next.rollout = Some(rollout);
            verdict
        }
    };
    turn.finish(verdict)
}

fn under_way(turn: &mut Turn<'_>, rollout: &mut RolloutState) -> Verdict {
    let plan = match (turn.plan(), meant(turn, rollout)) {
        (_, Meant::Superseded(next)) => return supersede::by_file(turn, rollout, next),
        (Some(plan), Meant::GoesOn) => plan,
        (Some(_), Meant::Unlisted) | (None, _) => {
            let wanted = turn.terms.wanted();
            return rollback::perform(turn, rollout, RollbackReason::Unlisted { wanted });
        }
    };
    watching::follow_plan(turn, rollout, plan);
    guards::warn_of_low_budget(turn, rollout);
    if exposed(rollout) {
        match guards::look(turn, rollout) {
            Some(Breach::Rollback(why)) if aside::is_due(turn, rollout, &why) => {
                return aside::step(turn, rollout, why);
            }
            Some(Breach::Rollback(why)) => return rollback::perform(turn, rollout, why),
            Some(Breach::Pause { rule, why }) => return paused::by_guard(turn, rollout, rule, why),
            None => {}
        }
    }
    match rollout.phase {
        Phase::Pending => pending::decide(turn, rollout, plan),
        Phase::Dark => dark::decide(turn, rollout, plan),
        Phase::Running | Phase::Holding => match aside::decide(turn, rollout, plan) {
            Some(verdict) => verdict,
            None => watching::decide(turn, rollout, plan),
        },
        Phase::Paused => paused::decide(turn, rollout),
        Phase::Inconclusive => inconclusive::decide(turn, rollout, plan),
        Phase::RolledBack | Phase::Superseded | Phase::Complete => turn.hold(),
    }
}

enum Meant {
    GoesOn,
    /// By what starts in its place.
    Superseded(Identity),
    /// It cannot go on. A reload refuses such a file; only a start finds one.
    Unlisted,
}

/// What the file means for the rollout under way, and for what waits behind it.
fn meant(turn: &mut Turn<'_>, rollout: &RolloutState) -> Meant {
    match consequence::of_course(Intent::of(turn.terms), &turn.next, rollout, turn.conditions) {
        Consequence::Supersedes { next, .. } => Meant::Superseded(next),
        Consequence::Queues { next, .. } => {
            queue::add_by_itself(turn, next);
            Meant::GoesOn
        }
        Consequence::GoesOn(_) | Consequence::Rests | Consequence::Starts(_) => {
            queue::drop_unwanted(turn);
            Meant::GoesOn
        }
        Consequence::Refused(conflict) => match conflict {
            Conflict::BackToStable { .. }
            | Conflict::Busy { .. }
            | Conflict::CopiesElsewhere { .. } => Meant::GoesOn,
            Conflict::StableGone(_)
            | Conflict::StableReleased { .. }
            | Conflict::CandidateGone { .. }
            | Conflict::CandidateReleased { .. }
            | Conflict::PlanGone { .. }
            | Conflict::ServiceGone { .. }
            | Conflict::WeightedGone { .. }
            | Conflict::WeightedReleased { .. }
            | Conflict::EndpointMoved { .. } => Meant::Unlisted,
        },
    }
}

/// A rollout that waits for its first step has nothing that could be judged, nor has one that has stepped
/// aside: what is known of it is what made it step.
pub(super) fn exposed(rollout: &RolloutState) -> bool {
    let away = rollout.aside.is_some() && rollout.weight == BasisPoints::ZERO;
    rollout.phase != Phase::Pending && !away
}

/// Where nothing is ever judged, a release is a label: stable takes the file's. Which version is
/// stable, the position alone knows.
fn relabel_stable(turn: &mut Turn<'_>) {
    let from = turn.next.stable.clone();
    let to = turn.terms.listed(&from.version).filter(|listed| **listed != from).cloned();
    if let (Some(to), None) = (to, turn.plan()) {
        rest::remember(&mut turn.next, &to);
        turn.next.stable = to.clone();
        turn.events.push(Event::StableChanged { from, to });
    }
}
