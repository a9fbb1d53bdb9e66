//! More than a thousand heads that two programs could read in two ways: none is forwarded.
//!
//! The backend shows every byte that it gets, and after every batch a canary follows on the
//! upstream connection that the batch would have used.

use crate::edge::Edge;
use serin_testkit::{RawOrigin, Script};
use std::collections::BTreeSet;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn no_malformed_head_reaches_a_backend() {
    let origin = RawOrigin::always(Script::answering(OK));
    let edge = Edge::to(origin.address());
    let cases = cases();
    assert!(cases.len() >= 1_000, "{}", cases.len());
    let mut canaries = 0;
    for (n, case) in cases.iter().enumerate() {
        let mut client = edge.client();
        client.send(case);
        let answer = client.response();
        let shown = String::from_utf8_lossy(case);
        assert!((400..506).contains(&answer.status), "{} for {shown:?}", answer.status);
        assert_eq!(answer.header("connection").as_deref(), Some("close"), "{shown:?}");
        if n % 25 == 0 {
            assert_eq!(edge.get(&format!("/canary/{n}")).status, 200);
            canaries += 1;
        }
    }
    let received = String::from_utf8(origin.received()).unwrap();
    assert_eq!(received.matches("GET /canary/").count(), canaries);
    assert_eq!(received.matches(" HTTP/1.1\r\n").count(), canaries, "{received}");
    assert!(!received.contains("evil"), "{received}");
    let refused = edge.metric("serin_refused_heads_total", ("reason", "invalid"));
    assert_eq!(refused as usize, cases.len());
}

