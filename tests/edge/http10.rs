//! Clients of HTTP/1.0, who know neither chunks nor interim answers.

use crate::edge::{Edge, web};
use serin_testkit::{ConfigText, End, RawOrigin, Script, eventually};

fn edge(origin: &RawOrigin) -> Edge {
    Edge::start(&ConfigText::simple(web(origin.address())))
}

/// All that the client gets for one request.
fn told(script: Script, request: &str) -> (End, String) {
    let origin = RawOrigin::always(script);
    let edge = edge(&origin);
    let mut client = edge.client();
    client.send(request);
    let (end, bytes) = client.ended();
    (end, String::from_utf8(bytes).unwrap())
}

const GET: &str = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let hinted = format!("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{chunked}");
    let until_end = Script::new().read_request().write("HTTP/1.1 200 OK\r\n\r\nabcde").close();
    for script in [Script::answering(chunked), Script::answering(hinted), until_end] {
        let (end, told) = told(script, GET);
        assert_eq!(end, End::Closed);
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
        assert!(told.contains("\r\nconnection: close\r\n"), "{told}");
        assert!(!told.to_lowercase().contains("transfer-encoding"), "{told}");
        assert!(told.ends_with("\r\n\r\nabcde"), "{told}");
    }
}

#[test]
fn an_answer_to_head_says_nothing_of_chunks() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let request = "HEAD / HTTP/1.0\r\nHost: a\r\n\r\n";
    let (end, told) = told(Script::answering(chunked), request);
    assert_eq!(end, End::Closed);
    assert!(!told.to_lowercase().contains("transfer-encoding"), "{told}");
    assert!(told.ends_with("\r\n\r\n"), "{told}");
}

/// The end of the connection would say that the body was whole.
#[test]
fn a_body_that_breaks_off_ends_with_a_reset() {
    let half = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf";
    let origin = RawOrigin::always(Script::new().read_request().write(half).close());
    let edge = edge(&origin);
    let mut client = edge.client();
    client.send(GET);
    assert_eq!(client.ended().0, End::Reset);
    eventually("it is bad", || edge.counts("v1").judged.bad == 1);
}

#[test]
fn a_connection_is_kept_where_that_was_asked_for_and_lengths_are_known() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let origin = RawOrigin::always(Script::answering(ok));
    let edge = edge(&origin);
    let mut client = edge.client();
    for _ in 0..3 {
        client.send(GET);
        let answer = client.response();
        assert_eq!(answer.header("connection").as_deref(), Some("keep-alive"));
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().header("connection").as_deref(), Some("close"));
    assert_eq!(client.ended().0, End::Closed);
}

#[test]
fn an_expectation_that_it_cannot_have_goes_no_further() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let origin = RawOrigin::always(Script::answering(ok));
    let edge = edge(&origin);
    let mut client = edge.client();
    client.send(
        "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert_eq!(client.response().status, 200);
    let received = String::from_utf8(origin.received()).unwrap().to_lowercase();
    assert!(received.starts_with("post / http/1.1\r\n"), "{received}");
    assert!(!received.contains("expect"), "{received}");
    assert!(received.ends_with("\r\n\r\nhello"), "{received}");
}
