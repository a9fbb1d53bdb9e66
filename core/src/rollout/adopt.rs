//! Where the file is taken at its word against the journal: because somebody said so, or because
//! a service has left the files while its rollout was under way.

use super::position::{Ended, Phase, Position};
use super::rest;
use super::terms::Terms;
use crate::time::Wall;
use crate::weights::BasisPoints;

/// The file's stable is stable, and everything under way is over.
#[must_use]
pub fn adopt_stable(terms: &Terms, position: &Position, by: &str, at: Wall) -> Position {
    let mut next = set_aside(position, by, "the configuration's stable was adopted", at);
    next.stable = terms.file_stable();
    // What was stable before something that nobody has judged is no way back.
    next.former.clear();
    let stable = next.stable.clone();
    rest::remember(&mut next, &stable);
    next
}

/// Nothing is under way any more, and everything is stable's.
#[must_use]
pub fn set_aside(position: &Position, by: &str, why: &str, at: Wall) -> Position {
    let mut next = position.clone();
    next.manual = None;
    next.queued = None;
    if let Some(rollout) = next.rollout.as_mut().filter(|rollout| !rollout.phase.is_over()) {
        let reached = std::mem::replace(&mut rollout.weight, BasisPoints::ZERO);
        rollout.phase = Phase::RolledBack;
        rollout.promoted = false;
        rollout.pause = None;
        rollout.ended = Some(Ended {
            at,
            by: by.to_owned(),
            label: "unlisted".to_owned(),
            why: why.to_owned(),
            blamed: false,
            reached,
        });
    }
    next
}
