//! Heads between HTTP/2 and the text of HTTP/1.
//!
//! Every head in this proxy is read and written as text, whichever protocol carries it: there is one
//! place that writes what a backend is asked, and one that judges what it answers. What HTTP/2 says
//! otherwise (the host, the framing, the connection) is put in its place here.
//!
//! Pure, and never a second judge: what is written here is read by the strict parsers.

use super::head::{self, HeadLimits, Verdict};
use crate::buffer::Buffer;
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};

/// The head is Serin's own, so that no limit is needed.
const ANY: HeadLimits =
    HeadLimits { max_bytes: usize::MAX, max_fields: usize::MAX, max_target: usize::MAX };

/// Framing and the connection, of which HTTP/2 speaks by itself.
const LEFT_OUT: [&[u8]; 4] = [b"host", b"transfer-encoding", b"connection", b"upgrade"];

/// The request that a head in text stands for. `None` when HTTP/2 has no place for it.
pub(crate) fn request(text: &[u8], tls: bool) -> Option<Request<()>> {
    let mut fields = Vec::new();
    let Verdict::Whole(head) = head::parse(text, &ANY, &mut fields) else { return None };
    // Values are parts of one copy.
    let whole = Bytes::copy_from_slice(text.get(..head.length)?);
    let part = |span: head::Span| whole.slice(span.from..span.to);
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(Authority::from_maybe_shared(part(head.host)).ok()?);
    uri.path_and_query = Some(PathAndQuery::from_maybe_shared(part(head.target)).ok()?);
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(head.method.of(text)).ok()?;
    parts.uri = Uri::from_parts(uri).ok()?;
    parts.headers.try_reserve(fields.len()).ok()?;
    for field in &fields {
        let name = field.name.of(text);
        if LEFT_OUT.iter().any(|left_out| name.eq_ignore_ascii_case(left_out)) {
            continue;
        }
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_maybe_shared(part(field.value)).ok()?;
        parts.headers.try_append(name, value).ok()?;
    }
    Some(Request::from_parts(parts, ()))
}

/// Writes the head of an answer as HTTP/1 would say it.
pub(crate) fn write_answer(status: StatusCode, fields: &HeaderMap, to: &mut Buffer) {
    let reason = status.canonical_reason().unwrap_or_default().as_bytes();
    to.push_all([b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason, b"\r\n"]);
    for (name, value) in fields {
        to.push_line(name.as_str().as_bytes(), value.as_bytes());
    }
    to.push(b"\r\n");
}

/// The fields that stand in lines after a body of chunks. `None` when they cannot be said.
pub(crate) fn trailers(lines: &[u8]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        fields.try_append(name, value).ok()?;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::answer::{self, Body, Read};
    use crate::wire::view::View;

    #[test]
    fn a_request_is_said_without_what_is_of_the_connection() {
        let text = b"POST /a?b HTTP/1.1\r\nhost: x.example:81\r\ntransfer-encoding: chunked\r\nconnection: x-b\r\nX-A: 1\r\nx-a: 2\r\n\r\n";
        let request = request(text, true).unwrap();
        assert_eq!(request.uri(), "https://x.example:81/a?b");
        assert_eq!(request.method(), "POST");
        let fields: Vec<_> =
            request.headers().iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        assert_eq!(fields, [("x-a", &b"1"[..]), ("x-a", b"2")]);
        assert!(self::request(b"GET /<> HTTP/1.1\r\nhost: a\r\n\r\n", false).is_none());
    }

    #[test]
    fn an_answer_is_read_as_it_was_said() {
        let mut fields = HeaderMap::new();
        fields.append("content-length", HeaderValue::from_static("5"));
        fields.append("set-cookie", HeaderValue::from_static("a=1"));
        fields.append("set-cookie", HeaderValue::from_static("b=2"));
        let (mut text, mut read) = (Buffer::default(), Vec::new());
        write_answer(StatusCode::OK, &fields, &mut text);
        let Read::Whole(head) = answer::parse(text.bytes(), false, &mut read) else { panic!() };
        assert_eq!((head.status, head.body, head.length), (200, Body::Length(5), text.len()));
        let view = View::of(text.bytes(), &read);
        assert_eq!(view.named("set-cookie").collect::<Vec<_>>(), [b"a=1", b"b=2"]);
    }

    #[test]
    fn trailers_are_lines_of_fields() {
        let fields = trailers(b"grpc-status: 0\r\nX:  y \r\n").unwrap();
        assert_eq!(
            (&fields["grpc-status"], &fields["x"]),
            (&"0".parse().unwrap(), &"y".parse().unwrap())
        );
        assert!(trailers(b"").unwrap().is_empty());
        assert!(trailers(b"a b: c\r\n").is_none());
    }
}
