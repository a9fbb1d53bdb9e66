//! Bodies: framed soundly or not forwarded, bounded, paced, and never kept.

use crate::edge::{Edge, SHORT, limited, web};
use serin_testkit::{ConfigText, End, Latch, Origin, RawOrigin, Script, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_broken_chunk_aborts_the_upstream_connection_and_is_never_followed_by_another_request() {
    let bad = [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloevil\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nbad name: x\r\n\r\n",
        "zz\r\n",
    ];
    for chunks in bad {
        let origin = RawOrigin::always(Script::answering(OK));
        let edge = Edge::to(origin.address());
        let mut client = edge.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(chunks);
        if let Ok(answer) = client.try_response() {
            assert_eq!(answer.status, 400, "{chunks:?}");
        }
        eventually("the upstream connection, if there was one, is gone", || {
            origin.records().iter().all(|record| record.ended)
        });
        assert_eq!(edge.get("/canary").status, 200);
        let canary = String::from_utf8(origin.records().last().unwrap().bytes.clone()).unwrap();
        assert!(canary.starts_with("GET /canary "), "{canary}");
        assert!(!canary.contains("evil"), "{canary}");
    }
}

/// A body that may not be sent twice is let go early, and what came with it is not.
#[test]
fn what_a_client_sends_behind_a_body_outlives_it() {
    let origin = RawOrigin::always(Script::answering(OK));
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    for length in [1, 2_000, 3_000, 8_000, 16_384, 40_000] {
        let body = "x".repeat(length);
        let post =
            format!("POST /{length} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        client.send(format!("{post}{body}GET /behind-{length} HTTP/1.1\r\nHost: a\r\n\r\n"));
        for _ in 0..2 {
            let answer = client.response();
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok"[..]), "{length}");
        }
    }
    let received = String::from_utf8(origin.received()).unwrap();
    for length in [1, 2_000, 3_000, 8_000, 16_384, 40_000] {
        let behind = format!("\r\n\r\n{}GET /behind-{length} HTTP", "x".repeat(length));
        assert!(received.contains(&behind), "{length}");
    }
}

#[test]
fn trailers_and_extensions_of_a_client_stay_behind() {
    let origin = RawOrigin::always(Script::answering(OK));
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Host\r\n\r\n5;ext=1\r\nhello\r\n0\r\nHost: evil\r\nContent-Length: 3\r\nAuthorization: x\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let received = String::from_utf8(origin.received()).unwrap();
    assert!(received.ends_with("\r\n0\r\n\r\n"), "{received}");
    assert!(!received.contains("evil") && !received.contains("ext=1"), "{received}");
}

#[test]
fn an_extension_of_a_chunk_that_is_none_is_400() {
    let origin = RawOrigin::always(Script::answering(OK));
    let config = serin_testkit::ConfigText::simple(web(origin.address()));
    let edge = Edge::start(&config);
    for extension in [";", ";;a", ";=b", ";a=", ";a=\"b", ";a=\"b\"c", ";a b", ";a\u{e9}"] {
        let mut client = edge.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(format!("5{extension}\r\nhello\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n"));
        assert_eq!(client.response().status, 400, "{extension:?}");
    }
    let received = String::from_utf8(origin.received()).unwrap();
    assert!(!received.contains("hello") && !received.contains("evil"), "{received}");
}

#[test]
fn a_body_over_the_limit_is_413_before_and_during() {
    let origin = Origin::start("v1");
    let config = ConfigText::new().http_listener("http").service(web(origin.address())).route(
        "{ name: all, matches: [{ path: { prefix: / } }], service: web, limits: { maxBody: 1KiB } }",
    );
    let edge = Edge::start(&config);
    let mut client = edge.client();
    client.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n");
    assert_eq!(client.response().status, 413);
    assert_eq!(origin.requests(), 0);
    let mut client = edge.client();
    // In one piece: a backend that answers while a body is still to come is passed on.
    let head = "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}800\r\n{}\r\n0\r\n\r\n", "x".repeat(0x800)));
    assert_eq!(client.response().status, 413);
    eventually("it says nothing about the version", || {
        let tally = edge.counts("v1").judged;
        (tally.bad, tally.excluded) == (0, 1)
    });
}

