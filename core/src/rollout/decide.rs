//! The decision: from where a service stands and what is known, to what happens next.

use super::decision::{Decision, Verdict};
use super::evidence::Evidence;
use super::position::{Clock, Position};
use super::publish::split_of;
use super::reason::{Idle, Objection};
use super::terms::{Outside, Terms};
use crate::time::Now;

/// The same arguments always give the same decision.
pub fn decide(
    terms: &Terms,
    position: &Position,
    evidence: &Evidence,
    outside: &Outside,
    now: Now,
) -> Decision {
    let _ = outside;
    let mut next = position.clone();
    next.clock = Clock { last: Some(now), ..next.clock };
    let why = Objection::Idle(Idle::NoPlan);
    Decision {
        verdict: Verdict::Hold(why.clone()),
        objections: vec![why],
        split: split_of(terms, &next, evidence),
        next,
        lift_trip: evidence.tripped,
        events: Vec::new(),
        asks: Vec::new(),
    }
}
