//! Back to stable, at once and for good: only a person's start or retry begins again.

use super::decision::{Event, Verdict};
use super::guards;
use super::position::{Course, Ended, Phase, Quarantined};
use super::reason::RollbackReason;
use super::turn::Turn;
use crate::weights::BasisPoints;
use std::time::Duration;

/// So many rejected releases are remembered; the oldest is forgotten first.
const QUARANTINED_AT_MOST: usize = 64;

pub(super) fn perform(turn: &mut Turn<'_>, course: &mut Course, why: RollbackReason) -> Verdict {
    let from = course.weight;
    let severity = guards::severity(turn, &why);
    let by = match &why {
        RollbackReason::Aborted { by, .. } => by.clone(),
        RollbackReason::Guard { .. }
        | RollbackReason::Burn { .. }
        | RollbackReason::Errors { .. }
        | RollbackReason::Slower { .. }
        | RollbackReason::HarmRequests { .. }
        | RollbackReason::HarmUsers { .. }
        | RollbackReason::TooFew(_)
        | RollbackReason::Unlisted { .. } => "serin".to_owned(),
    };
    course.phase = Phase::RolledBack;
    course.weight = BasisPoints::ZERO;
    course.promoted = false;
    course.pause = None;
    course.drained = Duration::ZERO;
    course.ended = Some(Ended {
        at: turn.now.wall,
        by,
        label: why.label(),
        why: why.to_string(),
        blamed: why.blames(),
        reached: from,
    });
    if why.blames() {
        quarantine(turn, course, &why);
    }
    turn.events.push(Event::RolledBack { why: why.clone(), from, severity });
    turn.objections.clear();
    turn.asks.clear();
    Verdict::Rollback(why)
}

fn quarantine(turn: &mut Turn<'_>, course: &Course, why: &RollbackReason) {
    let list = &mut turn.next.quarantine;
    list.retain(|held| held.identity != course.candidate);
    list.push(Quarantined {
        identity: course.candidate.clone(),
        by: course.id.clone(),
        at: turn.now.wall,
        why: why.to_string(),
    });
    let surplus = list.len().saturating_sub(QUARANTINED_AT_MOST);
    list.drain(..surplus);
}
