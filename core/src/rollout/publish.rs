//! From a position to the split that makes the data plane obey it.

use super::evidence::Evidence;
use super::plan::{Harm, OnRollback};
use super::position::{Phase, Position, RolloutState};
use super::terms::Terms;
use crate::split::{HarmCeiling, InForce, Sessions, Split};
use crate::weights::{BasisPoints, Weights};
use std::num::NonZeroU32;
use std::time::Duration;

/// The split of a service. Before its first step and after it is complete, a rollout is not
/// visible in the data plane; after a rollback it stays visible, so that sessions leave.
pub fn split_of(terms: &Terms, position: &Position, evidence: &Evidence) -> Split {
    let stable = position.stable.version.clone();
    let rest = |weights| Split {
        service: terms.service.clone(),
        stable: stable.clone(),
        weights,
        rollout: None,
    };
    let in_force = position.rollout.as_ref().and_then(|rollout| in_force(terms, rollout, evidence));
    match (in_force, &position.manual) {
        (Some(rollout), None) if rollout.candidate != stable => Split {
            weights: Weights::two(stable.clone(), rollout.candidate.clone(), rollout.weight),
            rollout: Some(rollout),
            ..rest(Weights::all_to(stable.clone()))
        },
        (Some(_) | None, Some(manual)) => rest(manual.weights.clone()),
        (Some(_) | None, None) => rest(Weights::all_to(stable.clone())),
    }
}

/// How long the data plane may go by an older tripwire, and by a ceiling of harm that is too low.
const STALE: Duration = Duration::from_secs(1);

/// Whether the data plane has to be told of `next` now. Each publication begins the tripwire's
/// run anew, so what changes with every count (the run's length, and how much harm stable's
/// failures forgive) is told once a second at most.
pub fn is_news(published: &Split, next: &Split, ago: Duration) -> bool {
    if published == next {
        return false;
    }
    let armed = |s: &Split| s.rollout.as_ref().is_some_and(|r| r.tripwire.is_some());
    let mut sunk = false;
    let mut like = next.clone();
    if let (Some(next), Some(before)) = (&mut like.rollout, &published.rollout) {
        let (new, old) = (next.harm_ceiling, before.harm_ceiling);
        sunk = is_below(new.failed_requests, old.failed_requests) || is_below(new.users, old.users);
        next.harm_ceiling = old;
        next.tripwire = before.tripwire;
    }
    sunk || like != *published || armed(next) != armed(published) || ago >= STALE
}

fn is_below(new: Option<u64>, old: Option<u64>) -> bool {
    new.is_some_and(|new| old.is_none_or(|old| new < old))
}

fn in_force(terms: &Terms, rollout: &RolloutState, evidence: &Evidence) -> Option<InForce> {
    let sessions = match rollout.phase {
        Phase::Pending | Phase::Dark | Phase::Complete => return None,
        Phase::RolledBack | Phase::Superseded => sessions_after_rollback(terms, rollout),
        Phase::Running | Phase::Holding | Phase::Paused | Phase::Inconclusive => Sessions::Honour,
    };
    let over = rollout.phase.is_over();
    if rollout.weight == BasisPoints::ZERO && !over {
        return None;
    }
    let plan = terms.plan.as_ref();
    Some(InForce {
        id: rollout.id.clone(),
        epoch: rollout.epoch,
        salt: rollout.salt,
        candidate: rollout.candidate.version.clone(),
        weight: rollout.weight,
        of: rollout.of,
        sessions,
        tripwire: evidence.tripwire.and_then(NonZeroU32::new).filter(|_| !over),
        harm_ceiling: plan.map_or(HarmCeiling::default(), |plan| harm_ceiling(plan.harm, evidence)),
        rescue: plan.is_some_and(|plan| plan.rescue) && !over,
    })
}

fn sessions_after_rollback(terms: &Terms, rollout: &RolloutState) -> Sessions {
    let drains = terms.plan.as_ref().is_some_and(|plan| plan.on_rollback == OnRollback::Drain);
    if drains && rollout.drained < super::DRAIN_AT_MOST {
        Sessions::Drain
    } else {
        Sessions::Revoke
    }
}

fn harm_ceiling(harm: Harm, evidence: &Evidence) -> HarmCeiling {
    let done = evidence.harm;
    let ceiling = |cap: Option<u64>, forgiven: u64, earlier: u64| {
        cap.map(|cap| cap.saturating_add(forgiven).saturating_sub(earlier))
    };
    HarmCeiling {
        failed_requests: ceiling(
            harm.failed_requests,
            done.forgiven.requests.saturating_add(done.repeated),
            done.earlier.requests,
        ),
        users: ceiling(harm.users, done.forgiven.users, done.earlier.users),
    }
}
