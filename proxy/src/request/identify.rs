//! Who asks, and under which id: kept when a trusted peer brings one, made otherwise. Whoever may choose
//! ids can make two requests look like one in every log.

use crate::request::context::RequestContext;
use crate::request::forwarded;
use crate::request::trace;
use crate::route::Fields;
use crate::spans::{Parent, Trace};
use crate::thread::{hex, random};

pub(crate) const REQUEST_ID: &str = "x-request-id";

/// Longer ones would be a way to fill logs.
const LONGEST_ID: usize = 128;

pub(crate) fn identify(fields: &dyn Fields, context: &mut RequestContext) {
    if let Some(info) = &context.info {
        context.asked.client = forwarded::client(fields, info);
    }
    context.asked.request_id.clear();
    let trusted = context.info.as_ref().is_some_and(|info| info.trusted);
    match trusted.then(|| request_id(fields)).flatten() {
        Some(id) => context.asked.request_id.push_str(id),
        None => {
            let mut id = [0; 32];
            id[..16].copy_from_slice(&hex(random()));
            id[16..].copy_from_slice(&hex(random()));
            push_ascii(&id, &mut context.asked.request_id);
        }
    }
    let parent = trace::parent(fields);
    sample(parent.and_then(trace::parsed), context);
    context.asked.traceparent.clear();
    match (parent, &context.trace) {
        (Some(parent), _) => context.asked.traceparent.push_str(parent),
        (None, Some(trace)) => trace.tell(&mut context.asked.traceparent),
        (None, None) => trace::new_parent(&mut context.asked.traceparent),
    }
}

/// Of a request that is sampled: a `traceparent` as long as each attempt's will be.
pub(crate) fn tell_root(context: &mut RequestContext) {
    if let Some(trace) = &context.trace {
        trace.tell(&mut context.asked.traceparent);
    }
}

fn sample(parent: Option<Parent>, context: &mut RequestContext) {
    let trusted = context.info.as_ref().is_some_and(|info| info.trusted);
    let tracing =
        context.generation.as_ref().and_then(|generation| generation.config.tracing.as_ref());
    let trace = tracing.and_then(|tracing| Trace::sample(tracing, parent, trusted, random));
    context.trace = trace.map(Box::new);
}

fn request_id(fields: &dyn Fields) -> Option<&str> {
    let id = std::str::from_utf8(alone(fields, REQUEST_ID)?).ok()?;
    let sound = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    sound.then_some(id)
}

/// What is known to be ASCII.
pub(crate) fn push_ascii(bytes: &[u8], into: &mut String) {
    into.push_str(std::str::from_utf8(bytes).unwrap_or_default());
}

/// The value of a field that stands once.
pub(crate) fn alone<'f>(fields: &'f dyn Fields, name: &str) -> Option<&'f [u8]> {
    let mut lines = 0;
    fields.any(name, &mut |_| {
        lines += 1;
        lines > 1
    });
    if lines == 1 { fields.first(name) } else { None }
}
