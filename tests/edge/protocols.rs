//! Upgrades, streams and long answers.

use crate::edge::{Edge, SHORT, web};
use serin_testkit::{ConfigText, Latch, Origin, RawOrigin, Script, eventually};

const ASK: &str = "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn an_upgraded_connection_carries_bytes_both_ways() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send(ASK);
    client.read_past(b"\r\n\r\n");
    for n in 0..10u8 {
        let message = vec![n; 1_000];
        client.send(&message);
        assert_eq!(client.read_exactly(1_000), message);
    }
    client.half_close();
    client.ended();
    eventually("it ends well", || edge.counts("v1").judged.good == 1);
}

#[test]
fn any_protocol_may_be_upgraded_to_except_a_way_around_the_routes() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send(
        "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: own/1\r\n\r\nhello",
    );
    client.read_past(b"\r\n\r\n");
    assert_eq!(client.read_exactly(5), b"hello");
    let mut client = edge.client();
    client.send("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
    let echo = client.response();
    assert_eq!(echo.status, 200);
    assert!(!echo.text().to_lowercase().contains("h2c"), "{}", echo.text());
}

#[test]
fn without_a_101_there_is_no_tunnel_and_what_was_sent_ahead_goes_nowhere() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";
    let origin = RawOrigin::always(Script::answering(answer));
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send(format!("{ASK}GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(client.response().text(), "no");
    let (_, rest) = client.ended();
    assert!(rest.is_empty());
    eventually("the upstream connection is closed", || origin.records()[0].ended);
    assert!(!String::from_utf8(origin.received()).unwrap().contains("evil"));
}

#[test]
fn a_silent_tunnel_lives_as_long_as_the_timeouts_say() {
    let origin = Origin::start("v1");
    let service = web(origin.address()).with("timeouts: { response: 300ms, idle: 1200ms }");
    let edge = Edge::start(&ConfigText::simple(service));
    let mut client = edge.client();
    client.send(ASK);
    client.read_past(b"\r\n\r\n");
    std::thread::sleep(SHORT * 2);
    client.send("still here");
    assert_eq!(client.read_exactly(10), b"still here");
    client.ended();
    eventually("silence ends it without blame", || edge.counts("v1").judged.good == 1);
}

#[test]
fn a_close_code_that_says_failure_is_bad() {
    for (frame, bad) in [(&b"\x88\x02\x03\xf3"[..], 1), (&b"\x88\x02\x03\xe8"[..], 0)] {
        let script = Script::new()
            .read_until("\r\n\r\n")
            .write(SWITCH)
            .wait(SHORT / 10)
            .write(frame)
            .close();
        let origin = RawOrigin::always(script);
        let edge = Edge::to(origin.address());
        let mut client = edge.client();
        client.send(ASK);
        client.read_past(frame);
        client.ended();
        eventually("it is judged", || edge.counts("v1").judged.exposures() == 1);
        assert_eq!(edge.counts("v1").judged.bad, bad, "{frame:?}");
    }
}

#[test]
fn each_event_passes_as_it_comes() {
    let latch = Latch::new();
    let script = Script::new()
        .read_request()
        .write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        .wait_for(&latch)
        .write("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    let origin = RawOrigin::always(script);
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_past(b"data: 1");
    latch.open();
    client.read_past(b"data: 2");
}

#[test]
fn a_client_that_reads_slowly_slows_its_backend_and_not_the_proxy() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut slow = edge.client();
    slow.send("GET /bytes/20000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..20 {
        assert_eq!(edge.get("/").status, 200);
    }
    let read = slow.read_exactly(1_000_000);
    assert_eq!(read.len(), 1_000_000);
}