#[test]
fn a_body_slower_than_the_floor_is_408() {
    let origin = RawOrigin::always(Script::never_answering());
    let edge = Edge::start(&limited("headerTimeout: 300ms", web(origin.address())));
    let mut client = edge.client();
    client.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    client.send_slowly("aaaaaaaaaaaaaaaaaaaa", 1, SHORT / 10);
    assert_eq!(client.response().status, 408);
    eventually("no mark against the version", || edge.counts("v1").judged.excluded == 1);
}

#[test]
fn large_bodies_pass_both_ways_unchanged() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut client = edge.client();
    client
        .send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    let answer = client.response().text();
    assert!(answer.contains(&serin_testkit::body_hash(&body)), "{answer}");
    assert_eq!(edge.get("/bytes/5000000").body.len(), 5_000_000);
}

#[test]
fn a_body_of_known_length_passes_as_it_comes_too() {
    let latch = Latch::new();
    let script = Script::new()
        .read_request()
        .write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        .wait_for(&latch)
        .write("after");
    let origin = RawOrigin::always(script);
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_past(b"first");
    latch.open();
    client.read_past(b"after");
}

#[test]
fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    let origin = RawOrigin::always(
        Script::new()
            .read_until("\r\n\r\n")
            .write("HTTP/1.1 100 Continue\r\n\r\n")
            .read_bytes(5)
            .write(OK),
    );
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    client.read_past(b"100 Continue\r\n\r\n");
    client.send("hello");
    assert_eq!(client.response().status, 200);
}

#[test]
fn early_hints_and_other_interim_heads_pass() {
    let origin = RawOrigin::always(Script::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ));
    let edge = Edge::to(origin.address());
    let answer = edge.get("/");
    assert_eq!((answer.status, answer.interim.as_slice()), (200, &[103][..]));
}

#[test]
fn an_answer_to_head_has_its_length_and_no_body() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("HEAD /bytes/1234 HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.response_to_head();
    assert_eq!(answer.header("content-length").as_deref(), Some("1234"));
    client.send("GET /bytes/3 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().body.len(), 3);
}

#[test]
fn a_client_that_has_said_everything_still_hears_the_answer() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("GET /delay/200 HTTP/1.1\r\nHost: a\r\n\r\n").half_close();
    assert_eq!(client.response().status, 200);
    assert_eq!(client.ended().0, End::Closed);
}

#[test]
fn an_answer_instead_of_leave_to_send_is_the_answer_and_ends_both_connections() {
    let refusal = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
    let origin = RawOrigin::always(Script::new().read_until("\r\n\r\n").write(refusal).repeat());
    let edge = Edge::start(&ConfigText::simple(web(origin.address())));
    let mut client = edge.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let answer = client.response();
    assert_eq!((answer.status, answer.text().as_str()), (401, "no"));
    assert_eq!(answer.header("connection").as_deref(), Some("close"));
    client.half_close().ended();
    eventually("no other request will follow its head", || origin.records()[0].ended);
}

#[test]
fn a_client_that_waits_for_leave_to_send_is_not_slow() {
    let origin = RawOrigin::always(Script::never_answering());
    let service = web(origin.address()).with("timeouts: { response: 1s, idle: 60s }");
    let edge = Edge::start(&limited("headerTimeout: 300ms", service));
    let mut client = edge.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.response().status, 504);
    assert_eq!(edge.counts("v1").judged.bad, 1);
}

#[test]
fn a_client_that_was_given_leave_to_send_and_does_not_is_slow() {
    let leave = "HTTP/1.1 100 Continue\r\n\r\n";
    let origin = RawOrigin::always(Script::new().read_until("\r\n\r\n").write(leave));
    let edge = Edge::start(&limited("headerTimeout: 300ms", web(origin.address())));
    let mut client = edge.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    client.read_past(leave.as_bytes());
    assert_eq!(client.response().status, 408);
    eventually("no mark against the version", || edge.counts("v1").judged.excluded == 1);
}

/// It may begin without leave, and its backend may have none to give.
#[test]
fn a_client_that_does_not_wait_for_leave_is_served() {
    let origin = RawOrigin::always(Script::answering(OK));
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    for _ in 0..3 {
        client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        );
        client.send("hello");
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(origin.accepted(), 1, "both sides were complete each time");
}
