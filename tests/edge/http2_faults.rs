//! Backends of HTTP/2 that say what nobody can read, or take no more streams: what that does to others on
//! the same connection.

use crate::edge::Edge;
use crate::http2::frame;
use crate::http2_upstream::http2;
use serin_testkit::{ConfigText, Connection, eventually_async, temp_dir};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const SETTINGS: u8 = 4;
const PREFACE: usize = 24;
/// A head of no fields, and the end of the stream.
const OK: [u8; 1] = [0x88];
/// Refers to a field that there never is.
const UNREADABLE: &[u8] = b"\x80";
/// Fields that HTTP/2 does not allow, in the ways in which they can be written.
const MALFORMED: [&[u8]; 6] = [
    // `location: /a\rb`, as a redirect to a decoded path has it, plain and by the table's name,
    b"\x88\x00\x08location\x04/a\rb",
    b"\x08\x03302\x0f\x1f\x04/a\rb",
    // and `/index.html/a\rb` in Huffman's code, for the table.
    b"\x88\x6e\x8e\x60\xd5\x48\x5f\x2b\xce\x9a\x68\x60\x7f\xff\xff\xfe\xc7",
    b"\x88\x40\x07X-Upper\x01a",
    b"\x88\x00\x03x y\x01a",
    b"\x88\x00\x08:unknown\x01a",
];
/// The frame of a request whose path is long is longer than this, and that of no other.
const LONG: usize = 300;

#[derive(Clone, Copy)]
enum Kind {
    /// Answers who asks for a long path with what cannot be read, and others well: on the first connection
    /// once so many have asked, and then those who asked for the long path alone.
    Unreadable { together: usize },
    /// The same with this malformed field, and others get their answers, too, once so many have asked.
    Malformed { field: &'static [u8], together: usize },
    /// The first connection takes no streams any more after its first answer.
    Shuts,
    /// Flushes often before it has something to say.
    Flushes,
    /// Says of every request that it did not look at it, and stays,
    Refuses,
    /// or leaves with that.
    Leaves,
}

#[derive(Clone, Default)]
struct Seen {
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

/// Says how many connections there were.
async fn origin(kind: Kind) -> (SocketAddr, Arc<AtomicUsize>) {
    let (address, seen) = watched(kind).await;
    (address, seen.connections)
}

async fn watched(kind: Kind) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let count = seen.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let first = count.connections.fetch_add(1, SeqCst) == 0;
            tokio::spawn(serve(socket, kind, first, count.requests.clone()));
        }
    });
    (address, seen)
}

/// Until the other side has ended.
async fn serve(
    mut socket: TcpStream,
    kind: Kind,
    mut first: bool,
    requests: Arc<AtomicUsize>,
) -> Option<()> {
    socket.write_all(&frame(SETTINGS, 0, 0, &[])).await.ok()?;
    socket.read_exact(&mut [0; PREFACE]).await.ok()?;
    let mut asked: Vec<(u32, bool)> = Vec::new();
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind_of, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes(stream);
        socket.read_exact(&mut vec![0; length]).await.ok()?;
        match kind_of {
            SETTINGS if flags & 1 == 0 => {
                socket.write_all(&frame(SETTINGS, 1, 0, &[])).await.ok()?
            }
            HEADERS => {
                requests.fetch_add(1, SeqCst);
                asked.push((stream, length > LONG));
            }
            _ => {}
        }
        let (least, bad_alone) = match kind {
            Kind::Unreadable { together } if first => (together, true),
            Kind::Malformed { together, .. } if first => (together, false),
            Kind::Unreadable { .. }
            | Kind::Malformed { .. }
            | Kind::Shuts
            | Kind::Flushes
            | Kind::Refuses
            | Kind::Leaves => (1, false),
        };
        if asked.len() < least {
            continue;
        }
        if matches!(kind, Kind::Shuts) && first {
            socket.write_all(&frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 0])).await.ok()?;
        }
        for (stream, long) in asked.drain(..).filter(|(_, long)| *long || !bad_alone) {
            if let Kind::Refuses | Kind::Leaves = kind {
                let stays = matches!(kind, Kind::Refuses);
                let refused = frame(RST_STREAM, 0, stream, &[0, 0, 0, 7]);
                let refusal = if stays { refused } else { frame(GOAWAY, 0, 0, &[0; 8]) };
                socket.write_all(&refusal).await.ok()?;
                continue;
            }
            if matches!(kind, Kind::Flushes) {
                let empty = frame(DATA, 0, stream, &[]).repeat(60);
                let head = frame(HEADERS, 4, stream, &OK);
                let all = [head, empty, frame(DATA, 1, stream, b"ok")].concat();
                socket.write_all(&all).await.ok()?;
                continue;
            }
            let head = match kind {
                _ if !long => &OK,
                Kind::Malformed { field, .. } => field,
                Kind::Unreadable { .. }
                | Kind::Shuts
                | Kind::Flushes
                | Kind::Refuses
                | Kind::Leaves => UNREADABLE,
            };
            socket.write_all(&frame(HEADERS, 5, stream, head)).await.ok()?;
        }
        first = false;
    }
}

