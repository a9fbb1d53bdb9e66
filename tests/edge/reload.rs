//! A new configuration takes over whole, and connections stay.

use crate::edge::{Edge, web};
use serin_testkit::{ConfigText, Origin, eventually};

#[test]
fn open_connections_see_the_new_configuration_with_their_next_request() {
    let (one, two) = (Origin::start("one"), Origin::start("two"));
    let edge = Edge::to(one.address());
    let address = edge.address();
    let mut client = edge.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text().trim(), "one");
    edge.apply(&ConfigText::simple(web(two.address())));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text().trim(), "two");
    assert_eq!(edge.address(), address);
}

#[test]
fn a_listener_can_come_and_go() {
    let origin = Origin::start("v1");
    let edge = Edge::to(origin.address());
    let mut old = edge.client();
    old.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(old.response().status, 200);
    let route = "{ name: all, matches: [{ path: { prefix: / } }], service: web }";
    let config =
        ConfigText::new().http_listener("other").service(web(origin.address())).route(route);
    edge.apply(&config);
    let other = edge.proxy.address("other").unwrap();
    assert_eq!(serin_testkit::get(other, "a", "/").status, 200);
    assert_eq!(edge.proxy.address("http"), None);
    old.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(old.response().status, 200, "what was open goes on");
    eventually("the other one counts", || {
        edge.metric("serin_connections_total", ("listener", "other")) >= 1.0
    });
}
