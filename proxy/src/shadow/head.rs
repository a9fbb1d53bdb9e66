//! A copy's head, written in one pass over the request's own, and what can be read of it later.
//!
//! It is written on the serving thread, where every instruction is a user's: no field is looked for,
//! each is seen once, and lines that pass are copied together. Its last line is empty, so that a copy
//! without a body leaves as it stands here.

use super::request_tap::Head;
use super::sampled::Linked;
use crate::spans::Place;
use crate::thread::{hex, random};
use memchr::memchr;
use serin_core::secret::{is_secret_field, without_secrets};
use std::borrow::Cow;

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

/// Names of fields that a copy does not carry as they came, by the letter that they begin with. A line
/// is held against few of them, and first by where its colon would stand.
#[derive(Debug)]
pub(super) struct Omitted {
    named: [Vec<String>; 32],
    /// And whatever else says that it is a secret, in the query too.
    secrets: bool,
}

/// What was seen of the request while its head was written.
pub(super) struct Seen {
    pub(super) linked: Option<Linked>,
    /// What it says of its body.
    pub(super) length: Option<u64>,
}

impl Omitted {
    /// Without any name nothing is taken for a secret.
    pub(super) fn new(redacted: &[String]) -> Self {
        let mut all = Self { named: Default::default(), secrets: !redacted.is_empty() };
        let names = OURS.iter().map(|name| (*name).to_owned()).chain(redacted.iter().cloned());
        for name in names {
            all.named[letter(name.as_bytes())].push(name);
        }
        all
    }

    /// The name of such a line.
    fn name<'l>(&self, line: &'l [u8]) -> Option<&'l [u8]> {
        let named = |name: &&String| {
            line.get(name.len()) == Some(&b':') && is(&line[..name.len()], name.as_bytes())
        };
        if let Some(name) = self.named[letter(line)].iter().find(named) {
            return Some(&line[..name.len()]);
        }
        let name = self.secrets.then(|| memchr(b':', line)).flatten().map(|end| &line[..end])?;
        is_secret_field(name).then_some(name)
    }
}

/// The same for a capital.
fn letter(name: &[u8]) -> usize {
    usize::from(name.first().unwrap_or(&0) & 31)
}

fn is(name: &[u8], other: &[u8]) -> bool {
    name.len() == other.len() && name.eq_ignore_ascii_case(other)
}

