//! A completed rollout is taken back: what was stable before it is stable again, and gets everything.
//!
//! It needs nobody's plan, because it goes to what was judged and served before; and it waits for no
//! freeze, no window and no disk, because it is a way back. The file cannot contradict it: which version
//! is stable, the journal alone says.

use super::decision::{Event, Verdict};
use super::evidence::Ready;
use super::position::{Former, Identity, RolloutState};
use super::reason::RollbackReason;
use super::refusal::Refusal;
use super::turn::Turn;
use super::{queue, rest, rollback};

/// So many completions can be taken back, one after the other.
const FORMER_AT_MOST: usize = 16;

/// Another version has become stable by this rollout.
pub(super) fn remember(turn: &mut Turn<'_>, former: Identity, rollout: &RolloutState) {
    let list = &mut turn.next.former;
    list.push(Former { identity: former, ended_by: rollout.id.clone() });
    let surplus = list.len().saturating_sub(FORMER_AT_MOST);
    list.drain(..surplus);
}

pub(super) fn perform(turn: &mut Turn<'_>, by: &str, reason: &str) -> Result<Verdict, Refusal> {
    let undone = turn.next.stable.clone();
    if let Some(rollout) = turn.next.active() {
        let candidate = rollout.candidate.clone();
        return Err(Refusal::UndoUnderWay { candidate, stable: undone });
    }
    let Some(Former { identity, ended_by }) = turn.next.former.last().cloned() else {
        return Err(Refusal::NothingBefore(undone));
    };
    is_there(turn, &identity)?;
    turn.next.former.pop();
    turn.next.manual = None;
    queue::drop_with_abort(turn);
    rest::remember(&mut turn.next, &identity);
    turn.next.stable = identity.clone();
    let (by, reason) = (by.to_owned(), reason.to_owned());
    let why = RollbackReason::Undone { by, reason, to: identity };
    turn.events.push(Event::Undone {
        rollout: ended_by.clone(),
        undone: undone.clone(),
        why: why.clone(),
    });
    rollback::quarantine(turn, undone, ended_by.clone(), &why);
    // One that came after it has ended in its own way, and stays as it is.
    if let Some(mut rollout) = turn.next.rollout.take_if(|rollout| rollout.id == ended_by) {
        rollback::end(turn, &mut rollout, &why);
        // Everybody is on it: those who have a session leave now, like the others.
        rollout.drained = super::DRAIN_AT_MOST;
        turn.next.rollout = Some(rollout);
    }
    Ok(Verdict::Rollback(why))
}

/// Whether it is listed, the same as it was, and can bear the traffic.
fn is_there(turn: &Turn<'_>, identity: &Identity) -> Result<(), Refusal> {
    let identity = identity.clone();
    match turn.terms.listed(&identity.version) {
        None => return Err(Refusal::FormerNotListed(identity)),
        Some(listed) if listed.release != identity.release => {
            let listed = listed.release.clone();
            return Err(Refusal::FormerReleased { identity, listed });
        }
        Some(_) => {}
    }
    match turn.evidence.former_ready {
        Some(ready) if bears_everything(ready) => Ok(()),
        ready => Err(Refusal::FormerNotReady { identity, ready }),
    }
}

/// On fewer than half of its endpoints everybody's requests would be the next outage.
fn bears_everything(ready: Ready) -> bool {
    ready.ready > 0 && ready.ready.saturating_mul(2) >= ready.total
}
