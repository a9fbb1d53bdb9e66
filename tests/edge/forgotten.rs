//! Headers of a client that nobody behind a listener gets to see.

use crate::edge::{Edge, ROUTE, web};
use crate::tls::{connect, prepared};
use serin_testkit::{ConfigText, Connection, RawOrigin, Script};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LINES: &str = "X-Before: 1\r\nX_Auth_User: evil\r\nX-Serin-Shadow: evil\r\nProxy: http://evil\r\nX-After: 2\r\n";

/// What the backend is told by each road of HTTP/1, in lower case.
fn told(underscores: &str, request: &str) -> Vec<(String, Edge)> {
    let roads = [false, true];
    let told = roads.map(|absolute| {
        let origin = RawOrigin::always(Script::answering(OK));
        let listener =
            format!("{{ name: http, address: \"127.0.0.1:0\", protocol: HTTP{underscores} }}");
        // An edited header, so that every line is looked at.
        let route = ROUTE.replace(
            "service: web",
            "service: web, request: { setHeaders: { x-auth-user: nobody } }",
        );
        let config = ConfigText::new().listener(&listener).service(web(origin.address()));
        let edge = Edge::start(&config.route(&route));
        let mut client = edge.client();
        let target = if absolute { "http://a/x" } else { "/x" };
        client.send(request.replace("TARGET", target));
        assert_eq!(client.response().status, 200);
        (String::from_utf8(origin.received()).unwrap().to_lowercase(), edge)
    });
    told.into()
}

#[test]
fn underscores_the_shadows_mark_and_the_proxy_header_go_no_further() {
    let head = format!("GET TARGET HTTP/1.1\r\nHost: a\r\n{LINES}\r\n");
    let expecting = format!(
        "POST TARGET HTTP/1.1\r\nHost: a\r\n{LINES}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx"
    );
    for request in [head, expecting] {
        for (received, edge) in told("", &request) {
            assert!(!received.contains("evil"), "{received}");
            for kept in ["\r\nx-before: 1\r\n", "\r\nx-after: 2\r\n", "\r\nx-auth-user: nobody\r\n"]
            {
                assert_eq!(received.matches(kept).count(), 1, "{received}");
            }
            for reason in ["underscore", "shadowMark", "proxy"] {
                let counted = edge.metric("serin_dropped_headers_total", ("reason", reason));
                assert_eq!(counted, 1.0, "{reason}");
            }
        }
    }
}

#[test]
fn a_listener_can_let_underscores_through_and_still_no_twin_of_what_serin_says() {
    let request = format!(
        "GET TARGET HTTP/1.1\r\nHost: a\r\n{LINES}X_Forwarded_For: 6.6.6.6\r\nX_Serin_Shadow: 1\r\n\r\n"
    );
    for (received, _) in told(", underscores: forward", &request) {
        assert!(received.contains("\r\nx_auth_user: evil\r\n"), "{received}");
        for never in ["x-serin-shadow", "x_serin_shadow", "\r\nproxy:", "6.6.6.6"] {
            assert!(!received.contains(never), "{received}");
        }
    }
}

#[test]
fn a_route_does_not_match_what_is_dropped() {
    let origin = RawOrigin::always(Script::answering(OK));
    let admin =
        "{ name: admin, matches: [{ headers: { x_auth_user: evil } }], respond: { status: 418 } }";
    let config = ConfigText::simple(web(origin.address())).route(admin);
    let edge = Edge::start(&config);
    let mut client = edge.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{LINES}\r\n"));
    assert_eq!(client.response().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_http2_are_held_to_the_same() {
    let (authority, folder) = prepared();
    let origin = RawOrigin::always(Script::answering(OK));
    let config = crate::tls::config(web(origin.address()), "", "");
    let edge = Edge::start_in(folder, &config);
    let io = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    let mut client = Connection::http2_over(io, "a.example").await;
    let mut request = client.request("GET", "/x", "");
    for (name, value) in
        [("x_auth_user", "evil"), ("x-serin-shadow", "evil"), ("proxy", "evil"), ("x-kept", "1")]
    {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(client.send(request).await.status, 200);
    let received = String::from_utf8(origin.received()).unwrap().to_lowercase();
    assert!(!received.contains("evil"), "{received}");
    assert!(received.contains("\r\nx-kept: 1\r\n"), "{received}");
    assert_eq!(edge.total("serin_dropped_headers_total"), 3.0);
}
