//! Forgets the headers of a request that go no further, before a route or a session sees it.
//!
//! Every request comes by here, whichever protocol it takes, so that nobody behind has to
//! think of them.

use crate::ingress::listener::{Counters, ListenerState};
use crate::wire::head::Field;
use crate::wire::names::Kind;
use crate::wire::unwanted::{Unwanted, why};
use http::HeaderName;
use http::request::Parts;

/// Of HTTP/1.
pub(crate) fn forget(bytes: &[u8], fields: &mut Vec<Field>, listener: &ListenerState) {
    fields.retain(|field| {
        // Nobody has to look at the names of the others.
        field.kind != Kind::Special || may_pass(field.name.of(bytes), listener)
    });
}

/// Whether a head of HTTP/2 has nothing that its library lets pass and the standard does not (RFC 9113,
/// sections 8.2.1 and 8.3.1): white space around a value, or a scheme that is empty.
pub(crate) fn is_sound(request: &Parts) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let spaced = |value: &[u8]| is_space(value.first()) || is_space(value.last());
    request.uri.scheme_str() != Some("")
        && !request.headers.values().any(|value| spaced(value.as_bytes()))
}

/// Of HTTP/2.
pub(crate) fn forget_in(request: &mut Parts, listener: &ListenerState) {
    let names = request.headers.keys();
    let unwanted = |name: &&HeaderName| !may_pass(name.as_str().as_bytes(), listener);
    let unwanted: Vec<HeaderName> = names.filter(unwanted).cloned().collect();
    for name in unwanted {
        request.headers.remove(&name);
    }
}

fn may_pass(name: &[u8], listener: &ListenerState) -> bool {
    let Some(unwanted) = why(name, listener.underscores) else { return true };
    let Counters { underscored, proxy_headers, shadow_marks, .. } = &*listener.counters;
    match unwanted {
        Unwanted::Underscore => underscored.add(),
        Unwanted::Proxy => proxy_headers.add(),
        Unwanted::ShadowMark => shadow_marks.add(),
    }
    false
}
