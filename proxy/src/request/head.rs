//! The head as the endpoint gets it, written straight from the bytes that came.

use crate::buffer::Buffer;
use crate::request::identify::REQUEST_ID;
use crate::request::loop_mark::CDN_LOOP;
use crate::request::routed::Routed;
use crate::request::scratch::Scratch;
use crate::request::trace::TRACEPARENT;
use crate::request::{forwarded, hop};
use crate::route::{Edits, Fields};
use crate::wire::head::Span;
use crate::wire::names::Kind;
use crate::wire::view::View;
use std::borrow::Cow;

const LENGTH: &str = "content-length";

/// Fields that can be copied to where they go.
pub(crate) trait Source: Fields {
    /// Copies the lines whose names may pass, in order.
    fn copy(&self, passes: &mut impl FnMut(Kind, &[u8], &[u8]) -> bool, to: &mut Buffer);
}

impl Source for http::HeaderMap {
    fn copy(&self, passes: &mut impl FnMut(Kind, &[u8], &[u8]) -> bool, to: &mut Buffer) {
        self.each(&mut |name, value| {
            if passes(Kind::of(name, name.contains(&b'_')), name, value) {
                to.push_line(name, value);
            }
        });
    }
}

impl Source for View<'_> {
    fn copy(&self, passes: &mut impl FnMut(Kind, &[u8], &[u8]) -> bool, to: &mut Buffer) {
        self.copy_after(Span::default(), passes, to);
    }
}

impl View<'_> {
    /// Copies what stands before the fields and those that may pass. What stands together and is
    /// written as Serin writes it is copied together.
    pub(crate) fn copy_after(
        &self,
        mut run: Span,
        passes: &mut impl FnMut(Kind, &[u8], &[u8]) -> bool,
        to: &mut Buffer,
    ) {
        for field in self.fields {
            if !passes(field.kind, field.name.of(self.bytes), field.value.of(self.bytes)) {
                continue;
            }
            if field.plain {
                if run.to != field.name.from {
                    to.push(run.of(self.bytes));
                    run.from = field.name.from;
                }
                run.to = field.value.to + 2;
            } else {
                to.push(run.of(self.bytes));
                run = Span::default();
                to.push_line(field.name.of(self.bytes), field.value.of(self.bytes));
            }
        }
        to.push(run.of(self.bytes));
    }
}

/// What HTTP/2 says otherwise than HTTP/1 does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Translated {
    /// A body follows whose length is not named.
    pub(crate) chunked: bool,
    /// No body follows, and no tunnel.
    pub(crate) empty: bool,
}

/// Says where the trace's parent stands in it.
pub(super) fn write(
    method: &str,
    fields: &impl Source,
    translated: Option<Translated>,
    routed: &mut Routed,
    to: &mut Buffer,
) -> Option<usize> {
    let mut value = std::mem::take(&mut routed.request.scratch.value);
    let traceparent = head(method, fields, translated, routed, &mut value, to);
    routed.request.scratch.value = value;
    traceparent
}

