//! A copy of one request: its head as it is sent, and its body's bytes, shared with the primary's.
//!
//! The head is written once, on the serving thread, while the request's own is at hand. It leaves
//! out what is redacted, what belongs to a connection, and how the body is framed: a copy is sent
//! when its body is whole, so its length is known.

use super::compare::redact;
use super::counts::Dropped;
use super::memory::{Held, Slot};
use super::mirror::Mirror;
use super::sampled::Linked;
use super::tee::Head;
use crate::spans::Place;
use crate::thread::random;
use bytes::Bytes;
use serin_core::ids::RouteName;
use std::sync::Arc;
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Copy {
    pub(super) mirror: Arc<Mirror>,
    pub(super) route: RouteName,
    /// Request line and fields, each with its line end.
    pub(super) head: Vec<u8>,
    /// The same with nothing taken out, for stable to be asked a second time.
    pub(super) again: Option<Vec<u8>>,
    /// Where it is sampled.
    pub(super) linked: Option<Linked>,
    pub(super) body: Vec<Bytes>,
    /// Its length is told, 0 too.
    pub(super) framed: bool,
    pub(super) deadline: Instant,
    pub(super) slot: Option<Slot>,
    pub(super) held: Option<Held>,
}

/// Copies carry these in another form, or not at all.
const OURS: [&str; 13] = [
    "host",
    "content-length",
    "transfer-encoding",
    "expect",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "traceparent",
    "tracestate",
    "x-serin-shadow",
    "proxy-connection",
];

impl Copy {
    pub(super) fn method(&self) -> &str {
        method_of(&self.head)
    }

    /// Asked again whenever something was waited for: a reload may have come meanwhile.
    pub(super) fn is_allowed(&self) -> bool {
        self.mirror.still_allows(self.method(), &self.route)
    }

    /// What the configuration takes out of bodies; here, because it takes time.
    pub(super) fn redact(&mut self) -> Result<(), Dropped> {
        let paths = &self.mirror.config.redact_json;
        if paths.is_empty() || self.body.is_empty() {
            return Ok(());
        }
        let whole = self.body.concat();
        match redact::redact(&whole, paths) {
            Ok(None) => Ok(()),
            Ok(Some(redacted)) => {
                self.body = vec![Bytes::from(redacted)];
                Ok(())
            }
            // A form or a picture has no such paths; what says that it is JSON should have been.
            Err(redact::NotJson) if self.claims_no_json() => Ok(()),
            Err(redact::NotJson) => Err(Dropped::NotRedacted),
        }
    }

    fn claims_no_json(&self) -> bool {
        let encoded = field(&self.head, "content-encoding").is_some();
        let kind = field(&self.head, "content-type").map(<[u8]>::to_ascii_lowercase);
        !encoded && kind.is_some_and(|kind| !kind.windows(4).any(|word| word == b"json"))
    }
}

pub(super) fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

pub(super) fn write_head(head: &Head<'_>, redacted: &[String]) -> (Vec<u8>, Option<Linked>) {
    let mut out = Vec::with_capacity(512);
    for part in [head.method, " ", head.target, " HTTP/1.1\r\nhost: ", head.host, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    head.fields.each(&mut |name, value| {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if OURS.iter().any(|ours| is(ours)) || redacted.iter().any(|redacted| is(redacted)) {
            return;
        }
        line(&mut out, name, value);
    });
    line(&mut out, b"x-serin-shadow", b"1");
    let linked = trace(&mut out, head);
    (out, linked.filter(|_| head.sampled))
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// A trace of its own, so that what the shadow does is not taken for a part of what a user waited
/// for; `tracestate` says where it comes from.
fn trace(out: &mut Vec<u8>, head: &Head<'_>) -> Option<Linked> {
    let parent = head.fields.first("traceparent").and_then(|p| std::str::from_utf8(p).ok());
    let mut parts = parent.unwrap_or_default().split('-').skip(1);
    let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let own =
        Place { trace: u128::from(random() | 1) << 64 | u128::from(random()), span: random() | 1 };
    let fresh = format!("00-{:032x}-{:016x}-{flags}", own.trace, own.span);
    line(out, b"traceparent", fresh.as_bytes());
    line(out, b"tracestate", format!("serin={trace}-{span}").as_bytes());
    let (trace, span) =
        (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
    Some(Linked { own, of: Place { trace, span } })
}

pub(super) fn method_of(head: &[u8]) -> &str {
    let end = head.iter().position(|b| *b == b' ').unwrap_or(0);
    std::str::from_utf8(&head[..end]).unwrap_or_default()
}

/// The path, without the query.
pub(super) fn path_of(head: &[u8]) -> String {
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    let target = line.split(|b| *b == b' ').nth(1).unwrap_or_default();
    let path = target.split(|b| *b == b'?').next().unwrap_or_default();
    String::from_utf8_lossy(path).into_owned()
}

/// The first field of this name in a head that was written here.
pub(super) fn field<'h>(head: &'h [u8], name: &str) -> Option<&'h [u8]> {
    head.split(|b| *b == b'\n').skip(1).find_map(|line| {
        let colon = line.iter().position(|b| *b == b':')?;
        let is = line[..colon].eq_ignore_ascii_case(name.as_bytes());
        is.then(|| line[colon + 1..].trim_ascii())
    })
}
