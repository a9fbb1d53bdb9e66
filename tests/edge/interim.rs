//! Interim answers to clients of HTTP/2: passed on as they come, whoever carries the request, and
//! never piled up.

use crate::binary::started;
use crate::bombs::{MIB, resident};
use crate::edge::{Edge, web};
use crate::http2::{REQUEST, begin, block, frame};
use crate::tls::{config, connect, connect_to, prepared};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{Request, Response};
use serin_testkit::{Latch, PATIENCE, RawOrigin, Script, eventually, eventually_async};
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A client that tells of interim answers.
async fn client(origin: &RawOrigin) -> (Edge, SendRequest<Bytes>) {
    let (authority, folder) = prepared();
    let config = config(web(origin.address()), "", "");
    let edge = Edge::start_in(folder, &config);
    let stream = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    (edge, client.ready().await.unwrap())
}

fn request(method: &str) -> http::request::Builder {
    Request::builder().method(method).uri("https://a.example/")
}

async fn interim(answer: &mut ResponseFuture) -> Response<()> {
    let next = poll_fn(|cx| answer.poll_informational(cx));
    timeout(PATIENCE, next).await.expect("an interim answer").unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn early_hints_come_before_the_answer_without_what_is_the_connections() {
    let latch = Latch::new();
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n\r\n";
    let script = Script::new().read_request().write(hint).wait_for(&latch).write(OK);
    let origin = RawOrigin::always(script);
    let (_edge, mut client) = client(&origin).await;
    let asked = request("GET").body(()).unwrap();
    let (mut answer, _) = client.send_request(asked, true).unwrap();
    let early = interim(&mut answer).await;
    assert_eq!(early.status(), 103);
    let names: Vec<&str> = early.headers().keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["link"]);
    latch.open();
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_leave_gets_the_backends_and_is_not_slow_before() {
    let latch = Latch::new();
    let script = Script::new().read_until("\r\n\r\n").wait_for(&latch);
    let script = script.write("HTTP/1.1 100 Continue\r\n\r\n").read_bytes(5).write(OK);
    let origin = RawOrigin::always(script);
    let (_edge, mut client) = client(&origin).await;
    let asked = request("POST").header("expect", "100-continue").header("content-length", 5);
    let (mut answer, mut body) = client.send_request(asked.body(()).unwrap(), false).unwrap();
    eventually("the head is with the backend", || !origin.received().is_empty());
    latch.open();
    assert_eq!(interim(&mut answer).await.status(), 100);
    body.send_data(Bytes::from_static(b"hello"), true).unwrap();
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(origin.received().ends_with(b"hello"));
}

/// Half of what the backend says, and far more than its sockets hold.
const MOST: u64 = 16 * MIB;
const MOMENT: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_never_ends_its_hints_fills_no_memory() {
    // Each differs from the others, so that none is short on its way.
    let filled = "x".repeat(1_000);
    let hint = |n| format!("HTTP/1.1 103 Early Hints\r\nLink: <{n}{filled}>\r\n\r\n");
    let hints: String = (0..2 * MOST / 1_000).map(hint).collect();
    let origin = RawOrigin::always(Script::new().read_request().write(hints));
    let (authority, folder) = prepared();
    let (serin, address) = started(&folder, &config(web(origin.address()), "", ""));
    let tls = authority.client(&["h2"]);
    let mut stream = connect_to(address, tls, "a.example").await.unwrap();
    begin(&mut stream, &[]).await;
    stream.write_all(&frame(1, 5, 1, &block(&REQUEST))).await.unwrap();
    eventually("the request is with the backend", || !origin.received().is_empty());
    let before = resident(&serin);
    // Nothing is read of it until the backend's bytes have come to rest.
    let (mut last, mut still) = (0, 0);
    eventually_async("nothing moves any more", async || {
        tokio::time::sleep(MOMENT).await;
        let now = resident(&serin);
        still = if now == std::mem::replace(&mut last, now) { still + 1 } else { 0 };
        still == 20
    })
    .await;
    let more = last.saturating_sub(before);
    println!("{} KiB more", more / 1024);
    assert!(more < MOST / 2, "{} KiB more", more / 1024);
    // And all of it passes when it is.
    let mut got = 0;
    let mut piece = vec![0; 64 * 1024];
    while got < MOST {
        let read = timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap();
        assert!(read > 0, "the stream ends after {got} bytes");
        got += read as u64;
    }
}
