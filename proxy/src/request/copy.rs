//! Where a request's way touches its copy: what the shadow is told of it.

use crate::meter::Counting;
use crate::request::context::RequestContext;
use crate::route::Fields;
use crate::shadow::Head;
use memchr::memchr;
use std::borrow::Cow;
use std::time::Instant;

/// The head of the answer that the client gets.
pub(crate) fn answer_came(
    context: &mut RequestContext,
    status: u16,
    fields: &dyn Fields,
    now: impl FnOnce() -> Instant,
) {
    if let Some(attempt) = &context.attempt {
        context.tap.answer_head(status, fields, &attempt.on, now);
    }
}

/// A head leaves for the attempt's version, as it is written here. Only that of the first attempt is
/// told.
pub(crate) fn head_leaves(context: &mut RequestContext, head: &[u8]) {
    if !context.tap.is_unasked()
        || context.service.as_ref().is_none_or(|service| service.shadow().is_none())
    {
        return;
    }
    let Some(end) = memchr(b'\n', head) else { return };
    let (line, lines) = head.split_at(end + 1);
    let lines = lines.strip_suffix(b"\r\n").unwrap_or(lines);
    let mut words = line.split(|b| *b == b' ');
    let mut word = || words.next().and_then(|word| std::str::from_utf8(word).ok());
    if let (Some(method), Some(target)) = (word(), word()) {
        begin(context, method, target, lines);
    }
}

/// A request that asks for another protocol has no copy, and neither has one that a route forces
/// to a version: it says nothing about how the service's traffic would fare.
fn begin(context: &mut RequestContext, method: &str, target: &str, lines: &[u8]) {
    let (Some(route), Some(service), Some(attempt)) =
        (&context.route, &context.service, &context.attempt)
    else {
        return;
    };
    let Some(mirror) = service.shadow() else { return };
    let forced = context.meter.as_ref().is_some_and(|meter| meter.counting() == Counting::Cohort);
    let mirror = Some(mirror).filter(|_| context.asked.upgrade.is_none() && !forced);
    let sampled = context.trace.is_some();
    let head = Head { method, host: &context.asked.host, target, sampled };
    context.tap.begin(mirror, route, &attempt.on, &head, || Cow::Borrowed(lines));
}
