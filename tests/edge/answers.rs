//! What a client gets to see of an answer: its framing, and the protocol that it speaks.

use crate::edge::{Edge, web};
use serin_testkit::{ConfigText, RawClient, RawOrigin, Script};

const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What a client gets for these bytes, in lower case.
fn passed(answer: &str, request: &str) -> String {
    let script = Script::new().read_request().write(answer).half_close();
    let origin = RawOrigin::always(script);
    let edge = Edge::start(&ConfigText::simple(web(origin.address())));
    let mut client = edge.client();
    client.send(request);
    String::from_utf8(client.ended().1).unwrap().to_lowercase()
}

#[test]
fn a_length_that_a_backend_says_twice_is_said_once() {
    for twice in ["Content-Length: 2, 2\r\n", "Content-Length: 2\r\nX: y\r\ncontent-length: 2\r\n"]
    {
        let got = passed(&format!("HTTP/1.1 200 OK\r\n{twice}\r\nhi"), ASK);
        assert!(got.starts_with("http/1.1 200"), "{got}");
        assert_eq!(got.matches("content-length").count(), 1, "{got}");
        assert!(got.contains("\r\ncontent-length: 2\r\n") && got.ends_with("hi"), "{got}");
    }
    let got = passed("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nhi!", ASK);
    assert!(got.starts_with("http/1.1 502"), "{got}");
}

#[test]
fn an_answer_without_a_body_names_neither_length_nor_coding() {
    for status in ["204 No Content", "304 Not Modified"] {
        for framing in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
            let answer = format!("HTTP/1.1 {status}\r\nETag: x\r\n{framing}\r\n");
            let got = passed(&answer, ASK);
            assert!(got.starts_with(&format!("http/1.1 {}", &status[..3])), "{got}");
            assert!(got.contains("\r\netag: x\r\n"), "{got}");
            assert!(!got.contains("content-length") && !got.contains("transfer-enc"), "{got}");
            assert!(got.ends_with("\r\n\r\n"), "{got}");
        }
    }
}

#[test]
fn what_is_dropped_is_not_announced() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n";
    let got = passed(answer, ASK);
    assert!(!got.contains("trailer") && !got.contains("x-sum"), "{got}");
}

#[test]
fn a_client_of_http10_gets_neither_chunks_nor_interim_answers() {
    let answers = [
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhi",
    ];
    for answer in answers {
        for asks in ["", "Connection: keep-alive\r\n"] {
            let got = passed(answer, &format!("GET / HTTP/1.0\r\nHost: a\r\n{asks}\r\n"));
            assert!(got.starts_with("http/1.1 200"), "{got}");
            assert!(!got.contains("transfer-encoding"), "{got}");
            assert!(got.ends_with("\r\n\r\nhi"), "{got}");
        }
    }
}

const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn a_backend_that_changes_to_another_protocol_than_was_asked_for_is_502() {
    for named in ["Upgrade: h2c\r\n", "Upgrade: websocket\r\nUpgrade: x\r\n", ""] {
        let answer =
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{named}\r\nsecret");
        let got = passed(&answer, UPGRADE);
        assert!(got.starts_with("http/1.1 502"), "{named:?}: {got}");
        assert!(!got.contains("secret"), "{got}");
    }
}

#[test]
fn a_tunnel_whose_client_has_said_all_still_delivers_the_reply() {
    let switched =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";
    let answered = serin_testkit::Latch::new();
    let script = Script::new().read_request().write(switched).read_until("question");
    let origin = RawOrigin::always(script.wait_for(&answered).write("the reply").close());
    let edge = Edge::to(origin.address());
    let mut client: RawClient = edge.client();
    client.send(UPGRADE);
    client.read_past(b"\r\n\r\n");
    client.send("question").half_close();
    serin_testkit::eventually("the question has come", || origin.received().ends_with(b"question"));
    answered.open();
    assert_eq!(client.ended().1, b"the reply");
}
