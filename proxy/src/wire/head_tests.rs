use super::*;
use proptest::prelude::*;

fn verdict(bytes: &[u8]) -> Verdict {
    parse(bytes, &HeadLimits::default(), &mut Vec::new())
}

fn refused(bytes: impl AsRef<[u8]>) -> Refusal {
    match verdict(bytes.as_ref()) {
        Verdict::Refused(refusal) => refusal,
        other @ (Verdict::Partial | Verdict::Whole(_)) => {
            panic!("{other:?} for {:?}", String::from_utf8_lossy(bytes.as_ref()))
        }
    }
}

fn whole(bytes: impl AsRef<[u8]>) -> Head {
    match verdict(bytes.as_ref()) {
        Verdict::Whole(head) => head,
        other @ (Verdict::Partial | Verdict::Refused(_)) => {
            panic!("{other:?} for {:?}", String::from_utf8_lossy(bytes.as_ref()))
        }
    }
}

fn with(fields: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n")
}

#[test]
fn a_plain_head_is_taken_apart() {
    let bytes = b"GET /a?b=c HTTP/1.1\r\nHost: a.example:80\r\nX-Y:  z \t\r\n\r\nrest";
    let mut fields = Vec::new();
    let Verdict::Whole(head) = parse(bytes, &HeadLimits::default(), &mut fields) else {
        panic!("not whole")
    };
    assert_eq!(head.length, bytes.len() - 4);
    assert_eq!(head.method.of(bytes), b"GET");
    assert_eq!(head.target.of(bytes), b"/a?b=c");
    assert_eq!(head.host.of(bytes), b"a.example:80");
    assert_eq!(head.framing, Framing::None);
    assert!(head.minor_one && head.keep_alive && !head.upgrade);
    assert_eq!(fields[1].value.of(bytes), b"z");
}

#[test]
fn a_body_is_framed_in_exactly_one_way() {
    assert_eq!(whole(with("Content-Length: 5\r\n")).framing, Framing::Length(5));
    assert_eq!(whole(with("Content-Length: 0\r\n")).framing, Framing::None);
    assert_eq!(whole(with("Transfer-Encoding: Chunked\r\n")).framing, Framing::Chunked);
    for bad in [
        "5, 5",
        "5,6",
        "+5",
        "-5",
        "005",
        "05",
        "0x5",
        "5 5",
        "",
        "5.0",
        "five",
        "5;",
        "\"5\"",
        "18446744073709551616",
        "9223372036854775808",
        "1000000000000000000",
        "٥",
    ] {
        assert_eq!(refused(with(&format!("Content-Length: {bad}\r\n"))), Refusal::ContentLength);
    }
    let twice = with("Content-Length: 5\r\nContent-Length: 5\r\n");
    assert_eq!(refused(twice), Refusal::ContentLength);
    let both = with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
    assert_eq!(refused(both), Refusal::TransferEncoding);
    let both = with("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n");
    assert_eq!(refused(both), Refusal::TransferEncoding);
    for bad in [
        "chunked, chunked",
        "identity",
        "xchunked",
        "chunked;q=1",
        "",
        "chunked,",
        ",chunked",
        "identity, chunked",
        "chunked identity",
        "\"chunked\"",
        "gzip, chunked, chunked",
        "chunked, gzip",
    ] {
        let head = with(&format!("Transfer-Encoding: {bad}\r\n"));
        assert_eq!(refused(&head), Refusal::TransferEncoding, "{bad}");
    }
    for unspoken in ["gzip", "gzip, chunked", "deflate,chunked", "BR"] {
        let head = with(&format!("Transfer-Encoding: {unspoken}\r\n"));
        assert_eq!(refused(head).status(), 501, "{unspoken}");
    }
    let twice = with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n");
    assert_eq!(refused(twice), Refusal::TransferEncoding);
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refused(old), Refusal::TransferEncoding);
}

#[test]
fn lines_and_names_have_one_form() {
    for (bad, why) in [
        ("GET / HTTP/1.1\nHost: a\n\n", Refusal::Version),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Refusal::FieldValue),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", Refusal::LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\n X: y\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\n: z\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", Refusal::FieldValue),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n", Refusal::FieldValue),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", Refusal::FieldValue),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Version),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target),
        ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Method),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Refusal::Version),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", Refusal::Version),
        ("GET / HTTP/11\r\nHost: a\r\n\r\n", Refusal::Version),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Refusal::VersionNotSupported),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Refusal::VersionNotSupported),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refusal::VersionNotSupported),
        ("GET /\r\n\r\n", Refusal::Target),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Method),
        ("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Method),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Method),
        ("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target),
        ("\x16\x03\x01\x02\x00", Refusal::Method),
    ] {
        assert_eq!(refused(bad), why, "{bad:?}");
    }
}