fn cases() -> Vec<Vec<u8>> {
    let mut cases = BTreeSet::new();
    let mut add = |text: String| {
        cases.insert(text.into_bytes());
    };
    let body = "GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n";
    for framing in framings() {
        for method in ["GET", "POST", "PUT", "DELETE", "X-CUSTOM"] {
            add(format!("{method} /evil HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}"));
            add(format!("{method} /evil HTTP/1.1\r\n{framing}\r\nHost: a\r\n\r\n{body}"));
        }
    }
    for control in (0u8..32).chain([127]).filter(|b| *b != 9) {
        let c = char::from(control);
        for line in [
            format!("GET /evil{c} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET{c} /evil HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET /evil HTTP/1.1{c}\r\nHost: a\r\n\r\n"),
            format!("GET /evil HTTP/1.1\r\nHo{c}st: a\r\n\r\n"),
            format!("GET /evil HTTP/1.1\r\nHost: a{c}b\r\n\r\n"),
            format!("GET /evil HTTP/1.1\r\nHost: a\r\nX-A: b{c}c\r\n\r\n"),
            format!("GET /evil HTTP/1.1\r\nHost: a\r\n{c}X-A: b\r\n\r\n"),
            format!("GET /evil HTTP/1.1\r\nHost: a\r\nX-A{c}: b\r\n\r\n"),
        ] {
            // A line feed after a carriage return is how a line ends.
            if !line.contains("\r\n\n\r\n") || control != b'\n' {
                add(line);
            }
        }
    }
    for byte in b"\"(),/:;<=>?@[\\]{} " {
        let c = char::from(*byte);
        add(format!("G{c}T /evil HTTP/1.1\r\nHost: a\r\n\r\n"));
        if c != ':' {
            add(format!("GET /evil HTTP/1.1\r\nHost: a\r\nX{c}A: b\r\n\r\n"));
        }
        if !matches!(c, '[' | ']' | ':') {
            add(format!("GET /evil HTTP/1.1\r\nHost: a{c}b\r\n\r\n"));
        }
    }
    for version in [
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1.1.1",
        "HTTP/0.9",
        "HTTP/2.0",
        "http/1.1",
        "HTTP/1.2",
        "HTTP/9.9",
        "HTTP/11",
        "HTTPS/1.1",
        "HTTP/1,1",
        "HTTP/1.1 evil",
        "XTTP/1.1",
    ] {
        add(format!("GET /evil {version}\r\nHost: a\r\n\r\n"));
    }
    for host in [
        "",
        "Host:\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nhost: a\r\n",
        "Host: a@b\r\n",
        "Host: a:b\r\n",
        "Host: a:70000\r\n",
        "Host: a, b\r\n",
        "Host : a\r\n",
        " Host: a\r\n",
        "Host: a\r\n b\r\n",
        "Host: [::1\r\n",
        "Host: ::1\r\n",
        "Host: a/b\r\n",
        "Host: a%00\r\n",
        "Host: .\u{e9}\r\n",
    ] {
        add(format!("GET /evil HTTP/1.1\r\n{host}\r\n"));
        add(format!("GET /evil HTTP/1.0\r\n{host}\r\n"));
    }
    for target in [
        "http://b/evil",
        "http://a:81/evil",
        "http://a@a/evil",
        "http:///evil",
        "ftp://a/evil",
        "a/evil",
        "a:80",
        "*",
        "?evil",
        "/evil#x",
        "//a b",
        "http:/a/evil",
    ] {
        add(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    for path in [
        "/a/%2fevil",
        "/a/%2Fevil",
        "/%5cevil",
        "/%5Cevil",
        "/%00evil",
        "/../evil",
        "/a/../../evil",
        "/%2e%2e/evil",
        "/.%2e/evil",
        "/a\\evil",
        "/%evil",
        "/%",
        "/%2",
        "/%zz",
        "/a/..;/evil",
        "/;/../../evil",
        "/..;x=y/evil",
    ] {
        add(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    for method in ["TRACE", "CONNECT"] {
        add(format!("{method} /evil HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n"));
    }
    for expect in ["200-ok", "100-continue, x", "", "100", "100-continue;q=1"] {
        add(format!(
            "POST /evil HTTP/1.1\r\nHost: a\r\nExpect: {expect}\r\nContent-Length: 1\r\n\r\nx"
        ));
    }
    cases.into_iter().collect()
}

/// Every way of saying where a body ends that is not the one.
fn framings() -> Vec<String> {
    let mut all = Vec::new();
    for length in [
        "5, 5",
        "5,5",
        "5, 6",
        "+5",
        "-5",
        "-0",
        "05",
        "005",
        "0x5",
        "5x",
        "5 5",
        "",
        " ",
        "5;5",
        "5.0",
        "1e1",
        "five",
        "18446744073709551621",
        "9223372036854775813",
        "999999999999999999999",
        "\"5\"",
        "5\t5",
        "0, 0",
        "00",
    ] {
        all.push(format!("Content-Length: {length}"));
        all.push(format!("content-length:{length}"));
    }
    for (a, b) in [("5", "5"), ("5", "6"), ("0", "5"), ("5", "0")] {
        all.push(format!("Content-Length: {a}\r\nContent-Length: {b}"));
        all.push(format!("Content-Length: {a}\r\nX: y\r\ncontent-length: {b}"));
    }
    for coding in [
        "chunked, chunked",
        "chunked,identity",
        "identity",
        "identity, chunked",
        "xchunked",
        "chunkedx",
        "x chunked",
        "chunked x",
        "",
        " ",
        ",",
        ", chunked",
        "chunked,",
        "\"chunked\"",
        "chunked;a=b",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "deflate",
        "br, chunked",
        "cow",
        "cow, chunked",
        "c\u{4b}hunked",
    ] {
        all.push(format!("Transfer-Encoding: {coding}"));
        all.push(format!("transfer-encoding:{coding}"));
        all.push(format!("Content-Length: 5\r\nTransfer-Encoding: {coding}"));
    }
    for name in ["Transfer-Encoding", "transfer-encoding", "TRANSFER-ENCODING"] {
        all.push(format!("{name}: chunked\r\nTransfer-Encoding: chunked"));
        all.push(format!("{name}: chunked\r\nTransfer-Encoding: identity"));
        all.push(format!("{name}: chunked\r\nContent-Length: 5"));
        all.push(format!("Content-Length: 5\r\n{name}: chunked"));
        all.push(format!("{name} : chunked"));
        all.push(format!("{name}\t: chunked"));
        all.push(format!(" {name}: chunked"));
        all.push(format!("{name}:\r\n chunked"));
        all.push(format!("X: y\r\n {name}: chunked"));
        all.push(format!("{name}: chunked\n"));
        all.push(format!("X: y\n{name}: chunked"));
        all.push(format!("X: y\r{name}: chunked"));
    }
    all
}
