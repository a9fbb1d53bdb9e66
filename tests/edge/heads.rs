//! The rows of the HTTP/1 table that are about heads, and the faults of a bare proxy.

use crate::edge::{Edge, SHORT, limited, web};
use serin_testkit::{ConfigText, Origin, RawOrigin, Script, ServiceText, eventually};
use std::time::Instant;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn status(edge: &Edge, head: &str) -> u16 {
    let mut client = edge.client();
    client.send(head);
    let status = client.response().status;
    client.ended();
    status
}

#[test]
fn each_kind_of_fault_has_its_own_status_and_the_connection_is_closed() {
    let origin = RawOrigin::always(Script::answering(OK));
    let edge = Edge::to(origin.address());
    let long = "a".repeat(9_000);
    for (head, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("PRI / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", 417),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("GET /%2f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ] {
        assert_eq!(status(&edge, head), expected, "{head:?}");
    }
    assert_eq!(status(&edge, &format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")), 414);
    let many = "X: y\r\n".repeat(101);
    assert_eq!(status(&edge, &format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")), 431);
    let large = "y".repeat(33 * 1024);
    assert_eq!(status(&edge, &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {large}\r\n\r\n")), 431);
    assert!(origin.received().is_empty());
}

#[test]
fn an_unfinished_head_of_any_size_is_answered_431_and_not_kept() {
    let origin = RawOrigin::always(Script::answering(OK));
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(900 * 1024)));
    assert_eq!(client.response().status, 431);
}

#[test]
fn two_pipelined_requests_get_two_answers_in_order() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\noneGET /bytes/7 HTTP/1.1\r\nHost: a\r\n\r\nPOST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n",
    );
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().body.len(), 7);
    assert_eq!(client.response().text(), "three");
}

#[test]
fn an_absolute_target_is_forwarded_in_origin_form() {
    let origin = RawOrigin::always(Script::answering(OK));
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let received = String::from_utf8(origin.received()).unwrap();
    assert!(received.starts_with("GET /x?y HTTP/1.1\r\n"), "{received}");
}

#[test]
fn the_path_that_is_matched_is_the_path_that_is_forwarded() {
    let origin = Origin::start("v1");
    let config = ConfigText::new()
        .http_listener("http")
        .service(web(origin.address()))
        .route("{ name: admin, matches: [{ path: { prefix: /admin } }], redirect: { path: /no, status: 302 } }")
        .route("{ name: all, matches: [{ path: { prefix: / } }], service: web }");
    let edge = Edge::start(&config);
    for path in ["/a/../admin", "//admin", "/./admin", "/%61dmin", "/x/%2e%2e/admin"] {
        assert_eq!(edge.get(path).status, 302, "{path}");
    }
    assert_eq!(edge.get("/a/./b//c/../%7ed?x=/../y").status, 200);
    assert_eq!(origin.seen().last().unwrap().path, "/a/b/~d?x=/../y");
}

#[test]
fn a_short_plaintext_request_does_not_hang() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("GET / HTTP/1.1\r\nHost:a\r\n\r\n");
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_head_has_one_deadline_however_it_trickles() {
    let origin = Origin::start("v1");
    let edge = Edge::start(&limited("headerTimeout: 300ms", web(origin.address())));
    let begun = Instant::now();
    let mut client = edge.client();
    client.send_slowly("GET / HTTP/1.1\r\nHost: a.example\r\nX-Slow: aaaaaaaaaa", 1, SHORT / 20);
    assert_eq!(client.response().status, 408);
    client.ended();
    assert!(begun.elapsed() >= SHORT);
    eventually("the slow head is counted", || {
        edge.metric("serin_refused_heads_total", ("reason", "tooSlow")) == 1.0
    });
    assert_eq!(origin.requests(), 0);
}

#[test]
fn an_http_1_0_client_gets_a_body_that_it_can_read() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("GET /stream/3/1 HTTP/1.0\r\nHost: a\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("transfer-encoding"), None);
    client.ended();
}

#[test]
fn a_request_without_a_route_is_404_and_fixed_answers_need_no_backend() {
    let config = ConfigText::new()
        .http_listener("http")
        .service(ServiceText::new("web").version("v1", &["127.0.0.1:9".parse().unwrap()]))
        .route("{ name: fixed, matches: [{ path: { exact: /hello } }], respond: { status: 200, body: \"hi\" } }");
    let edge = Edge::start(&config);
    assert_eq!(edge.get("/nothing").status, 404);
    let answer = edge.get("/hello");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
    let mut client = edge.client();
    client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response_to_head().header("content-length").as_deref(), Some("2"));
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text(), "hi");
}

#[test]
fn a_head_that_is_wrong_is_refused_however_its_bytes_came() {
    let origin =
        RawOrigin::always(Script::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let edge = Edge::to(origin.address());
    for cut in 0..8 {
        let (first, second) = "GE\u{7}T / HT".split_at(cut);
        let mut client = edge.client();
        client.send(first);
        assert_eq!(edge.get("/").status, 200);
        client.send(second).half_close();
        assert_eq!(client.response().status, 400, "cut at {cut}");
    }
}

/// Some clients send one more than they say after a body.
#[test]
fn empty_lines_before_a_request_are_passed_over_up_to_a_few() {
    let origin = RawOrigin::always(Script::answering(OK));
    let edge = Edge::to(origin.address());
    for (lines, expected) in [(0, 200), (1, 200), (2, 200), (4, 200), (5, 400)] {
        let head = format!(
            "{}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "\r\n".repeat(lines)
        );
        assert_eq!(status(&edge, &head), expected, "{lines}");
    }
    assert!(String::from_utf8(origin.received()).unwrap().starts_with("GET / HTTP/1.1\r\n"));
}
