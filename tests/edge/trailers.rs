//! Fields that stand after a body: whom they reach, and which of them never do.

use crate::edge::Edge;
use crate::edge::web;
use crate::http2_upstream::http2;
use crate::tls::{config, connect, prepared};
use bytes::Bytes;
use http::{HeaderMap, Response};
use serin_testkit::{ConfigText, Connection, RawOrigin, Script, ServiceText, eventually_async};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\nContent-Length: 99\r\nX-Forwarded-For: 9.9.9.9\r\nX-Secret: yes\r\n\r\n";

type Received = Arc<Mutex<Vec<(Bytes, Option<HeaderMap>)>>>;

/// Over HTTP/2. Says after its body what `CHUNKED` says, and keeps what it is told.
async fn backend() -> (SocketAddr, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, received) = (listener.local_addr().unwrap(), Received::default());
    let kept = received.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, mut stream))) = connection.accept().await {
                    let kept = kept.clone();
                    tokio::spawn(async move {
                        let mut body = request.into_body();
                        let mut whole = Vec::new();
                        while let Some(piece) = body.data().await {
                            whole.extend_from_slice(&piece.unwrap());
                        }
                        let trailers = body.trailers().await.unwrap();
                        kept.lock().unwrap().push((whole.into(), trailers));
                        let head = Response::builder().header("trailer", "x-sum").body(()).unwrap();
                        let mut answer = stream.send_response(head, false).unwrap();
                        answer.send_data(Bytes::from_static(b"hi"), false).unwrap();
                        let mut trailers = HeaderMap::new();
                        for (name, value) in [
                            ("x-sum", "7"),
                            ("content-length", "99"),
                            ("x-forwarded-for", "9.9.9.9"),
                            ("x-secret", "yes"),
                        ] {
                            trailers.insert(name, value.parse().unwrap());
                        }
                        answer.send_trailers(trailers).unwrap();
                    });
                }
            });
        }
    });
    (address, received)
}

const EDITED: &str = "{ name: all, matches: [{ path: { prefix: / } }], service: web, request: { removeHeaders: [x-secret] }, response: { removeHeaders: [x-secret] } }";

fn plain(service: ServiceText) -> Edge {
    let config = ConfigText::new().http_listener("http").service(service).route(EDITED);
    Edge::start(&config)
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_reach_who_can_read_them_and_never_say_what_belongs_into_a_head() {
    let (address, _) = backend().await;
    let chunked = RawOrigin::always(Script::answering(CHUNKED));
    for service in [http2(address), web(chunked.address())] {
        let (authority, folder) = prepared();
        let text = config(service.clone(), "", "");
        let edge = Edge::start_in(folder, &text);
        let io = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
        let mut client = Connection::http2_over(io, "a.example").await;
        let answer = client.get("/").await;
        let trailers = answer.trailers.clone().unwrap();
        assert_eq!(answer.text(), "hi");
        assert!(answer.header("trailer").unwrap().eq_ignore_ascii_case("x-sum"));
        assert_eq!((trailers.len(), &trailers["x-sum"]), (2, &"7".parse().unwrap()));

        let edge = plain(service);
        for (asks, told) in [("TE: trailers\r\n", true), ("TE: gzip\r\n", false), ("", false)] {
            let mut client = edge.client();
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{asks}\r\n"));
            let text = String::from_utf8(client.read_past(b"\r\n0\r\n")).unwrap().to_lowercase();
            assert_eq!(text.contains("\r\ntrailer: x-sum\r\n"), told, "{text}");
            let end = if told { "x-sum: 7\r\n\r\n" } else { "\r\n" };
            let got = String::from_utf8(client.read_exactly(end.len())).unwrap();
            assert_eq!(got.to_lowercase(), end, "{asks:?}");
            // The connection stands where the next answer begins.
            client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
            client.read_past(b"HTTP/1.1 200 OK");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_a_request_reach_its_backend() {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\nAuthorization: me\r\nX_Forwarded_For: 9.9.9.9\r\nX-Secret: 1\r\n\r\n";
    let (address, received) = backend().await;
    let edge = plain(http2(address));
    let mut client = edge.client();
    client.send(request);
    client.read_past(b"\r\n\r\n");
    eventually_async("it came", async || !received.lock().unwrap().is_empty()).await;
    let (body, trailers) = received.lock().unwrap().remove(0);
    let trailers = trailers.unwrap();
    assert_eq!(
        (&body[..], trailers.len(), &trailers["x-sum"]),
        (&b"hi"[..], 1, &"7".parse().unwrap())
    );

    let origin = RawOrigin::always(Script::answering(CHUNKED));
    let edge = plain(web(origin.address()));
    let mut client = edge.client();
    client.send(request);
    client.read_past(b"\r\n\r\n");
    let text = String::from_utf8(origin.received()).unwrap();
    assert!(text.ends_with("\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n"), "{text}");
}
