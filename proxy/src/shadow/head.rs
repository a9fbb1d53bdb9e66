//! A copy's head, written in one pass over the request's own, and what can be read of it later.
//!
//! It is written on the serving thread, where every instruction is a user's: no field is looked for,
//! each is seen once, and passes or not. Its last line is empty, so that a copy without a body leaves
//! as it stands here.

use super::sampled::Linked;
use super::tee::Head;
use crate::spans::Place;
use crate::thread::{hex, random};

/// As long as most are.
const USUAL: usize = 768;

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

/// Names of fields that a copy does not carry as they came.
#[derive(Debug)]
pub(super) struct Omitted {
    names: Vec<String>,
    /// A bit for each length among them: most fields are told apart by that alone.
    lengths: u64,
}

/// What was written, and what was seen on the way.
pub(super) struct Written {
    pub(super) head: Vec<u8>,
    pub(super) linked: Option<Linked>,
    /// What the request says of its body.
    pub(super) length: Option<u64>,
}

impl Omitted {
    pub(super) fn new(redacted: &[String]) -> Self {
        let ours = OURS.iter().map(|name| (*name).to_owned());
        let names: Vec<String> = ours.chain(redacted.iter().cloned()).collect();
        let lengths = names.iter().fold(0, |lengths, name| lengths | bit(name.len()));
        Self { names, lengths }
    }

    fn has(&self, name: &[u8]) -> bool {
        self.lengths & bit(name.len()) != 0
            && self.names.iter().any(|omitted| is(name, omitted.as_bytes()))
    }
}

fn bit(length: usize) -> u64 {
    1 << length.min(63)
}

fn is(name: &[u8], other: &[u8]) -> bool {
    name.len() == other.len() && name.eq_ignore_ascii_case(other)
}

pub(super) fn write(head: &Head<'_>, omitted: &Omitted) -> Written {
    let mut out = Vec::with_capacity(USUAL);
    for part in [head.method, " ", head.target, " HTTP/1.1\r\nhost: ", head.host, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    let (mut length, mut linked, mut traced) = (None, None, false);
    head.fields.each(&mut |name, value| {
        if !omitted.has(name) {
            return line(&mut out, name, value);
        }
        if is(name, b"content-length") {
            length = length.or_else(|| std::str::from_utf8(value).ok()?.parse().ok());
        } else if is(name, b"traceparent") && !traced {
            traced = true;
            linked = trace(&mut out, value, head.sampled);
        }
    });
    out.extend_from_slice(b"x-serin-shadow: 1\r\n\r\n");
    Written { head: out, linked, length }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// A trace of its own, so that what the shadow does is not taken for a part of what a user waited
/// for; `tracestate` says where it comes from.
fn trace(out: &mut Vec<u8>, parent: &[u8], sampled: bool) -> Option<Linked> {
    let mut parts = std::str::from_utf8(parent).ok()?.split('-').skip(1);
    let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let (high, low, own) = (random() | 1, random(), random() | 1);
    let (high_hex, low_hex, own_hex) = (hex(high), hex(low), hex(own));
    let pieces: [&[u8]; 12] = [
        b"traceparent: 00-",
        &high_hex,
        &low_hex,
        b"-",
        &own_hex,
        b"-",
        flags.as_bytes(),
        b"\r\ntracestate: serin=",
        trace.as_bytes(),
        b"-",
        span.as_bytes(),
        b"\r\n",
    ];
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    if !sampled {
        return None;
    }
    let of = Place {
        trace: u128::from_str_radix(trace, 16).ok()?,
        span: u64::from_str_radix(span, 16).ok()?,
    };
    Some(Linked { own: Place { trace: u128::from(high) << 64 | u128::from(low), span: own }, of })
}

pub(super) fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
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
        is(&line[..colon], name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Fields;
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn written(lines: &[(&'static str, &'static str)], sampled: bool) -> Written {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let fields: &dyn Fields = &fields;
        let head = Head { method: "GET", host: "a", target: "/p?q", fields, sampled };
        write(&head, &Omitted::new(&["cookie".to_owned()]))
    }

    #[test]
    fn a_copy_carries_what_is_neither_redacted_nor_a_connections_own() {
        let lines = [("cookie", "x=y"), ("x-a", "1"), ("te", "trailers"), ("content-length", "7")];
        let Written { head, linked, length } = written(&lines, true);
        let expected = "GET /p?q HTTP/1.1\r\nhost: a\r\nx-a: 1\r\nx-serin-shadow: 1\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&head), expected);
        assert_eq!((linked.is_none(), length), (true, Some(7)));
        assert_eq!((method_of(&head), path_of(&head).as_str()), ("GET", "/p"));
        assert_eq!(field(&head, "x-serin-shadow"), Some(&b"1"[..]));
    }

    #[test]
    fn a_copys_trace_is_its_own_and_says_whose_it_follows() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let Written { head, linked, .. } = written(&[("traceparent", parent)], true);
        let linked = linked.expect("sampled");
        let own = format!("00-{:032x}-{:016x}-01", linked.own.trace, linked.own.span);
        assert_eq!(field(&head, "traceparent"), Some(own.as_bytes()));
        let state = &b"serin=4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"[..];
        assert_eq!(field(&head, "tracestate"), Some(state));
        assert_eq!(linked.of.span, 0x00f0_67aa_0ba9_02b7);
        assert!(written(&[("traceparent", parent)], false).linked.is_none());
    }
}
