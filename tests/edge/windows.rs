//! Clients of HTTP/2 that leave no window for what they asked for, and those that read.

use crate::binary::started;
use crate::bombs::{MIB, resident};
use crate::edge::{Edge, web};
use crate::http2::{REQUEST, RST, begin, block, frame, read_frame};
use crate::http2_ends::NO_WINDOW;
use crate::http2_upstream::http2;
use crate::tls::{Authority, config, connect, connect_to, prepared};
use bytes::Bytes;
use serin_testkit::{Origin, eventually_async};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;

const HEADERS: u8 = 1;
const DATA: u8 = 0;
const WINDOW_UPDATE: u8 = 8;

fn asking(stream: u32, method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let fields =
        [&[(":method", method), REQUEST[1], (":path", path)], &REQUEST[3..], more].concat();
    frame(HEADERS, 5, stream, &block(&fields))
}

async fn reader(origin: &Origin, settings: &[u8]) -> (Edge, TlsStream<TcpStream>) {
    let (authority, folder) = prepared();
    let config = config(web(origin.address()), "", "");
    let edge = Edge::start_in(folder, &config);
    let mut stream = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    begin(&mut stream, settings).await;
    (edge, stream)
}

async fn of_kind(stream: &mut TlsStream<TcpStream>, kind: u8) {
    let (got, _) = read_frame(stream, &[kind, RST]).await.unwrap();
    assert_eq!(got, kind);
}

#[tokio::test]
async fn long_streams_whose_client_reads_are_all_begun() {
    let origin = Origin::start("v1");
    let (_edge, mut stream) = reader(&origin, &[]).await;
    for n in 0..60 {
        stream.write_all(&asking(2 * n + 1, "GET", "/hang", &[])).await.unwrap();
    }
    eventually_async("all are with the backend", async || origin.in_flight() == 60).await;
}

#[tokio::test]
async fn little_is_asked_for_that_its_client_has_no_window_for() {
    let origin = Origin::start("v1");
    let (_edge, mut stream) = reader(&origin, &NO_WINDOW).await;
    for n in 0..80 {
        stream.write_all(&asking(2 * n + 1, "GET", "/bytes/100", &[])).await.unwrap();
    }
    // Has no body, and comes after the others.
    stream.write_all(&asking(161, "HEAD", "/bytes/100", &[])).await.unwrap();
    for _ in 0..BEGUN {
        of_kind(&mut stream, HEADERS).await;
    }
    assert_eq!(origin.requests(), BEGUN as u64);
    // The first to be answered gets a window, and makes place for another.
    stream.write_all(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 4, 0])).await.unwrap();
    of_kind(&mut stream, HEADERS).await;
    // All get one, and all are answered.
    stream.write_all(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 100])).await.unwrap();
    for _ in BEGUN + 1..81 {
        of_kind(&mut stream, HEADERS).await;
    }
    assert_eq!(origin.requests(), 81);
}

/// The windows are used up whenever another stream could begin, and still the client takes more.
#[tokio::test]
async fn a_stream_begins_beside_one_that_uses_all_of_the_window() {
    const WHOLE: usize = 16 << 20;
    let origin = Origin::start("v1");
    let (_edge, mut stream) = reader(&origin, &[]).await;
    stream.write_all(&asking(1, "GET", &format!("/bytes/{WHOLE}"), &[])).await.unwrap();
    let mut got = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let [a, b, c, kind, _, _, _, _, id] = head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if id == 3 {
            assert_eq!(kind, HEADERS);
            break;
        }
        if kind != DATA || length == 0 {
            continue;
        }
        let before = got;
        got += length;
        assert!(got < WHOLE, "the second begins before the first has ended");
        let by = u32::try_from(length).unwrap().to_be_bytes();
        let updates = [frame(WINDOW_UPDATE, 0, 0, &by), frame(WINDOW_UPDATE, 0, 1, &by)].concat();
        stream.write_all(&updates).await.unwrap();
        // What is granted in the first place has been used by then.
        let used = 1 << 20;
        if before < used && got >= used {
            stream.write_all(&asking(3, "GET", "/", &[])).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_answer_within_the_window_ends_without_a_further_one() {
    let origin = Origin::start("v1");
    let window = [0, 4, 0, 0, 0, 200];
    for path in ["/bytes/200", "/trailers"] {
        let (_edge, mut stream) = reader(&origin, &window).await;
        stream.write_all(&asking(1, "GET", path, &[])).await.unwrap();
        eventually_async("the stream ends", async || {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let [_, a, b, kind, flags, ..] = head;
            let mut payload = vec![0; usize::from(a) << 8 | usize::from(b)];
            stream.read_exact(&mut payload).await.unwrap();
            assert_ne!(kind, RST, "{path}");
            kind <= HEADERS && flags & 1 == 1
        })
        .await;
    }
}

#[tokio::test]
async fn a_large_answer_passes_however_small_the_steps_of_its_window() {
    let origin = Origin::start("v1");
    let (_edge, mut stream) = reader(&origin, &[0, 4, 0, 0, 0, 1]).await;
    stream.write_all(&asking(1, "GET", "/bytes/3000", &[])).await.unwrap();
    let mut got = 0;
    while got < 3_000 {
        let (kind, payload) = read_frame(&mut stream, &[DATA, RST]).await.unwrap();
        assert_eq!(kind, DATA);
        got += payload.len();
        stream.write_all(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 100])).await.unwrap();
    }
    assert_eq!(got, 3_000);
}

