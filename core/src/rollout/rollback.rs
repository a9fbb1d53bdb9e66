//! Back to stable, at once and for good: only a person's start or retry begins again.

use super::decision::{Event, Verdict};
use super::guards;
use super::position::{Ended, Identity, Phase, Quarantined, RolloutState};
use super::reason::RollbackReason;
use super::turn::Turn;
use crate::ids::RolloutId;
use crate::weights::BasisPoints;
use std::time::Duration;

/// So many rejected releases are remembered; the oldest is forgotten first.
const QUARANTINED_AT_MOST: usize = 64;

pub(super) fn perform(
    turn: &mut Turn<'_>,
    rollout: &mut RolloutState,
    why: RollbackReason,
) -> Verdict {
    let from = end(turn, rollout, &why);
    let severity = guards::severity(turn, &why);
    if why.blames() {
        quarantine(turn, rollout.candidate.clone(), rollout.id.clone(), &why);
    }
    turn.events.push(Event::RolledBack { why: why.clone(), from, severity });
    turn.hold_reasons.clear();
    turn.asks.clear();
    Verdict::Rollback(why)
}

/// The rollout is over, for this reason. Gives the weight that the candidate had.
pub(super) fn end(
    turn: &Turn<'_>,
    rollout: &mut RolloutState,
    why: &RollbackReason,
) -> BasisPoints {
    // What has stepped aside had its weight until then.
    let from = rollout.aside.as_ref().map_or(rollout.weight, |aside| aside.weight);
    let by = match why {
        RollbackReason::Aborted { by, .. } | RollbackReason::Undone { by, .. } => by.clone(),
        RollbackReason::Guard { .. }
        | RollbackReason::Burn { .. }
        | RollbackReason::Errors { .. }
        | RollbackReason::Slower { .. }
        | RollbackReason::WorseThanBefore { .. }
        | RollbackReason::HarmRequests { .. }
        | RollbackReason::HarmUsers { .. }
        | RollbackReason::TooFew(_)
        | RollbackReason::Unlisted { .. } => "serin".to_owned(),
    };
    rollout.phase = Phase::RolledBack;
    rollout.weight = BasisPoints::ZERO;
    rollout.promoted = false;
    rollout.pause = None;
    rollout.aside = None;
    rollout.drained = Duration::ZERO;
    rollout.ended = Some(Ended {
        at: turn.now.wall,
        by,
        label: why.label(),
        why: why.to_string(),
        blamed: why.blames(),
        reached: from,
    });
    from
}

/// It starts again only after an explicit retry.
pub(super) fn quarantine(
    turn: &mut Turn<'_>,
    identity: Identity,
    by: RolloutId,
    why: &RollbackReason,
) {
    let list = &mut turn.next.quarantine;
    list.retain(|held| held.identity != identity);
    list.push(Quarantined { identity, by, at: turn.now.wall, why: why.to_string() });
    let surplus = list.len().saturating_sub(QUARANTINED_AT_MOST);
    list.drain(..surplus);
}
