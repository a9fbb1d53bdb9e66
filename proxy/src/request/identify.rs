//! Who asks, and under which id: kept when a trusted peer brings one, made otherwise. Whoever may choose
//! ids can make two requests look like one in every log.

use crate::ingress::ClientInfo;
use crate::request::scratch::Scratch;
use crate::request::trace;
use crate::route::Fields;
use crate::spans::Trace;
use crate::thread::{hex, random};
use serin_config::model::Tracing;

pub(crate) const REQUEST_ID: &str = "x-request-id";

/// Longer ones would be a way to fill logs.
const LONGEST_ID: usize = 128;

/// Writes the request's id and its trace's parent. Gives its trace, if it is sampled: then the parent is as
/// long as each attempt's will be.
pub(super) fn identify(
    fields: &dyn Fields,
    info: &ClientInfo,
    tracing: Option<&Tracing>,
    scratch: &mut Scratch,
) -> Option<Box<Trace>> {
    match info.trusted.then(|| request_id(fields)).flatten() {
        Some(id) => scratch.request_id.push_str(id),
        None => {
            let mut id = [0; 32];
            id[..16].copy_from_slice(&hex(random()));
            id[16..].copy_from_slice(&hex(random()));
            push_ascii(&id, &mut scratch.request_id);
        }
    }
    let parent = trace::parent(fields);
    let sample =
        |tracing| Trace::sample(tracing, parent.and_then(trace::parsed), info.trusted, random);
    let trace = tracing.and_then(sample).map(Box::new);
    match (&trace, parent) {
        (Some(trace), _) => trace.tell(&mut scratch.traceparent),
        (None, Some(parent)) => scratch.traceparent.push_str(parent),
        (None, None) => trace::new_parent(&mut scratch.traceparent),
    }
    trace
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
