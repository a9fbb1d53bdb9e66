//! The PROXY protocol: believed from trusted peers, and from nobody else.

use crate::edge::{Edge, ROUTE, web};
use serin_testkit::{ConfigText, Origin, eventually};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn edge(origin: &Origin, trusted: &str) -> Edge {
    let listener = format!(
        "{{ name: http, address: \"127.0.0.1:0\", protocol: HTTP, proxyProtocol: v1v2, trusted: [{trusted}] }}"
    );
    Edge::start(&ConfigText::new().listener(&listener).service(web(origin.address())).route(ROUTE))
}

#[test]
fn a_trusted_balancer_names_the_client_in_either_version() {
    let origin = Origin::start("v1");
    let edge = edge(&origin, "\"127.0.0.1\"");
    let mut client = edge.client();
    client.send(format!("PROXY TCP4 192.0.2.7 127.0.0.1 5000 80\r\n{GET}"));
    assert_eq!(client.response().status, 200);
    let mut client = edge.client();
    client.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\x7f\0\0\x01\x13\x88\0\x50");
    client.send(GET);
    assert_eq!(client.response().status, 200);
    let told: Vec<_> =
        origin.seen().iter().map(|s| s.header("x-forwarded-for").unwrap().to_owned()).collect();
    assert_eq!(told, ["192.0.2.7", "192.0.2.8"]);
}

#[test]
fn a_trusted_balancer_that_sends_no_header_is_turned_away() {
    let origin = Origin::start("v1");
    let edge = edge(&origin, "\"127.0.0.1\"");
    let mut client = edge.client();
    client.send(GET);
    assert!(client.ended().1.is_empty());
    eventually("it is counted", || {
        edge.metric("serin_connections_total", ("result", "invalidProxyHeader")) == 1.0
    });
}

#[test]
fn nobody_else_is_believed() {
    let origin = Origin::start("v1");
    let edge = edge(&origin, "\"192.0.2.0/24\"");
    let mut client = edge.client();
    client.send(format!("PROXY TCP4 192.0.2.7 127.0.0.1 5000 80\r\n{GET}"));
    assert_eq!(client.response().status, 400);
    let mut client = edge.client();
    client.send(GET);
    assert_eq!(client.response().status, 200);
}

#[test]
fn what_a_client_behind_a_balancer_says_about_itself_is_overwritten() {
    let origin = Origin::start("v1");
    let edge = edge(&origin, "\"127.0.0.1\", \"192.0.2.9\"");
    for client in ["192.0.2.7", "192.0.2.9"] {
        let mut balancer = edge.client();
        balancer.send(format!("PROXY TCP4 {client} 127.0.0.1 5000 80\r\n"));
        balancer.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n");
        assert_eq!(balancer.response().status, 200);
    }
    let seen = origin.seen();
    assert_eq!(seen[0].header("x-forwarded-for"), Some("192.0.2.7"), "not listed");
    assert_eq!(seen[1].header("x-forwarded-for"), Some("198.51.100.1, 192.0.2.9"));
}
