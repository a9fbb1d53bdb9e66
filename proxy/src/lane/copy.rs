//! Where a request's way touches its copy: what the lanes tell the shadow, in their own words.

use super::life::Life;
use crate::meter::Counting;
use crate::route::{Action, Fields};
use crate::shadow::Head;
use memchr::memchr;
use std::time::Instant;

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
    let sampled = life.trace.is_some();
    let head = Head { method, host: &life.asked.host, target, fields, sampled };
    life.tee.begin(mirror, route, &attempt.on, &head);
}

/// The head of the answer that the client gets.
pub(super) fn answer_came(
    life: &mut Life,
    status: u16,
    fields: &dyn Fields,
    now: impl FnOnce() -> Instant,
) {
    if let Some(attempt) = &life.attempt {
        life.tee.answer_head(status, fields, &attempt.on, now);
    }
}

/// Whether a copy needs the request's body, which the fast lane passes on without looking.
pub(super) fn needs_body(life: &Life, method: &str) -> bool {
    life.route.as_ref().is_some_and(|route| match &route.action {
        Action::Forward { service, .. } => {
            service.shadow().is_some_and(|shadow| shadow.may_copy(method, &route.name))
        }
        Action::Redirect(_) | Action::Respond(_) => false,
    })
}

/// The same for a head that is written already, of a request without a body.
pub(super) fn written_head_leaves(life: &mut Life, head: &[u8], now: Instant) {
    if life.service.as_ref().is_none_or(|service| service.shadow().is_none()) {
        return;
    }
    let (line, fields) = head.split_at(memchr(b'\n', head).unwrap_or(head.len()));
    let mut words = line.split(|b| *b == b' ');
    let mut word = || words.next().and_then(|word| std::str::from_utf8(word).ok());
    if let (Some(method), Some(target)) = (word(), word()) {
        head_leaves(life, method, target, &Written(fields));
        life.tee.ended(|| now);
    }
}

/// The fields of a head as Serin writes it, from the end of the request line.
struct Written<'h>(&'h [u8]);

impl Written<'_> {
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            rest = rest.get(1..)?;
            let (line, more) = rest.split_at(memchr(b'\n', rest)?);
            rest = more;
            let colon = memchr(b':', line)?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }
}

impl Fields for Written<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.fields().any(|(n, value)| n.eq_ignore_ascii_case(name.as_bytes()) && test(value))
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        let mut named = self.fields().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        named.next().map(|(_, value)| value)
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.fields().for_each(|(name, value)| visit(name, value));
    }
}