/// `lines` are the request's fields as they leave for the primary.
pub(super) fn write(head: &Head<'_>, lines: &[u8], omitted: &Omitted, out: &mut Vec<u8>) -> Seen {
    out.clear();
    out.reserve(lines.len() + head.target.len() + head.host.len() + 256);
    let target = match omitted.secrets {
        true => without_secrets(head.target),
        false => Cow::Borrowed(head.target),
    };
    for part in [head.method, " ", &*target, " HTTP/1.1\r\nhost: ", head.host, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    let mut seen = Seen { linked: None, length: None };
    let (mut run, mut at, mut traced) = (0, 0, false);
    while let Some(end) = memchr(b'\n', &lines[at..]) {
        let line = &lines[at..=at + end];
        if let Some(name) = omitted.name(line) {
            out.extend_from_slice(&lines[run..at]);
            run = at + line.len();
            let value = line[name.len() + 1..].trim_ascii();
            if is(name, b"content-length") {
                seen.length = seen.length.or_else(|| text(value)?.parse().ok());
            } else if is(name, b"traceparent") && !traced {
                traced = true;
                seen.linked = trace(out, value, head.sampled);
            }
        }
        at += line.len();
    }
    out.extend_from_slice(&lines[run..at]);
    out.extend_from_slice(b"x-serin-shadow: 1\r\n\r\n");
    seen
}

/// A trace of its own, so that what the shadow does is not taken for a part of what a user waited
/// for; `tracestate` says where it comes from.
fn trace(out: &mut Vec<u8>, parent: &[u8], sampled: bool) -> Option<Linked> {
    // `00-`, the trace, `-`, the span, `-`, the flags.
    let (trace, span, flags) = (parent.get(3..35)?, parent.get(36..52)?, parent.get(53..55)?);
    let (high, low, own) = (random() | 1, random(), random() | 1);
    let mut fresh = *b"traceparent: 00-tttttttttttttttttttttttttttttttt-ssssssssssssssss-ff\r\n";
    fresh[16..32].copy_from_slice(&hex(high));
    fresh[32..48].copy_from_slice(&hex(low));
    fresh[49..65].copy_from_slice(&hex(own));
    fresh[66..68].copy_from_slice(flags);
    out.extend_from_slice(&fresh);
    for piece in [&b"tracestate: serin="[..], trace, b"-", span, b"\r\n"] {
        out.extend_from_slice(piece);
    }
    if !sampled {
        return None;
    }
    let of = Place {
        trace: u128::from_str_radix(text(trace)?, 16).ok()?,
        span: u64::from_str_radix(text(span)?, 16).ok()?,
    };
    Some(Linked { own: Place { trace: u128::from(high) << 64 | u128::from(low), span: own }, of })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
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

    fn written(lines: &str, sampled: bool) -> (Vec<u8>, Seen) {
        let head = Head { method: "GET", host: "a", target: "/p?q", sampled };
        let (mut out, omitted) = (b"before".to_vec(), Omitted::new(&["cookie".to_owned()]));
        let seen = write(&head, lines.as_bytes(), &omitted, &mut out);
        (out, seen)
    }

    #[test]
    fn a_copy_carries_what_is_neither_redacted_nor_a_connections_own() {
        let kept = "x-a: 1\r\nx-b:2 \r\ncook: 3\r\ntea: 4\r\n";
        let lines = format!("Cookie: x=y\r\n{kept}TE: trailers\r\nContent-Length: 7\r\nx: z\r\n");
        let (head, seen) = written(&lines, true);
        let expected =
            format!("GET /p?q HTTP/1.1\r\nhost: a\r\n{kept}x: z\r\nx-serin-shadow: 1\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&head), expected);
        assert_eq!((seen.linked.is_none(), seen.length), (true, Some(7)));
        assert_eq!((method_of(&head), path_of(&head).as_str()), ("GET", "/p"));
        assert_eq!(field(&head, "x-serin-shadow"), Some(&b"1"[..]));
    }

    #[test]
    fn nothing_that_is_omitted_passes_in_capitals() {
        let names = OURS.iter().map(|name| format!("{}: secret\r\n", name.to_uppercase()));
        let (head, _) = written(&names.collect::<String>(), false);
        assert!(!String::from_utf8_lossy(&head).contains("secret"));
    }

    #[test]
    fn what_says_that_it_is_a_secret_stays_here() {
        let head = Head { method: "GET", host: "a", target: "/p?a=1&api_key=2", sampled: false };
        let lines = b"X-Api-Key: 3\r\nx-auth-token: 4\r\nX-Plain: 5\r\n";
        let copy = |redacted: &[String]| {
            let mut out = Vec::new();
            write(&head, lines, &Omitted::new(redacted), &mut out);
            String::from_utf8(out).unwrap()
        };
        let kept = "GET /p?a=1&api_key=REDACTED HTTP/1.1\r\nhost: a\r\nX-Plain: 5\r\n";
        assert_eq!(copy(&["x-other".to_owned()]), format!("{kept}x-serin-shadow: 1\r\n\r\n"));
        let all = copy(&[]);
        assert!(all.contains("api_key=2") && all.contains("Key: 3") && all.contains("token: 4"));
    }

    #[test]
    fn a_copys_trace_is_its_own_and_says_whose_it_follows() {
        let line = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
        let (head, seen) = written(line, true);
        let linked = seen.linked.expect("sampled");
        let own = format!("00-{:032x}-{:016x}-01", linked.own.trace, linked.own.span);
        assert_eq!(field(&head, "traceparent"), Some(own.as_bytes()));
        let state = &b"serin=4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"[..];
        assert_eq!(field(&head, "tracestate"), Some(state));
        assert_eq!(linked.of.span, 0x00f0_67aa_0ba9_02b7);
        assert!(written(line, false).1.linked.is_none());
    }
}
