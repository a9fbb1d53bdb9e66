//! What may not take for ever, and who is turned away when the listener is full.

use crate::edge::{Edge, SHORT, limited, web};
use serin_testkit::{End, Origin, RawOrigin, Script, eventually};
use std::time::Instant;

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let origin = Origin::start("v1");
    let edge = Edge::start(&limited("idleTimeout: 300ms", web(origin.address())));
    let mut client = edge.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let begun = Instant::now();
    let (end, rest) = client.ended();
    assert_eq!((end, rest.len()), (End::Closed, 0));
    assert!(begun.elapsed() >= SHORT / 2);
}

#[test]
fn a_connection_over_the_limit_waits_for_a_place() {
    let origin = Origin::start("v1");
    let edge = Edge::start(&limited("maxConnections: 2", web(origin.address())));
    let mut first = edge.client();
    let mut second = edge.client();
    for client in [&mut first, &mut second] {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response().status, 200);
    }
    let mut third = edge.client();
    third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(edge.metric("serin_connections_open", ("listener", "http")), 2.0);
    drop(first);
    assert_eq!(third.response().status, 200);
}

#[test]
fn who_waits_for_a_place_in_vain_is_turned_away_and_counted() {
    let origin = Origin::start("v1");
    let edge =
        Edge::start(&limited("maxConnections: 1, headerTimeout: 300ms", web(origin.address())));
    let mut first = edge.client();
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(first.response().status, 200);
    edge.client().ended();
    assert_eq!(edge.metric("serin_connections_total", ("result", "turnedAway")), 1.0);
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let origin = Origin::start("v1");
    let edge = Edge::start(&limited("idleTimeout: 300ms", web(origin.address())));
    let mut client = edge.client();
    client.send("GET /bytes/50000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is with the backend", || origin.requests() == 1);
    eventually("the stalled connection is gone", || {
        edge.metric("serin_connections_open", ("listener", "http")) == 0.0
    });
    assert!(client.try_response().is_err());
}

#[test]
fn a_shutdown_closes_what_is_idle_and_waits_for_what_is_not() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut idle = edge.client();
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(idle.response().status, 200);
    let mut busy = edge.client();
    busy.send("GET /delay/700 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the slow request is under way", || origin.in_flight() == 1);
    let begun = Instant::now();
    assert!(edge.proxy.shutdown(serin_testkit::PATIENCE), "left with something in flight");
    assert!(begun.elapsed() < serin_testkit::PATIENCE / 2);
    assert_eq!(busy.response().status, 200);
    idle.ended();
}

#[test]
fn a_shutdown_ends_when_its_deadline_does() {
    let origin = RawOrigin::always(Script::never_answering());
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is with the backend", || !origin.received().is_empty());
    assert!(!edge.proxy.shutdown(SHORT));
    client.ended();
}
