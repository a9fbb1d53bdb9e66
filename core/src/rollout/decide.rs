//! The decision: from where a service stands and what is known, to what happens next.
//!
//! The order is the promise. First what the file says now, then everything that can roll
//! back, and only then, by phase, what waits. So no wait can ever hide a guard.

use super::consequence::{self, Conflict, Consequence, Intent};
use super::decision::{Decision, Event, Verdict};
use super::evidence::Evidence;
use super::guards::{self, Breach};
use super::position::{Course, Identity, Phase, Position};
use super::reason::RollbackReason;
use super::terms::{Outside, Terms};
use super::turn::Turn;
use super::{dark, inconclusive, paused, pending, queue, rest, rollback, supersede, watching};
use crate::time::Now;

/// The same arguments always give the same decision.
pub fn decide(
    terms: &Terms,
    position: &Position,
    evidence: &Evidence,
    outside: &Outside,
    now: Now,
) -> Decision {
    let mut turn = Turn::tick(terms, position, evidence, outside, now);
    relabel_stable(&mut turn);
    let active = turn.next.course.take_if(|course| !course.phase.is_over());
    let verdict = match active {
        None => rest::decide(&mut turn),
        Some(mut course) => {
            let verdict = under_way(&mut turn, &mut course);
            turn.next.course = Some(course);
            verdict
        }
    };
    turn.finish(verdict)
}

fn under_way(turn: &mut Turn<'_>, course: &mut Course) -> Verdict {
    let plan = match (turn.plan(), meant(turn, course)) {
        (_, Meant::Superseded(next)) => return supersede::by_file(turn, course, next),
        (Some(plan), Meant::GoesOn) => plan,
        (Some(_), Meant::Unlisted) | (None, _) => {
            let wanted = turn.terms.wanted();
            return rollback::perform(turn, course, RollbackReason::Unlisted { wanted });
        }
    };
    watching::follow_plan(turn, course, plan);
    guards::warn_of_low_budget(turn, course);
    if exposed(course) {
        match guards::look(turn, course) {
            Some(Breach::Rollback(why)) => return rollback::perform(turn, course, why),
            Some(Breach::Pause { rule, why }) => return paused::by_guard(turn, course, rule, why),
            None => {}
        }
    }
    match course.phase {
        Phase::Pending => pending::decide(turn, course, plan),
        Phase::Dark => dark::decide(turn, course, plan),
        Phase::Running | Phase::Holding => watching::decide(turn, course, plan),
        Phase::Paused => paused::decide(turn, course),
        Phase::Inconclusive => inconclusive::decide(turn, course, plan),
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
fn meant(turn: &mut Turn<'_>, course: &Course) -> Meant {
    match consequence::of_course(Intent::of(turn.terms), &turn.next, course, turn.outside) {
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

/// A rollout that waits for its first step has nothing that could be judged.
pub(super) fn exposed(course: &Course) -> bool {
    course.phase != Phase::Pending
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