/// A connection with no window and nearly as many requests as it may have for large answers.
async fn greedy(
    address: SocketAddr,
    authority: &Authority,
    more: &[(&str, &str)],
) -> TlsStream<TcpStream> {
    let config = authority.client(&["h2"]);
    let mut stream = connect_to(address, config, "a.example").await.unwrap();
    begin(&mut stream, &NO_WINDOW).await;
    for n in 0..99 {
        stream.write_all(&asking(2 * n + 1, "GET", "/bytes/524288", more)).await.unwrap();
    }
    stream.flush().await.unwrap();
    stream
}

/// Half of what it takes to keep one buffer for each, which is what HTTP/2's library asks for.
const MOST: u64 = 12 * MIB;

#[tokio::test]
async fn answers_that_no_client_takes_are_left_with_their_backends() {
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let none: &[(&str, &str)] = &[];
    for (what, protocol, more) in
        [("http1", "http1", none), ("http2", "http2", none), ("gRPC", "http2", &grpc)]
    {
        let (authority, folder) = prepared();
        let origin = Origin::start("v1");
        let yaml =
            format!("{{ endpoints: [\"http://{}\"], protocol: {protocol} }}", origin.address());
        let service = serin_testkit::ServiceText::new("web").version_yaml("v1", &yaml);
        let (serin, address) = started(&folder, &config(service, "", ""));
        drop(greedy(address, &authority, more).await);
        eventually_async("none is with the backend", async || origin.in_flight() == 0).await;
        let before = resident(&serin);
        let mut streams = Vec::new();
        for _ in 0..8 {
            let mut stream = greedy(address, &authority, more).await;
            // What comes last is answered last.
            stream.write_all(&asking(301, "HEAD", "/bytes/1", more)).await.unwrap();
            eventually_async("the last is answered", async || {
                let (kind, _) = read_frame(&mut stream, &[HEADERS, RST]).await.unwrap();
                kind == HEADERS
            })
            .await;
            streams.push(stream);
        }
        let full = resident(&serin).saturating_sub(before);
        println!("{what}: {} KiB more", full / 1024);
        assert!(full < MOST, "{what}: {} KiB more", full / 1024);
    }
}

/// What fifty of them may make Serin hold. About 15 MiB is usual in a build without optimisation.
const MOST_OF_MANY: u64 = 24 * MIB;
const MANY: usize = 50;
/// Of each, as many answers as begin without a window, and the one without a body.
const BEGUN: usize = 8 + 1;

/// Answers each request with the same eighth of a megabyte, which is made once. More would be the kernel's
/// to hold, and its sockets share what they may take with those of every other test.
async fn large_origin() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let answer = Bytes::from(
        [&b"HTTP/1.1 200 OK\r\nContent-Length: 131072\r\n\r\n"[..], &[b'x'; 131_072]].concat(),
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                while stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                    let length = if head.starts_with(b"HEAD") { 43 } else { answer.len() };
                    if stream.write_all(&answer[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// What they may make it hold of answers over HTTP/2: of each stream a window, which is small for many.
const MOST_OVER_HTTP2: u64 = 40 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn answers_over_http2_that_no_client_takes_are_left_with_their_backends() {
    for window in [0, 1] {
        let (authority, folder) = prepared();
        let origin = Origin::start("v1");
        let config = config(http2(origin.address()), "", "");
        let (serin, address) = started(&folder, &config);
        drop(greedy(address, &authority, &[]).await);
        eventually_async("none is with the backend", async || origin.in_flight() == 0).await;
        let (before, asked) = (resident(&serin), origin.requests());
        let mut streams = Vec::new();
        for _ in 0..MANY {
            let tls = authority.client(&["h2"]);
            let mut stream = connect_to(address, tls, "a.example").await.unwrap();
            begin(&mut stream, &[0, 4, 0, 0, 0, window]).await;
            for n in 0..99 {
                stream.write_all(&asking(2 * n + 1, "GET", "/bytes/100000", &[])).await.unwrap();
            }
            stream.flush().await.unwrap();
            streams.push(stream);
        }
        let begun = (MANY * (BEGUN - 1)) as u64;
        eventually_async("all have begun that may", async || origin.requests() - asked >= begun)
            .await;
        let more = resident(&serin).saturating_sub(before);
        println!("a window of {window}: {} KiB more", more / 1024);
        assert!(more < MOST_OVER_HTTP2, "a window of {window}: {} KiB more", more / 1024);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_one_byte_is_as_little_as_none() {
    for window in [0, 1] {
        let (authority, folder) = prepared();
        let config = config(web(large_origin().await), "", "");
        let (serin, address) = started(&folder, &config);
        drop(greedy(address, &authority, &[]).await);
        let before = resident(&serin);
        let mut streams = Vec::new();
        for _ in 0..MANY {
            let tls = authority.client(&["h2"]);
            let mut stream = connect_to(address, tls, "a.example").await.unwrap();
            begin(&mut stream, &[0, 4, 0, 0, 0, window]).await;
            for n in 0..99 {
                stream.write_all(&asking(2 * n + 1, "GET", "/large", &[])).await.unwrap();
            }
            stream.write_all(&asking(301, "HEAD", "/large", &[])).await.unwrap();
            for _ in 0..BEGUN {
                of_kind(&mut stream, HEADERS).await;
            }
            streams.push(stream);
        }
        let more = resident(&serin).saturating_sub(before);
        println!("a window of {window}: {} KiB more", more / 1024);
        assert!(more < MOST_OF_MANY, "a window of {window}: {} KiB more", more / 1024);
    }
}