fn edge(origin: SocketAddr) -> Edge {
    let config = ConfigText::simple(http2(origin)).with("lanes: both");
    Edge::start_on(1, temp_dir(), &config)
}

async fn status_of(address: SocketAddr, path: String) -> u16 {
    Connection::http1(address, "a.example").await.get(&path).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_read_costs_no_other_that_was_to_come_over_the_same_connection() {
    const NEIGHBOURS: usize = 5;
    let (origin, connections) = origin(Kind::Unreadable { together: NEIGHBOURS + 1 }).await;
    let edge = edge(origin);
    let neighbours: Vec<_> =
        (0..NEIGHBOURS).map(|_| tokio::spawn(status_of(edge.address(), "/".into()))).collect();
    let culprit = tokio::spawn(status_of(edge.address(), format!("/{}", "x".repeat(2 * LONG))));
    for neighbour in neighbours {
        assert_eq!(neighbour.await.unwrap(), 200);
    }
    assert_eq!(culprit.await.unwrap(), 502);
    // The culprit's is its retry.
    assert_eq!(connections.load(SeqCst), 1 + NEIGHBOURS + 1, "each has one of its own");
}

async fn post(address: SocketAddr, path: &str) -> u16 {
    let mut client = Connection::http1(address, "a.example").await;
    client.send(client.request("POST", path, "body")).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_field_fails_its_own_request_and_nothing_beside_it() {
    const NEIGHBOURS: usize = 5;
    for field in MALFORMED {
        let (origin, connections) =
            origin(Kind::Malformed { field, together: NEIGHBOURS + 1 }).await;
        let edge = edge(origin);
        let address = edge.address();
        // The culprit is answered first, as it is on the connection's first stream.
        let culprit = tokio::spawn(status_of(address, format!("/{}", "x".repeat(2 * LONG))));
        let neighbours: Vec<_> =
            (0..NEIGHBOURS).map(|_| tokio::spawn(post(address, "/"))).collect();
        for neighbour in neighbours {
            assert_eq!(neighbour.await.unwrap(), 200, "{field:x?}");
        }
        assert_eq!(culprit.await.unwrap(), 502, "{field:x?}");
        assert_eq!(post(address, "/").await, 200, "{field:x?}");
        assert_eq!(connections.load(SeqCst), 1, "{field:x?}");
        eventually_async("all are counted", async || {
            let counts = edge.counts("v1").judged;
            (counts.good, counts.bad) == (NEIGHBOURS as u64 + 1, 1)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_takes_no_streams_any_more_is_asked_for_none() {
    let (origin, connections) = origin(Kind::Shuts).await;
    let edge = edge(origin);
    for _ in 0..3 {
        assert_eq!(status_of(edge.address(), "/".into()).await, 200);
    }
    assert_eq!(connections.load(SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_sends_empty_data_now_and_then_keeps_its_connection() {
    let (origin, connections) = origin(Kind::Flushes).await;
    let edge = edge(origin);
    for _ in 0..4 {
        let answer = Connection::http1(edge.address(), "a.example").await.get("/").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
    assert_eq!(connections.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_refuses_every_request_is_asked_once_more_and_then_as_retries_say() {
    for kind in [Kind::Refuses, Kind::Leaves] {
        for (attempts, asked) in [(0, 2), (1, 3), (2, 4)] {
            let (origin, seen) = watched(kind).await;
            let retries = format!("retries: {{ attempts: {attempts}, on: [connectFailure] }}");
            let config = ConfigText::simple(http2(origin).with(&retries));
            let edge = Edge::start_on(1, temp_dir(), &config);
            for method in ["GET", "POST"] {
                let before = (seen.requests.load(SeqCst), Instant::now());
                let mut client = Connection::http1(edge.address(), "a.example").await;
                let answer = client.send(client.request(method, "/", "")).await;
                assert_eq!(answer.status, 503, "{method}");
                assert_eq!(answer.text(), "the backend takes no more requests\n", "{method}");
                assert_eq!(seen.requests.load(SeqCst) - before.0, asked, "{method}");
                // A pause before each but the first.
                let least = Duration::from_millis(25 * (asked as u64 - 2));
                assert!(before.1.elapsed() >= least, "{method}: {:?}", before.1.elapsed());
            }
        }
    }
}
