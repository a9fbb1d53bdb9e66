//! Answers that Serin gives without a backend, between exchanges on the same connection.

use crate::edge::{Edge, web};
use crate::tls::{config, connect, prepared};
use serin_testkit::{ConfigText, Connection, Origin, RawOrigin, Script, responses};

const PLAIN: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OWN: &str = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";

fn refused(edge: &Edge) -> f64 {
    edge.metric("serin_refused_heads_total", ("reason", "invalid"))
}

#[test]
fn what_is_asked_of_the_server_itself_is_answered_and_the_connection_goes_on() {
    let origin = Origin::start("v1");
    let edge = Edge::start(&ConfigText::simple(web(origin.address())));
    let mut client = edge.client();
    client.send([PLAIN, OWN, PLAIN, OWN, PLAIN].concat());
    for status in [200, 204, 200, 204, 200] {
        let answer = client.response();
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("allow").is_some(), status == 204);
    }
    assert_eq!((origin.requests(), refused(&edge)), (3, 0.0));
}

#[test]
fn what_no_route_matches_keeps_its_connection_and_what_is_not_sound_loses_it() {
    let origin = Origin::start("v1");
    let service = web(origin.address());
    let route = "{ name: a, hostnames: [a], matches: [{ path: { prefix: / } }], service: web }";
    let config = ConfigText::new().http_listener("http").service(service).route(route);
    let edge = Edge::start(&config);
    let mut client = edge.client();
    client.send("GET / HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_eq!(client.response().status, 404);
    client.send(["HEAD / HTTP/1.1\r\nHost: b\r\n\r\n", PLAIN].concat());
    assert_eq!(client.response_to_head().status, 404);
    assert_eq!(client.response().status, 200);
    assert_eq!(refused(&edge), 0.0);
    for target in ["/..", "/%", "/?a#b"] {
        let mut client = edge.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n{PLAIN}"));
        let (answers, _) = responses(&client.ended().1, &[false]);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [400], "{target}");
    }
    assert_eq!((origin.requests(), refused(&edge)), (1, 3.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_http2_reaches_its_backend_with_one_host_and_one_line_of_cookies() {
    let (authority, folder) = prepared();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let origin = RawOrigin::always(Script::answering(answer));
    let edge = Edge::start_in(folder, &config(web(origin.address()), "", ""));
    let io = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    let mut client = Connection::http2_over(io, "a.example").await;
    let mut request = client.request("POST", "/x?y", "hello");
    request.headers_mut().append("cookie", "a=1".parse().unwrap());
    request.headers_mut().append("cookie", "b=2".parse().unwrap());
    let answer = client.send(request).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hi"[..]));
    let received = String::from_utf8(origin.received()).unwrap().to_lowercase();
    assert!(received.starts_with("post /x?y http/1.1\r\n"), "{received}");
    assert_eq!(received.matches("\r\nhost: a.example\r\n").count(), 1, "{received}");
    assert!(received.contains("\r\ncookie: a=1; b=2\r\n"), "{received}");
    assert!(received.ends_with("\r\n\r\nhello"), "{received}");
}
