//! The decision: from where a service stands and what is known, to what happens next.
//!
//! The order is the promise. First what the file says now, then everything that can roll
//! back, and only then, by phase, what waits. So no wait can ever hide a guard.

use super::decision::{Decision, Event, Verdict};
use super::evidence::Evidence;
use super::guards::{self, Breach};
use super::plan::Plan;
use super::position::{Course, Identity, Phase, Position};
use super::reason::RollbackReason;
use super::terms::{Outside, Terms};
use super::turn::Turn;
use super::{dark, inconclusive, paused, pending, rest, rollback, watching};
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
    adopt_stable(&mut turn);
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
    let plan = match turn.plan() {
        Some(plan) if wants(turn, plan, course) => plan,
        Some(_) | None => {
            let wanted = turn.terms.wanted();
            return rollback::perform(turn, course, RollbackReason::Superseded { wanted });
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
        Phase::RolledBack | Phase::Complete => turn.hold(),
    }
}

/// Whether the file still wants this very candidate, against a stable that is another version.
fn wants(turn: &Turn<'_>, plan: &Plan, course: &Course) -> bool {
    let Identity { version, release } = &course.candidate;
    plan.to == *version && plan.release == *release && turn.next.stable.version != *version
}

/// A rollout that waits for its first step has nothing that could be judged.
pub(super) fn exposed(course: &Course) -> bool {
    course.phase != Phase::Pending
}

/// The position knows best which version is stable; the file knows which versions there are.
fn adopt_stable(turn: &mut Turn<'_>) {
    let from = turn.next.stable.clone();
    let listed = turn.terms.listed(&from.version).cloned();
    let to = listed.unwrap_or_else(|| turn.terms.file_stable());
    if to != from {
        rest::remember(&mut turn.next, &to);
        turn.next.stable = to.clone();
        turn.events.push(Event::StableChanged { from, to });
    }
}
