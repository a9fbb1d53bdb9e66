//! Bodies of requests and the connections that carried them: what ends early, or is empty at its
//! end, never becomes part of another client's request.

use crate::behind_tls::BehindTls;
use crate::edge::Edge;
use crate::http2::{REQUEST, block, frame, raw, read_frame};
use crate::tls::{config, prepared};
use serin_testkit::{ConfigText, RawOrigin, Script, ServiceText, eventually};
use tokio::io::AsyncWriteExt;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// Answers each head at once and never waits for a body.
fn hasty() -> RawOrigin {
    RawOrigin::always(Script::new().read_until("\r\n\r\n").write(OK).repeat())
}

fn plain(origin: &RawOrigin) -> ServiceText {
    ServiceText::new("web").version("v1", &[origin.address()])
}

/// Nobody else's request is on a connection whose answer ended before its request.
fn nobody_shares(origin: &RawOrigin, what: &str) {
    for record in origin.records() {
        let text = String::from_utf8_lossy(&record.bytes).into_owned();
        let Some((_, rest)) = text.split_once("POST /attack") else { continue };
        assert!(!rest.contains("GET /victim"), "{what}: {text}");
    }
}

/// Head, the body's beginning and the rest of it, for each way to ask over HTTP/1.
fn attacks() -> Vec<(String, &'static str, &'static str)> {
    let mut all = Vec::new();
    for (version, keep) in [("1.0", "Connection: keep-alive\r\n"), ("1.1", "")] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let head = format!("POST /attack HTTP/{version}\r\nHost: a\r\n{keep}{expect}");
            all.push((format!("{head}Content-Length: 10\r\n\r\n"), "hello", "world"));
            if version == "1.1" {
                let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
                all.push((head, "5\r\nhello\r\n", "5\r\nworld\r\n0\r\n\r\n"));
            }
        }
    }
    all
}

#[test]
fn a_connection_whose_answer_ended_before_its_request_carries_nobody_elses() {
    for (head, begun, rest) in attacks() {
        let origin = hasty();
        let edge = Edge::start(&ConfigText::simple(plain(&origin)));
        let mut client = edge.client();
        client.send(&head);
        if !head.contains("Expect") {
            client.send(begun);
        }
        client.read_past(b"\r\n\r\nok");
        for more in [rest, ""] {
            for _ in 0..3 {
                assert_eq!(edge.get("/victim").status, 200, "{head}");
            }
            if head.contains("Expect") && !more.is_empty() {
                client.send(begun);
            }
            client.send(more);
        }
        client.half_close().ended();
        for _ in 0..3 {
            assert_eq!(edge.get("/victim").status, 200, "{head}");
        }
        nobody_shares(&origin, &head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_of_a_stream_of_http2() {
    for more in [&[][..], &[("expect", "100-continue")], &[("content-length", "10")]] {
        let (authority, folder) = prepared();
        let origin = hasty();
        let config = config(plain(&origin), "", "");
        let edge = Edge::start_in(folder, &config);
        let mut client = raw(&edge, &authority).await;
        let mut fields = vec![(":method", "POST"), (":path", "/attack")];
        fields.extend(REQUEST.iter().filter(|(name, _)| !matches!(*name, ":method" | ":path")));
        fields.extend(more);
        client.write_all(&frame(1, 4, 1, &block(&fields))).await.unwrap();
        client.write_all(&frame(0, 0, 1, b"hello")).await.unwrap();
        while read_frame(&mut client, &[0]).await.unwrap().1.is_empty() {}
        let victim = [("GET", ":method"), ("/victim", ":path")];
        let mut next = 3;
        for last in [&b"world"[..], b""] {
            for _ in 0..3 {
                let mut fields: Vec<(&str, &str)> = victim.iter().map(|(v, n)| (*n, *v)).collect();
                fields.extend(
                    REQUEST.iter().filter(|(name, _)| !matches!(*name, ":method" | ":path")),
                );
                client.write_all(&frame(1, 5, next, &block(&fields))).await.unwrap();
                while read_frame(&mut client, &[0]).await.unwrap().1.is_empty() {}
                next += 2;
            }
            if !last.is_empty() {
                client.write_all(&frame(0, 1, 1, last)).await.unwrap();
            }
        }
        nobody_shares(&origin, &format!("{more:?}"));
    }
}

/// What comes over HTTP/2 without a length, and ends with a frame that is empty.
async fn upload(
    edge: &Edge,
    authority: &crate::tls::Authority,
    origin: &RawOrigin,
    pieces: &[&str],
) {
    let mut client = raw(edge, authority).await;
    let mut fields = vec![(":method", "POST"), (":path", "/up")];
    fields.extend(REQUEST.iter().filter(|(name, _)| !matches!(*name, ":method" | ":path")));
    client.write_all(&frame(1, 4, 1, &block(&fields))).await.unwrap();
    for piece in pieces {
        client.write_all(&frame(0, 0, 1, piece.as_bytes())).await.unwrap();
        // The end is to come by itself.
        eventually("the piece is with the backend", || {
            String::from_utf8_lossy(&origin.received()).contains(piece)
        });
    }
    client.write_all(&frame(0, 1, 1, b"")).await.unwrap();
    let (kind, _) = read_frame(&mut client, &[1, 3]).await.unwrap();
    assert_eq!(kind, 1, "an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_end_of_a_body_ends_it_once() {
    for (tls, more) in [(false, ""), (true, ""), (true, ", protocol: http1")] {
        for pieces in [&[][..], &["hello"], &["hello", "world"]] {
            let (authority, folder) = prepared();
            authority.write(folder.path(), "backend", &["backend.example"]);
            let origin = RawOrigin::always(Script::answering(OK));
            let front = BehindTls::start(folder.path(), &["http/1.1"], origin.address());
            let service = if tls { front.service(more) } else { plain(&origin) };
            let config = config(service, "", "");
            let edge = Edge::start_in(folder, &config);
            upload(&edge, &authority, &origin, pieces).await;
            upload(&edge, &authority, &origin, pieces).await;
            let received = String::from_utf8(origin.received()).unwrap();
            let bodies = received.split("POST /up").filter_map(|one| one.split_once("\r\n\r\n"));
            let ends = bodies.map(|(_, body)| body.matches("0\r\n\r\n").count());
            let what = format!("TLS: {tls}{more}, {pieces:?}: {received}");
            assert_eq!(ends.collect::<Vec<_>>(), [1, 1], "{what}");
            assert!(received.ends_with("0\r\n\r\n"), "{what}");
        }
    }
}
