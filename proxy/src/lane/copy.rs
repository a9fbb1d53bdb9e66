//! Where a request's way touches its copy: what the lanes tell the shadow, in their own words.

use super::life::Life;
use crate::meter::Counting;
use crate::route::Fields;
use crate::shadow::Head;

/// A head is about to be sent to the attempt's version: `fields` and `target` as they leave.
/// A request that asks for another protocol has no copy, and neither has one that a route forces
/// to a version: it says nothing about how the service's traffic would fare.
pub(super) fn head_leaves(life: &mut Life, method: &str, target: &str, fields: &dyn Fields) {
    let (Some(route), Some(service), Some(attempt)) = (&life.route, &life.service, &life.attempt)
    else {
        return;
    };
    let Some(mirror) = service.shadow() else { return };
    let forced =
        life.exchange.as_ref().is_some_and(|exchange| exchange.counting() == Counting::Cohort);
    let mirror = Some(mirror).filter(|_| life.asked.upgrade.is_none() && !forced);
    let head = Head { method, host: &life.asked.host, target, fields };
    life.tee.begin(mirror, route, &attempt.on, &head);
}

/// The head of the answer that the client gets.
pub(super) fn answer_came(life: &mut Life, status: u16, fields: &dyn Fields) {
    if let Some(attempt) = &life.attempt {
        life.tee.answer_head(status, fields, &attempt.on);
    }
}