fn head(
    method: &str,
    fields: &impl Source,
    translated: Option<Translated>,
    routed: &Routed,
    value: &mut String,
    to: &mut Buffer,
) -> Option<usize> {
    request_line(method, routed, to);
    let (request, scratch) = (&routed.request, &*routed.request.scratch);
    let edits = Some(&routed.route.request).filter(|edits| !edits.is_empty());
    let mut replaced = Replaced::default();
    if request.upgrade.is_some() {
        own("connection", "Upgrade", edits, to);
        own("upgrade", &scratch.protocol, edits, to);
        if translated.is_some() {
            line(b"sec-websocket-key", scratch.websocket_key.as_bytes(), to);
            replaced.note("sec-websocket-key");
            replaced.note(LENGTH);
        }
    }
    if let Some(translated) = translated {
        translate(translated, fields, &scratch.host, edits, to);
        if translated.empty && has_usually_a_body(method) && fields.first(LENGTH).is_none() {
            own(LENGTH, "0", edits, to);
        }
        replaced.note("host");
        replaced.note("cookie");
    }
    let traceparent = match (forwarded::plainly(request), edits) {
        (Some(lines), None) => {
            forwarded::LINES.iter().for_each(|name| replaced.note(name));
            to.push_all(lines);
            Some(identity(scratch, to))
        }
        (Some(_) | None, _) => {
            forwarded::tell(fields, request, value, &mut |name, value| {
                replaced.note(name);
                own(name, value, edits, to);
            });
            own(REQUEST_ID, &scratch.request_id, edits, to);
            let before = to.len();
            own(TRACEPARENT, &scratch.traceparent, edits, to);
            (to.len() > before).then_some(before + TRACEPARENT.len() + 2)
        }
    };
    own(CDN_LOOP, request.generation.loop_mark.as_str(), edits, to);
    if !request.expects {
        // In HTTP/1.0 it means nothing, and a backend of HTTP/1.1 would take it at its word.
        replaced.note("expect");
    }
    let listed = hop::Listed::of(fields);
    // Of a stream that becomes a tunnel more is replaced than a name's kind tells.
    let opens = translated.is_some() && request.upgrade.is_some();
    let ruled = edits.is_some() || !listed.is_plain() || opens;
    let mut passes = |kind: Kind, name: &[u8], _: &[u8]| match kind {
        Kind::Other | Kind::ContentLength | Kind::Date if !ruled => true,
        Kind::Host | Kind::Cookie if !ruled && translated.is_none() => true,
        Kind::Other
        | Kind::Host
        | Kind::Cookie
        | Kind::ContentLength
        | Kind::Date
        | Kind::Special => {
            !(hop::ends_here(name, &listed)
                || replaced.has(name)
                || forwarded::is_forged(name, &request.info)
                || edits.is_some_and(|edits| edits.touch(name)))
        }
    };
    fields.copy(&mut passes, to);
    if let Some(edits) = edits {
        for (name, value) in edits.set.iter().chain(&edits.add) {
            line(name.as_str().as_bytes(), value.as_bytes(), to);
        }
    }
    to.push(b"\r\n");
    traceparent
}

/// The request's identity, which no route edits. Says where the trace's parent stands.
fn identity(scratch: &Scratch, to: &mut Buffer) -> usize {
    let (id, parent) = (scratch.request_id.as_bytes(), scratch.traceparent.as_bytes());
    to.push_all([b"x-request-id: ", id, b"\r\ntraceparent: ", parent, b"\r\n"]);
    to.len() - parent.len() - 2
}

/// The host in its own line, and the cookies in one: HTTP/2 may send a line for each.
fn translate(
    translated: Translated,
    fields: &dyn Fields,
    host: &str,
    edits: Option<&Edits>,
    to: &mut Buffer,
) {
    own("host", host, edits, to);
    if translated.chunked {
        line(b"transfer-encoding", b"chunked", to);
    }
    if fields.first("cookie").is_none() || edits.is_some_and(|edits| edits.touch(b"cookie")) {
        return;
    }
    let mut between: &[u8] = b"cookie: ";
    fields.any("cookie", &mut |crumb| {
        to.push(between);
        to.push(crumb);
        between = b"; ";
        false
    });
    to.push(b"\r\n");
}

/// Some backends of HTTP/1 answer 411 where such a request does not say that it has none.
fn has_usually_a_body(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
}

fn request_line(method: &str, routed: &Routed, to: &mut Buffer) {
    let (request, method) = (&routed.request, method.as_bytes());
    let path = request.scratch.path.as_str();
    let path = match &routed.route.rewrite {
        Some(rewrite) => rewrite.apply(path, routed.matched),
        None => Cow::Borrowed(path),
    };
    let (mark, query) = match request.query() {
        Some(query) => ("?", query),
        None => ("", ""),
    };
    let (path, mark, query) = (path.as_bytes(), mark.as_bytes(), query.as_bytes());
    to.push_all([method, b" ", path, mark, query, b" HTTP/1.1\r\n"]);
}

/// Names of which Serin's own line takes the place.
#[derive(Default)]
struct Replaced {
    names: [&'static str; 10],
    count: usize,
}

impl Replaced {
    fn note(&mut self, name: &'static str) {
        if let Some(place) = self.names.get_mut(self.count) {
            *place = name;
            self.count += 1;
        }
    }

    fn has(&self, name: &[u8]) -> bool {
        let named = |own: &&str| name.eq_ignore_ascii_case(own.as_bytes());
        self.names[..self.count].iter().any(named) || named(&REQUEST_ID) || named(&TRACEPARENT)
    }
}

/// A line of Serin's own, which a route may edit like any other.
fn own(name: &str, value: &str, edits: Option<&Edits>, to: &mut Buffer) {
    if !edits.is_some_and(|edits| edits.touch(name.as_bytes())) {
        line(name.as_bytes(), value.as_bytes(), to);
    }
}

pub(crate) fn line(name: &[u8], value: &[u8], to: &mut Buffer) {
    to.push_line(name, value);
}
