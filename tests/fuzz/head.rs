//! A request's head: what is accepted has one meaning, for whoever reads it after us.

use super::prefixes;
use serin_proxy::wire::head::{Field, Framing, Head, HeadLimits, Verdict, parse};

const LIMITS: HeadLimits = HeadLimits { max_bytes: 8 * 1024, max_fields: 40, max_target: 2 * 1024 };

#[test]
fn head() {
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
        "Host: a\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 05\r\n",
        "Content-Length: 5, 5\r\n",
        "content-length:0\r\n",
        "Content_Length: 7\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Connection: close\r\n",
        "HTTP/1.0",
        "HTTP/1.1",
        "HTTP/2.0",
        "http://a",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    super::fuzz("head", &words, |input| {
        let mut fields = Vec::new();
        let verdict = parse(input, &LIMITS, &mut fields);
        grows_into(&verdict, input);
        if let Verdict::Whole(head) = verdict {
            stays_within(&head, &fields, input);
            has_one_framing(&head, input);
            is_read_alike(&head, &fields, input);
            reads_the_same_again(&head, &fields, input);
        }
    });
}

/// A beginning of the input is never judged otherwise than the input, except that it may have to
/// wait: a verdict does not depend on how the bytes were cut on their way.
fn grows_into(verdict: &Verdict, input: &[u8]) {
    for end in prefixes(input) {
        let early = parse(&input[..end], &LIMITS, &mut Vec::new());
        let waits = !matches!(verdict, Verdict::Whole(head) if end >= head.length);
        let waits = waits && early == Verdict::Partial;
        assert!(waits || early == *verdict, "{early:?} of {end}, {verdict:?}");
    }
}

fn stays_within(head: &Head, fields: &[Field], input: &[u8]) {
    assert!(head.length <= input.len().min(LIMITS.max_bytes));
    assert!(fields.len() <= LIMITS.max_fields);
    let spans = [head.method, head.target, head.target_as_sent, head.host];
    let named = fields.iter().flat_map(|field| [field.name, field.value]);
    for span in spans.into_iter().chain(named) {
        assert!(span.from <= span.to && span.to <= head.length, "{span:?} of {}", head.length);
    }
}

/// A reader that is as lenient as any, and knows nothing of the parser: it splits at every line
/// feed, trims what stands around names and values, and takes every spelling of the two fields for
/// the real ones. It has to come to the same single framing.
fn has_one_framing(head: &Head, input: &[u8]) {
    let bytes = &input[head.begins..head.length];
    assert!(bytes.ends_with(b"\r\n\r\n"));
    let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).collect();
    let blank = lines.iter().position(|line| line.is_empty());
    assert_eq!(blank, Some(lines.len() - 2), "a reader of bare line feeds sees an earlier end");
    assert!(!bytes.contains(&0));
    let returns = bytes.iter().filter(|b| **b == b'\r').count();
    assert_eq!(returns, bytes.windows(2).filter(|w| w == b"\r\n").count(), "a bare return");
    let (mut lengths, mut codings, mut hosts) = (Vec::new(), Vec::new(), 0);
    for line in &lines[1..lines.len() - 2] {
        let colon = line.iter().position(|b| *b == b':').expect("a name in each line");
        assert!(!line[..colon].iter().any(u8::is_ascii_whitespace), "a space in a name");
        match &*line[..colon].to_ascii_lowercase() {
            b"content-length" => lengths.push(line[colon + 1..].trim_ascii()),
            b"transfer-encoding" => codings.push(line[colon + 1..].trim_ascii()),
            b"host" => hosts += 1,
            _ => {}
        }
    }
    assert_eq!(hosts, 1);
    let framing = match (&*lengths, &*codings) {
        ([], []) | ([b"0"], []) => Framing::None,
        ([length], []) => {
            let text = std::str::from_utf8(length).expect("digits");
            let value: u64 = text.parse().expect("a length that fits");
            assert_eq!(value.to_string(), text, "two readers could differ");
            Framing::Length(value)
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && head.minor_one => {
            Framing::Chunked
        }
        _ => panic!("accepted with {lengths:?} and {codings:?}"),
    };
    assert_eq!(head.framing, framing);
}

/// A parser that shares no line with this one accepts it and sees the same.
fn is_read_alike(head: &Head, fields: &[Field], input: &[u8]) {
    let mut theirs = [httparse::EMPTY_HEADER; LIMITS.max_fields];
    let mut other = httparse::Request::new(&mut theirs);
    let parsed = other.parse(&input[head.begins..]);
    assert_eq!(parsed, Ok(httparse::Status::Complete(head.length - head.begins)));
    assert_eq!(other.method.map(str::as_bytes), Some(head.method.of(input)));
    assert_eq!(other.path.map(str::as_bytes), Some(head.target_as_sent.of(input)));
    assert_eq!(other.version, Some(u8::from(head.minor_one)));
    let ours: Vec<_> = fields.iter().map(|f| (f.name.of(input), f.value.of(input))).collect();
    let theirs: Vec<_> = other.headers.iter().map(|f| (f.name.as_bytes(), f.value)).collect();
    assert_eq!(ours, theirs);
}

/// Written anew from its parts it is the same head, and nothing is left over.
fn reads_the_same_again(head: &Head, fields: &[Field], input: &[u8]) {
    let minor = if head.minor_one { "1" } else { "0" };
    let mut again = [head.method.of(input), b" ", head.target_as_sent.of(input)].concat();
    again.extend_from_slice(format!(" HTTP/1.{minor}\r\n").as_bytes());
    for field in fields {
        let line = [field.name.of(input), b": ", field.value.of(input), b"\r\n"].concat();
        again.extend_from_slice(&line);
    }
    again.extend_from_slice(b"\r\n");
    let roomy = HeadLimits { max_bytes: 2 * LIMITS.max_bytes, ..LIMITS };
    let mut seen = Vec::new();
    let Verdict::Whole(second) = parse(&again, &roomy, &mut seen) else {
        panic!("not accepted again: {}", again.escape_ascii())
    };
    assert_eq!(second.length, again.len());
    let parts = |h: &Head, of: &[u8]| {
        [h.method, h.target, h.target_as_sent, h.host].map(|span| span.of(of).to_vec())
    };
    assert_eq!(parts(&second, &again), parts(head, input));
    let facts = |h: &Head| (h.framing, h.minor_one, h.upgrade, h.expects_continue, h.keep_alive);
    assert_eq!(facts(&second), facts(head));
    let pairs = |fields: &[Field], of: &[u8]| -> Vec<(Vec<u8>, Vec<u8>)> {
        fields.iter().map(|f| (f.name.of(of).to_vec(), f.value.of(of).to_vec())).collect()
    };
    assert_eq!(pairs(&seen, &again), pairs(fields, input));
}