#[test]
fn there_is_one_host_and_the_target_agrees() {
    let host = |line: &str| format!("GET / HTTP/1.1\r\n{line}\r\n");
    for bad in [
        "",
        "Host:\r\n",
        "Host: \r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a b\r\n",
        "Host: u@a\r\n",
        "Host: a:99999\r\n",
        "Host: a/b\r\n",
        "Host: [::1\r\n",
        "Host: a,b\r\n",
        "Host: a:\r\n",
    ] {
        assert_eq!(refused(host(bad)), Refusal::Host, "{bad:?}");
    }
    let absolute = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let bytes = absolute("http://A.example/x?y");
    assert_eq!(whole(&bytes).target.of(bytes.as_bytes()), b"/x?y");
    let bytes = absolute("http://a.example?y");
    assert_eq!(whole(&bytes).target.of(bytes.as_bytes()), b"?y");
    for bad in ["http://b.example/", "http://a.example:81/", "http://u@a.example/", "http:///"] {
        assert_eq!(refused(absolute(bad)), Refusal::HostDiffers, "{bad}");
    }
    for bad in ["ftp://a.example/", "a.example:80", "*", "a", "http:/a.example", "?x"] {
        assert_eq!(refused(absolute(bad)), Refusal::Target, "{bad}");
    }
    whole("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn each_limit_has_its_status() {
    let long = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(n));
    whole(long(8 * 1024 - 1));
    assert_eq!(refused(long(8 * 1024)).status(), 414);
    assert_eq!(refused(&long(40 * 1024)[..9 * 1024]).status(), 414);
    assert_eq!(refused(with(&"X: y\r\n".repeat(100))).status(), 431);
    assert_eq!(refused(with(&format!("X: {}\r\n", "y".repeat(32 * 1024)))).status(), 431);
    let unfinished = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(32 * 1024));
    assert_eq!(refused(unfinished).status(), 431);
    assert_eq!(refused("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 405);
    assert_eq!(refused("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").status(), 405);
    assert_eq!(refused(with("Expect: 200-ok\r\n")).status(), 417);
    assert!(whole(with("Expect: 100-Continue\r\n")).expects_continue);
}

#[test]
fn what_the_connection_is_for_is_read_from_both_fields() {
    let upgrade = |fields: &str| whole(with(fields)).upgrade;
    assert!(upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
    assert!(!upgrade("Upgrade: websocket\r\n"));
    assert!(!upgrade("Connection: Upgrade\r\n"));
    assert!(!whole(with("Connection: x, CLOSE\r\n")).keep_alive);
    assert!(!whole("GET / HTTP/1.0\r\nHost: a\r\n\r\n").keep_alive);
    assert!(whole("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}

/// A head of which every part is right, with one part that is wrong.
fn broken() -> impl Strategy<Value = Vec<u8>> {
    let ctl = prop::sample::select(vec![0u8, 1, 8, 10, 11, 12, 13, 27, 31, 127]);
    let place = 0usize..1000;
    (ctl, place, prop::collection::vec("[a-z]{1,9}: [a-z]{0,9}", 0..4)).prop_map(
        |(ctl, place, fields)| {
            let mut head = String::from("GET /path?q=1 HTTP/1.1\r\nHost: a.example\r\n");
            for field in fields {
                head.push_str(&field);
                head.push_str("\r\n");
            }
            let mut bytes = head.into_bytes();
            let at = place % bytes.len();
            // Inside of a line, never at its ends, where a line feed would be right.
            let at = if matches!(bytes[at], b'\r' | b'\n') { at.saturating_sub(2) } else { at };
            bytes.insert(at.max(1), ctl);
            bytes.extend_from_slice(b"\r\n");
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_control_byte_anywhere_is_refused(bytes in broken()) {
        let refused = matches!(verdict(&bytes), Verdict::Refused(_));
        prop_assert!(refused, "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn how_a_head_arrives_changes_nothing(
        bytes in prop::collection::vec(prop_oneof![
            prop::sample::select(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5".to_vec()),
            any::<u8>(),
        ], 0..200),
        good: bool,
    ) {
        let bytes = if good { [b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec(), bytes].concat() } else { bytes };
        let end = verdict(&bytes);
        let mut early = None;
        for n in 0..bytes.len() {
            match (verdict(&bytes[..n]), early) {
                (Verdict::Partial, None) => {}
                (Verdict::Partial, Some(before)) => prop_assert!(false, "{before:?} taken back"),
                (now, None) => early = Some(now),
                (now, Some(before)) => prop_assert_eq!(now, before),
            }
        }
        if let Some(early) = early {
            prop_assert_eq!(early, end);
        }
    }

    #[test]
    fn what_is_accepted_lies_within_the_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let head = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec(), bytes, b"\r\n\r\n".to_vec()].concat();
        let mut fields = Vec::new();
        if let Verdict::Whole(found) = parse(&head, &HeadLimits::default(), &mut fields) {
            prop_assert!(found.length <= head.len());
            for field in fields {
                prop_assert!(field.value.of(&head).iter().all(|b| *b >= b' ' || *b == b'\t'));
                prop_assert!(!field.name.of(&head).is_empty());
            }
        }
    }
}
