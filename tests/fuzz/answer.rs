//! The head of a backend's answer: what is accepted says the same to any other reader, and the same
//! however its bytes arrive.

use super::prefixes;
use serin_proxy::wire::answer::{Body, Read, ResponseHead, parse};
use serin_proxy::wire::head::Field;

#[test]
fn answer() {
    let words = [
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        "\r\n ",
        ":",
        " :",
        "\0",
        " ",
        "\t",
        "HTTP/1.0",
        "HTTP/1.1 ",
        "HTTP/2",
        "099",
        "100",
        "204",
        "304",
        "1000",
        " OK",
        "Content-Length: 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 05\r\n",
        "Content-Length: 5, 5\r\n",
        "content-length:0\r\n",
        "Content-Length: 999999999999999999\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Connection: close\r\n",
        "Connection: a, keep-alive\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "é",
    ];
    super::fuzz("answer", &words, |input| {
        for asked_head in [false, true] {
            let mut fields = Vec::new();
            let read = parse(input, asked_head, &mut fields);
            grows_into(read, input, asked_head);
            if let Read::Whole(head) = read {
                stays_within(&head, &fields, input);
                is_read_alike(&head, &fields, input);
                has_one_framing(&head, input, asked_head);
            }
        }
    });
}

/// A beginning of the input has to wait, or is judged as the whole is; and once it is whole,
/// nothing that follows matters.
fn grows_into(read: Read, input: &[u8], asked_head: bool) {
    let needed = if let Read::Whole(head) = read { head.length } else { input.len() };
    for end in prefixes(input) {
        let early = parse(&input[..end], asked_head, &mut Vec::new());
        match read {
            Read::Whole(_) if end < needed => assert_eq!(early, Read::Partial, "{end} of {needed}"),
            Read::Whole(_) => assert_eq!(early, read, "{end} of {needed}"),
            Read::Partial => assert_eq!(early, Read::Partial, "{end} of {needed}"),
            Read::Invalid => assert!(matches!(early, Read::Partial | Read::Invalid), "{early:?}"),
        }
    }
}

fn stays_within(head: &ResponseHead, fields: &[Field], input: &[u8]) {
    assert!(head.length <= input.len() && (100..=999).contains(&head.status));
    let named = fields.iter().flat_map(|field| [field.name, field.value]);
    for span in named.chain([head.reason]) {
        assert!(span.from <= span.to && span.to <= head.length, "{span:?} of {}", head.length);
    }
}

/// Another parser, which shares no line with this one, accepts it and sees the same.
fn is_read_alike(head: &ResponseHead, fields: &[Field], input: &[u8]) {
    let mut theirs = [httparse::EMPTY_HEADER; 256];
    let mut other = httparse::Response::new(&mut theirs);
    let length = match other.parse(input) {
        Ok(httparse::Status::Complete(length)) => length,
        otherwise => panic!("to another parser it is {otherwise:?}"),
    };
    assert_eq!((length, other.code), (head.length, Some(head.status)));
    let ours: Vec<_> = fields.iter().map(|f| (f.name.of(input), f.value.of(input))).collect();
    let theirs: Vec<_> = other.headers.iter().map(|f| (f.name.as_bytes(), f.value)).collect();
    assert_eq!(ours, theirs);
    // It gives no reason when one is not of ASCII.
    if let Some(reason) = other.reason.filter(|reason| !reason.is_empty()) {
        assert_eq!(head.reason.of(input), reason.as_bytes());
    }
}

/// A reader that is as lenient as any: it splits at every line feed and trims what stands around
/// names and values. It has to come to the same single framing.
fn has_one_framing(head: &ResponseHead, input: &[u8], asked_head: bool) {
    let text = &input[..head.length];
    let (mut lengths, mut codings) = (Vec::new(), Vec::new());
    for line in text.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let value = parts.next().unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            for item in value.split(|byte| *byte == b',') {
                let digits = std::str::from_utf8(item.trim_ascii()).expect("digits");
                lengths.push(digits.parse::<u64>().expect("a length that fits"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            codings.push(value);
        }
    }
    lengths.dedup();
    assert!(codings.iter().all(|coding| coding.eq_ignore_ascii_case(b"chunked")), "{codings:?}");
    let bodiless = asked_head || head.status < 200 || matches!(head.status, 204 | 304);
    let body = match (&*lengths, &*codings) {
        _ if bodiless => Body::None,
        (_, [_]) => Body::Chunked,
        ([0], []) => Body::None,
        ([length], []) => Body::Length(*length),
        ([], []) => Body::UntilEnd,
        _ => panic!("accepted with {lengths:?} and {codings:?}"),
    };
    assert_eq!(head.body, body);
    let both = !lengths.is_empty() && !codings.is_empty();
    assert!(!(head.keeps && (both || body == Body::UntilEnd)), "nobody knows where it ends");
}
