//! The head as the endpoint gets it, written straight from the bytes that came.

use crate::ingress::Buffer;
use crate::ingress::head::Field;
use crate::lane::identify::REQUEST_ID;
use crate::lane::life::Life;
use crate::lane::trace::TRACEPARENT;
use crate::lane::{forwarded, hop};
use crate::route::{Edits, Fields};
use std::borrow::Cow;

/// The fields of a head that was parsed, as routing and sessions read them.
pub(super) struct View<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) fields: &'a [Field],
}

impl Fields for View<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.fields.iter().any(|field| {
            field.name.of(self.bytes).eq_ignore_ascii_case(name.as_bytes())
                && test(field.value.of(self.bytes))
        })
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        let named =
            |field: &&Field| field.name.of(self.bytes).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().find(named).map(|field| field.value.of(self.bytes))
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        for field in self.fields {
            visit(field.name.of(self.bytes), field.value.of(self.bytes));
        }
    }
}

/// What HTTP/2 says otherwise than HTTP/1 does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Translated {
    /// A body follows whose length is not named.
    pub(super) chunked: bool,
}

/// Says where the trace's parent stands in it.
pub(super) fn write(
    method: &[u8],
    fields: &dyn Fields,
    translated: Option<Translated>,
    life: &mut Life,
    to: &mut Buffer,
) -> Option<usize> {
    request_line(method, life, to);
    let mut value = std::mem::take(&mut life.scratch);
    let route = life.route.clone();
    let edits = route.as_ref().map(|route| &route.request).filter(|edits| !edits.is_empty());
    let mut replaced = Replaced::default();
    if let Some(translated) = translated {
        translate(translated, fields, &life.asked.host, edits, to);
        replaced.note("host");
        replaced.note("cookie");
    }
    forwarded::tell(fields, life, &mut value, &mut |name, value| {
        replaced.note(name);
        own(name, value, edits, to);
    });
    own(REQUEST_ID, &life.asked.request_id, edits, to);
    let before = to.len();
    own(TRACEPARENT, &life.asked.traceparent, edits, to);
    let traceparent = (to.len() > before).then_some(before + TRACEPARENT.len() + 2);
    let listed = hop::Listed::of(fields);
    fields.each(&mut |name, text| {
        let ends = hop::ends_here(name, &listed)
            || replaced.has(name)
            || life.visit.as_ref().is_some_and(|visit| forwarded::is_forged(name, visit))
            || edits.is_some_and(|edits| is_edited(name, edits));
        if !ends {
            line(name, text, to);
        }
    });
    if let Some(edits) = edits {
        for (name, value) in edits.set.iter().chain(&edits.add) {
            line(name.as_str().as_bytes(), value.as_bytes(), to);
        }
    }
    to.push(b"\r\n");
    life.scratch = value;
    traceparent
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
    if fields.first("cookie").is_none() || edits.is_some_and(|edits| is_edited(b"cookie", edits)) {
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

fn request_line(method: &[u8], life: &Life, to: &mut Buffer) {
    to.push(method);
    to.push(b" ");
    let rewrite = life.route.as_ref().and_then(|route| route.rewrite.as_ref());
    let path = match rewrite {
        Some(rewrite) => rewrite.apply(&life.asked.path, life.matched),
        None => Cow::Borrowed(life.asked.path.as_str()),
    };
    to.push(path.as_bytes());
    if let Some(query) = life.asked.query() {
        to.push(b"?");
        to.push(query.as_bytes());
    }
    to.push(b" HTTP/1.1\r\n");
}

/// Names of which Serin's own line takes the place.
#[derive(Default)]
struct Replaced {
    names: [&'static str; 6],
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
    if !edits.is_some_and(|edits| is_edited(name.as_bytes(), edits)) {
        line(name.as_bytes(), value.as_bytes(), to);
    }
}

/// Removed, or set anew.
pub(super) fn is_edited(name: &[u8], edits: &Edits) -> bool {
    let same = |edited: &str| name.eq_ignore_ascii_case(edited.as_bytes());
    edits.remove.iter().any(|edited| same(edited.as_str()))
        || edits.set.iter().any(|(edited, _)| same(edited.as_str()))
}

pub(super) fn line(name: &[u8], value: &[u8], to: &mut Buffer) {
    to.push(name);
    to.push(b": ");
    to.push(value);
    to.push(b"\r\n");
}
