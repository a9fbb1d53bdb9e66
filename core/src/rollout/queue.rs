//! The candidate that waits while another one's rollout is under way. There is one place, because a
//! plan names one version.

use super::decision::Event;
use super::position::{Identity, Queued, Started};
use super::rest;
use super::turn::Turn;

/// `onChange` found a release that this service has not seen.
pub(super) fn add_by_itself(turn: &mut Turn<'_>, next: Identity) {
    if turn.next.queued.as_ref().is_none_or(|queued| queued.identity != next) {
        add(turn, next, rest::by_itself(turn.now.wall));
    }
}

pub(super) fn add(turn: &mut Turn<'_>, next: Identity, started: Started) {
    turn.events.push(Event::Queued { candidate: next.clone(), by: started.by.clone() });
    turn.next.queued = Some(Queued { identity: next, started });
}

/// The file names another candidate now, or none.
pub(super) fn drop_unwanted(turn: &mut Turn<'_>) {
    let wanted = turn.terms.wanted();
    if turn.next.queued.as_ref().is_some_and(|queued| Some(&queued.identity) != wanted.as_ref()) {
        take(turn, "the configuration names another candidate");
    }
}

/// Whoever aborts wants the service to stand still: nothing starts by itself after it.
pub(super) fn drop_with_abort(turn: &mut Turn<'_>) {
    if let Some(identity) = take(turn, "the rollout before it was aborted; start it by hand") {
        rest::remember(&mut turn.next, &identity);
    }
}

fn take(turn: &mut Turn<'_>, why: &'static str) -> Option<Identity> {
    let candidate = turn.next.queued.take()?.identity;
    turn.events.push(Event::Unqueued { candidate: candidate.clone(), why: why.to_owned() });
    Some(candidate)
}
