//! Endpoints' addresses that lead back to this proxy, at once or by way of another.

use crate::edge::{Edge, web};
use serin_testkit::{ConfigText, Origin, ServiceText, eventually, temp_dir};
use std::fs;
use std::net::SocketAddr;

fn counted(edge: &Edge) -> u64 {
    edge.total("serin_requests_total") as u64
}

#[test]
fn a_request_that_goes_round_between_two_proxies_is_answered_508() {
    let origin = Origin::start("v1");
    let (one, other) = (Edge::to(origin.address()), Edge::to(origin.address()));
    assert_eq!(one.get("/").status, 200);
    one.apply(&ConfigText::simple(web(other.address())));
    assert_eq!(one.get("/").status, 200);
    other.apply(&ConfigText::simple(web(one.address())));
    let answer = one.get("/");
    assert_eq!(answer.status, 508);
    assert!(answer.text().contains("leads back to this proxy"), "{}", answer.text());
    assert!(counted(&one) < 10, "it went round {} times", counted(&one));
}

#[test]
fn a_request_may_come_by_twice() {
    let origin = Origin::start("v1");
    let text = ConfigText::new()
        .listener("{ name: http, address: \"127.0.0.1:0\", protocol: HTTP }")
        .listener("{ name: inner, address: \"127.0.0.1:0\", protocol: HTTP }");
    let (to_inner, to_origin) = (SocketAddr::from(([127, 0, 0, 1], 9)), origin.address());
    let routed = |to: SocketAddr| {
        text.clone()
            .service(ServiceText::new("web").version("v1", &[to]))
            .service(ServiceText::new("inner").version("v1", &[to_origin]))
            .route("{ name: inner, listeners: [inner], service: inner }")
            .route("{ name: all, listeners: [http], service: web }")
    };
    let edge = Edge::start(&routed(to_inner));
    edge.apply(&routed(edge.proxy.address("inner").unwrap()));
    assert_eq!(edge.get("/").status, 200);
    let mark = origin.seen().remove(0).header("cdn-loop").unwrap().to_owned();
    assert!(mark.starts_with("serin-") && mark.len() == 14, "{mark}");
}

#[test]
fn a_mark_cannot_be_taken_away_by_who_asks() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    edge.get("/");
    let own = origin.seen().remove(0).header("cdn-loop").unwrap().to_owned();
    let mut client = edge.client();
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: cdn-loop\r\nCDN-Loop: {own}, {own}; a=b\r\n\r\n"
    ));
    assert_eq!(client.response().status, 508);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: cdn-loop\r\nCDN-Loop: other\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let passed = origin.seen().remove(1);
    let marks: Vec<_> = passed.headers.iter().filter(|(name, _)| name == "cdn-loop").collect();
    assert_eq!(marks.len(), 2, "{marks:?}");
}

#[test]
fn a_list_that_names_the_listener_itself_is_taken_without_it() {
    let origin = Origin::start("v1");
    let folder = temp_dir();
    let list = folder.path().join("v1.yaml");
    let listing = |addresses: &[SocketAddr]| {
        let lines: String = addresses.iter().map(|address| format!("- {address}\n")).collect();
        fs::write(&list, lines).unwrap();
    };
    listing(&[origin.address()]);
    let service = ServiceText::new("web").version_yaml("v1", "{ endpoints: { file: v1.yaml } }");
    let edge = Edge::start_in(folder, &ConfigText::simple(service));
    assert_eq!(edge.get("/").status, 200);
    let failing = || edge.metric("serin_endpoint_source_failing", ("version", "v1")) > 0.0;
    assert!(!failing());
    listing(&[edge.address()]);
    eventually("it is told of", failing);
    (0..10).for_each(|_| assert_eq!(edge.get("/").status, 200));
    listing(&[origin.address()]);
    eventually("it is mended", || !failing());
    listing(&[edge.address(), origin.address()]);
    eventually("it is told of", failing);
    (0..10).for_each(|_| assert_eq!(edge.get("/").status, 200));
    assert_eq!(origin.requests(), 21, "none went round");
}
