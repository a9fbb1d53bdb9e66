//! The head as the client gets it.

use crate::buffer::Buffer;
use crate::downstream::http2::known;
use crate::exchange::downstream::Towards;
use crate::request::answer::VERSION;
use crate::request::attempts::Answering;
use crate::request::head::line;
use crate::request::hop;
use crate::request::reply::Reply;
use crate::request::trailers;
use crate::route::{Edits, Fields};
use crate::wire::answer::{Body, ResponseHead};
use crate::wire::names::Kind;
use crate::wire::view::View;
use http::{HeaderValue, StatusCode, response};
use pingora_core::protocols::http::date::get_cached_date;

/// A backend's answer over HTTP/1.
pub(crate) fn write(
    head: &ResponseHead,
    view: &View<'_>,
    by: Answering<'_>,
    towards: Towards,
    to: &mut Buffer,
) {
    if head.line.is_empty() {
        status_line(head.status, head.reason.of(view.bytes), to);
    }
    let mut shape = Shape::of(head, view, by, towards.trailers);
    shape.drop_coding |= !towards.chunks;
    shape.switching = head.status == 101;
    let mut passes = |kind, name: &[u8], value: &[u8]| shape.passes(kind, name, value);
    view.copy_after(head.line, &mut passes, to);
    shape.added(&mut |name, value| line(name, value, to));
    if head.body == Body::UntilEnd && towards.chunks {
        line(b"transfer-encoding", b"chunked", to);
    }
    if !view.fields.iter().any(|field| field.kind == Kind::Date) {
        line(b"date", get_cached_date().as_bytes(), to);
    }
    if shape.switching {
        to.push(b"connection: Upgrade\r\n\r\n");
    } else {
        connection(towards.keeps, to);
    }
}

/// A backend's answer over HTTP/2, which has no room for what concerns the connection. That the protocol
/// changes is a success there. `None` when it cannot be said.
pub(crate) fn head_of(
    head: &ResponseHead,
    view: &View<'_>,
    by: Answering<'_>,
    trailers: bool,
) -> Option<response::Parts> {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    let switches = head.status == 101;
    parts.status =
        if switches { StatusCode::OK } else { StatusCode::from_u16(head.status).ok()? };
    parts.headers.try_reserve(view.fields.len() + 1).ok()?;
    let mut sound = true;
    let mut add = |name: &[u8], value: &[u8]| {
        if !name.eq_ignore_ascii_case(b"transfer-encoding") {
            let added = known::field(name, value)
                .is_some_and(|(name, value)| parts.headers.try_append(name, value).is_ok());
            sound &= added;
        }
    };
    let shape = Shape::of(head, view, by, trailers);
    let of_http1 = |name: &[u8]| {
        name.eq_ignore_ascii_case(b"sec-websocket-accept")
            || name.eq_ignore_ascii_case(b"content-length")
    };
    for field in view.fields {
        let name = field.name.of(view.bytes);
        if switches && of_http1(name) {
            continue;
        }
        if shape.passes(field.kind, name, field.value.of(view.bytes)) {
            add(name, field.value.of(view.bytes));
        }
    }
    shape.added(&mut add);
    sound.then_some(parts)
}

/// What the client gets to see of the fields.
struct Shape<'a> {
    drop_length: bool,
    length_once: Option<u64>,
    drop_coding: bool,
    /// The protocol changes with it.
    switching: bool,
    trailers: bool,
    listed: hop::Listed<'a>,
    edits: Option<&'a Edits>,
    /// The version that answers, where the route says it.
    version: Option<&'a str>,
    cookie: Option<HeaderValue>,
}

impl<'a> Shape<'a> {
    fn of(head: &ResponseHead, view: &'a View<'_>, by: Answering<'a>, trailers: bool) -> Self {
        let Answering { route, version, cookie } = by;
        Self {
            drop_length: head.drop_length,
            length_once: head.length_once,
            drop_coding: head.drop_coding,
            switching: false,
            trailers,
            listed: hop::Listed::of(view),
            edits: Some(&route.response).filter(|edits| !edits.is_empty()),
            version: route.expose_version.then_some(version.name.as_str()),
            cookie,
        }
    }

    fn passes(&self, kind: Kind, name: &[u8], value: &[u8]) -> bool {
        let ruled = self.edits.is_some() || !self.listed.is_plain();
        match kind {
            Kind::Other | Kind::Host | Kind::Cookie | Kind::Date if !ruled => true,
            Kind::ContentLength if !ruled => !self.drop_length,
            Kind::Other
            | Kind::Host
            | Kind::Cookie
            | Kind::ContentLength
            | Kind::Date
            | Kind::Special => self.lets_pass(name, value),
        }
    }

    fn lets_pass(&self, name: &[u8], value: &[u8]) -> bool {
        !(hop::response_ends_here(name, self.switching, &self.listed)
            || name.eq_ignore_ascii_case(b"connection")
            || name.eq_ignore_ascii_case(b"trailer") && !self.announces(value)
            || self.drop_length && name.eq_ignore_ascii_case(b"content-length")
            || self.drop_coding && name.eq_ignore_ascii_case(b"transfer-encoding")
            || self.version.is_some() && name.eq_ignore_ascii_case(VERSION.as_bytes())
            || self.edits.is_some_and(|edits| edits.touch(name)))
    }

    /// Nothing is announced that is dropped.
    fn announces(&self, trailer: &[u8]) -> bool {
        let mut names = trailer.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let edited = |name| self.edits.is_some_and(|edits| edits.touch(name));
        self.trailers && names.all(|name| trailers::may_follow(name) && !edited(name))
    }

    fn added(&self, to: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some(edits) = self.edits {
            for (name, value) in edits.set.iter().chain(&edits.add) {
                to(name.as_str().as_bytes(), value.as_bytes());
            }
        }
        if let Some(length) = self.length_once {
            to(b"content-length", length.to_string().as_bytes());
        }
        if let Some(version) = self.version {
            to(VERSION.as_bytes(), version.as_bytes());
        }
        if let Some(cookie) = &self.cookie {
            to(b"set-cookie", cookie.as_bytes());
        }
    }
}

/// An interim answer passes as it is.
pub(crate) fn write_interim(status: u16, reason: &[u8], fields: &dyn Fields, to: &mut Buffer) {
    status_line(status, reason, to);
    fields.each(&mut |name, value| line(name, value, to));
    to.push(b"\r\n");
}

/// An answer of Serin's own, with its body if it has one for this request.
pub(crate) fn write_reply(
    reply: &Reply,
    grpc: bool,
    asked_head: bool,
    keeps: bool,
    to: &mut Buffer,
) {
    let response = reply.response(grpc);
    let reason = response.status.canonical_reason().unwrap_or_default();
    status_line(response.status.as_u16(), reason.as_bytes(), to);
    for (name, value) in &response.headers {
        line(name.as_str().as_bytes(), value.as_bytes(), to);
    }
    if grpc {
        // Without its head's end, it would be one without an end.
        line(b"content-length", b"0", to);
    }
    line(b"date", get_cached_date().as_bytes(), to);
    connection(keeps, to);
    if !reply.is_bodiless(grpc, asked_head) {
        to.push(reply.body());
    }
}

fn status_line(status: u16, reason: &[u8], to: &mut Buffer) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    let digits = [digit(status / 100), digit(status / 10), digit(status), b' '];
    to.push_all([b"HTTP/1.1 ", &digits, reason, b"\r\n"]);
}

fn connection(keeps: bool, to: &mut Buffer) {
    to.push(if keeps { b"connection: keep-alive\r\n\r\n" } else { b"connection: close\r\n\r\n" });
}
