//! Two lanes, and which requests each of them carries.

use crate::edge::{Edge, ROUTE, web};
use crate::tls::{config, connect, prepared};
use serin_testkit::{ConfigText, Connection, Origin, RawOrigin, Response, Script};

pub(crate) fn carried(edge: &Edge) -> (f64, f64) {
    let by = |lane| edge.metric("serin_lane_requests_total", ("lane", lane));
    (by("fast"), by("full"))
}

fn ask(edge: &Edge, request: &str) -> Response {
    let mut client = edge.client();
    client.send(request);
    client.response()
}

#[test]
fn plain_exchanges_go_by_the_fast_lane_and_rare_ones_by_the_full_one() {
    let origin = Origin::start("v1");
    let config = ConfigText::simple(web(origin.address())).with("lanes: both");
    let edge = Edge::start(&config);
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n",
    ] {
        assert_eq!(ask(&edge, request).status, 200, "{request:?}");
    }
    assert_eq!(carried(&edge), (7.0, 0.0));
    assert_eq!(ask(&edge, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 204);
    assert_eq!(carried(&edge), (7.0, 1.0));
}

#[test]
fn one_connection_changes_lanes_between_requests() {
    let origin = Origin::start("v1");
    let edge = Edge::start(&ConfigText::simple(web(origin.address())).with("lanes: both"));
    let mut client = edge.client();
    let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let rare = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send([plain, rare, plain, rare, plain].concat());
    for status in [200, 204, 200, 204, 200] {
        assert_eq!(client.response().status, status);
    }
    assert_eq!(carried(&edge), (3.0, 2.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_http2_go_by_either_lane_with_one_host_and_one_line_of_cookies() {
    for (lanes, expected) in [("both", (1.0, 0.0)), ("full", (0.0, 1.0))] {
        let (authority, folder) = prepared();
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        let origin = RawOrigin::always(Script::answering(answer));
        let service = web(origin.address());
        let edge =
            Edge::start_in(folder, &config(service, "", "").with(&format!("lanes: {lanes}")));
        let io = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
        let mut client = Connection::http2_over(io, "a.example").await;
        let mut request = client.request("POST", "/x?y", "hello");
        request.headers_mut().append("cookie", "a=1".parse().unwrap());
        request.headers_mut().append("cookie", "b=2".parse().unwrap());
        let answer = client.send(request).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"hi"[..]));
        assert_eq!(carried(&edge), expected);
        let received = String::from_utf8(origin.received()).unwrap().to_lowercase();
        assert!(received.starts_with("post /x?y http/1.1\r\n"), "{received}");
        assert_eq!(received.matches("\r\nhost: a.example\r\n").count(), 1, "{received}");
        assert!(received.contains("\r\ncookie: a=1; b=2\r\n"), "{received}");
        assert!(received.ends_with("\r\n\r\nhello"), "{received}");
    }
}

#[test]
fn the_fast_lane_can_be_switched_off() {
    let origin = Origin::start("v1");
    let config = ConfigText::new().http_listener("http").service(web(origin.address()));
    let edge = Edge::start(&config.clone().route(ROUTE).with("lanes: full"));
    assert_eq!(edge.get("/").status, 200);
    assert_eq!(carried(&edge), (0.0, 1.0));
    edge.apply(&config.route(ROUTE).with("lanes: both"));
    assert_eq!(edge.get("/").status, 200);
    assert_eq!(carried(&edge), (1.0, 1.0));
}
