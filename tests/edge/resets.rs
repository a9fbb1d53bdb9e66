//! With which word a stream of HTTP/2 ends, and what that means for its request at the backend.

use crate::edge::{Edge, web};
use crate::http2::{REQUEST, RST, begin, block, frame, read_frame};
use crate::http2_ends::NO_WINDOW;
use crate::tls::{Authority, config, connect, prepared};
use serin_testkit::{Origin, RawOrigin, Script, eventually_async};
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;

const NO_ERROR: [u8; 4] = [0, 0, 0, 0];
const INTERNAL_ERROR: [u8; 4] = [0, 0, 0, 2];
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
const CANCEL: [u8; 4] = [0, 0, 0, 8];

async fn client(origin: SocketAddr, settings: &[u8]) -> (Edge, Authority, TlsStream<TcpStream>) {
    let (authority, folder) = prepared();
    let config = config(web(origin), "", "");
    let edge = Edge::start_in(folder, &config);
    let mut stream = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    begin(&mut stream, settings).await;
    (edge, authority, stream)
}

fn asking(stream: u32, flags: u8, method: &str, path: &str) -> Vec<u8> {
    let head = [&[(":method", method), REQUEST[1], (":path", path)], &REQUEST[3..]].concat();
    frame(HEADERS, flags, stream, &block(&head))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_an_internal_error() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort";
    let origin = RawOrigin::always(Script::new().read_request().write(cut).half_close());
    let (_edge, _, mut stream) = client(origin.address(), &[]).await;
    stream.write_all(&asking(1, 5, "GET", "/")).await.unwrap();
    assert_eq!(read_frame(&mut stream, &[RST]).await.unwrap().1, INTERNAL_ERROR);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_gives_up_ends_at_the_backend_at_once() {
    let origin = Origin::start("v1");
    let (edge, _, mut stream) = client(origin.address(), &[]).await;
    let under_way = || edge.total("serin_requests_in_flight");
    // While the answer is waited for, while it passes, and while the request does.
    stream.write_all(&asking(1, 5, "GET", "/hang")).await.unwrap();
    stream.write_all(&asking(3, 5, "GET", "/bytes/10000000")).await.unwrap();
    stream.write_all(&asking(5, 4, "POST", "/hang")).await.unwrap();
    stream.write_all(&frame(DATA, 0, 5, b"more comes")).await.unwrap();
    eventually_async("all are under way", async || origin.requests() == 3 && under_way() == 3.0)
        .await;
    for id in [1, 3, 5] {
        stream.write_all(&frame(RST, 0, id, &CANCEL)).await.unwrap();
    }
    // The backend does not notice where it reads no body.
    eventually_async("none is", async || origin.in_flight() <= 1 && under_way() == 0.0).await;
    // The connection lives.
    stream.write_all(&asking(7, 5, "HEAD", "/bytes/1")).await.unwrap();
    assert_eq!(read_frame(&mut stream, &[HEADERS, RST]).await.unwrap().0, HEADERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_there_is_no_room_for_is_refused_before_anything_was_done() {
    let origin = Origin::start("v1");
    let (_edge, _, mut stream) = client(origin.address(), &NO_WINDOW).await;
    let filled = "x".repeat(100);
    let crumbs: Vec<(&str, &str)> = (0..70).map(|_| ("cookie", filled.as_str())).collect();
    let head = block(&[&REQUEST[..2], &[(":path", "/hang")], &REQUEST[3..], &crumbs].concat());
    for n in 0..60 {
        stream.write_all(&frame(HEADERS, 5, 2 * n + 1, &head)).await.unwrap();
    }
    assert_eq!(read_frame(&mut stream, &[RST]).await.unwrap().1, REFUSED_STREAM);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backends_answer_that_did_not_wait_for_the_body_can_be_read_before_the_reset() {
    let early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
    let origin = RawOrigin::always(Script::new().read_until("\r\n\r\n").write(early));
    let (_edge, _, mut stream) = client(origin.address(), &[]).await;
    stream.write_all(&asking(1, 4, "POST", "/")).await.unwrap();
    stream.write_all(&frame(DATA, 0, 1, b"more comes")).await.unwrap();
    assert_eq!(read_frame(&mut stream, &[DATA, RST]).await.unwrap(), (DATA, b"no".to_vec()));
    stream.write_all(&frame(PING, 0, 0, b"answered")).await.unwrap();
    assert_eq!(read_frame(&mut stream, &[PING, RST]).await.unwrap().0, PING);
    // It goes on without an end, and is told that nobody listens.
    assert_eq!(read_frame(&mut stream, &[RST]).await.unwrap().1, NO_ERROR);
}
