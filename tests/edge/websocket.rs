//! WebSocket with a real client and a real server.

use crate::edge::Edge;
use futures_util::{SinkExt, StreamExt};
use serin_testkit::{RawOrigin, Script, eventually, eventually_async};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{accept_async, client_async};

/// Echoes messages; a text "fail" is answered with a close that says so.
pub(crate) async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = accept_async(socket).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if message == Message::text("fail") {
                        let reason =
                            CloseFrame { code: CloseCode::Error, reason: "told to".into() };
                        let _ = socket.close(Some(reason)).await;
                    } else if message.is_text() || message.is_binary() {
                        let _ = socket.send(message).await;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_size_pass_and_the_close_is_judged() {
    let edge = Edge::to(serve().await);
    for (ends_well, bad) in [(true, 0), (false, 1)] {
        let socket = TcpStream::connect(edge.address()).await.unwrap();
        let (mut socket, answer) = client_async("ws://a.example/chat", socket).await.unwrap();
        assert_eq!(answer.status(), 101);
        for size in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
            let message = Message::binary(vec![7u8; size]);
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), message);
        }
        if ends_well {
            socket.close(None).await.unwrap();
        } else {
            socket.send(Message::text("fail")).await.unwrap();
        }
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
        eventually_async("it is judged", async || edge.counts("v1").judged.bad == bad).await;
    }
    eventually_async("the other one is good", async || edge.counts("v1").judged.good == 1).await;
}

/// Bytes that nobody has seen before, the same for the same seed.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// In pieces of every size.
async fn write_in_pieces(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    let mut rest = bytes;
    for size in (0..).map(|turn: usize| 1 + turn * 7919 % 20_011) {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        to.write_all(piece).await.unwrap();
        rest = after;
        if rest.is_empty() {
            return;
        }
    }
}

async fn read_head(from: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Whatever two ends say to each other passes as it is: valid frames, broken ones, and none.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_carries_any_bytes_both_ways() {
    const MANY: usize = 1 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let edge = Edge::to(listener.local_addr().unwrap());
    let backend = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(read_head(&mut socket).await.to_lowercase().contains("upgrade: websocket"));
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\n\r\n";
        socket.write_all(answer.as_bytes()).await.unwrap();
        let mut heard = vec![0; MANY];
        socket.read_exact(&mut heard).await.unwrap();
        write_in_pieces(&mut socket, &noise(2, MANY)).await;
        heard
    });
    let mut client = TcpStream::connect(edge.address()).await.unwrap();
    let ask = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(ask.as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101"));
    write_in_pieces(&mut client, &noise(1, MANY)).await;
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert!(heard == noise(2, MANY), "{} bytes came back", heard.len());
    assert!(backend.await.unwrap() == noise(1, MANY), "other bytes went there");
}

/// Frames that close with 1011: a backend's, and a client's with a mask of nothing.
const BACKENDS: [u8; 4] = [0x88, 2, 0x03, 0xf3];
const CLIENTS: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf3];
const MESSAGE: [u8; 4] = [0x81, 2, b'h', b'i'];

/// What a client says, or `None` when it goes away, and what its backend does about it, comes to.
fn judged(backend: fn(Script) -> Script, says: Option<&[u8]>) -> (u64, u64) {
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let started = Script::new().read_request().write(switch).write(MESSAGE);
    let origin = RawOrigin::always(backend(started));
    let edge = Edge::to(origin.address());
    let mut client = edge.client();
    client
        .send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    client.read_past(&MESSAGE);
    match says {
        Some(says) => {
            client.send(says);
            client.ended();
        }
        None => drop(client),
    }
    eventually("it is judged", || {
        let judged = edge.counts("v1").judged;
        (judged.good + judged.bad == 1).then_some((judged.good, judged.bad))
    })
}

#[test]
fn whoever_begins_to_close_decides_how_it_is_judged() {
    let (good, bad) = ((1, 0), (0, 1));
    type Act = fn(Script) -> Script;
    type Case = (&'static str, Act, Option<&'static [u8]>, (u64, u64));
    let cases: [Case; 8] = [
        (
            "a code sent back",
            |s| s.read_until(CLIENTS).write(BACKENDS).close(),
            Some(&CLIENTS),
            good,
        ),
        ("a client that closed first", |s| s.read_until(CLIENTS).reset(), Some(&CLIENTS), good),
        ("a code of the backend's own", |s| s.write(BACKENDS).close(), Some(b""), bad),
        ("a backend that leaves without a word", Script::close, Some(b""), bad),
        ("a backend that breaks off", Script::reset, Some(b""), bad),
        (
            "a client that speaks no WebSocket",
            |s| s.read_until("hello").close(),
            Some(b"hello"),
            good,
        ),
        ("a client that goes away", |s| s.read_to_end().close(), None, good),
        ("and a backend that breaks off then", |s| s.read_to_end().reset(), None, good),
    ];
    for (what, backend, says, expected) in cases {
        assert_eq!(judged(backend, says), expected, "{what}");
    }
}
