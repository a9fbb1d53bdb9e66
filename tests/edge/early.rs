//! Ends of HTTP/2: answers that do not wait, calls that break off, and connections that are closed
//! while their client is still writing.

use crate::edge::{Edge, ROUTE, web};
use crate::http2::{GOAWAY, REQUEST, RST, begin, block, frame};
use crate::tls::{Authority, config, connect, prepared};
use bytes::Bytes;
use serin_testkit::{
    Connection, Origin, PATIENCE, RawOrigin, Script, ServiceText, eventually_async,
};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

/// The next frame, or `None` at the end of the connection.
async fn next(stream: &mut TlsStream<TcpStream>) -> Option<Frame> {
    let read = async {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, ..] = head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, flags, payload })
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap()
}

async fn raw(edge: &Edge, authority: &Authority) -> TlsStream<TcpStream> {
    let mut stream = connect(edge, authority.client(&["h2"]), "a.example").await.unwrap();
    begin(&mut stream, &[]).await;
    stream
}

/// All frames of streams until the answer to a PING that is sent now.
async fn until_pong(stream: &mut TlsStream<TcpStream>) -> Vec<Frame> {
    stream.write_all(&frame(PING, 0, 0, b"farewell")).await.unwrap();
    let mut frames = Vec::new();
    loop {
        let frame = next(stream).await.unwrap();
        if frame.kind == PING {
            return frames;
        }
        if [DATA, HEADERS, RST, GOAWAY].contains(&frame.kind) {
            frames.push(frame);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_wait_for_the_body_is_not_followed_by_a_reset() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let limited = ROUTE.replace("service: web", "service: web, limits: { maxBody: 1KiB }");
    let listening = config(web(origin.address()), "", "");
    // Of two routes the one that names the host comes first.
    let limited = limited.replace("name: all", "name: limited, hostnames: [a.example]");
    let config = listening.route(&limited);
    let edge = Edge::start_in(folder, &config);
    for length in [&[("content-length", "50000")][..], &[]] {
        let mut stream = raw(&edge, &authority).await;
        // Its backend answers nothing before it has all of the body.
        let head = [(":method", "POST"), REQUEST[1], (":path", "/echo"), REQUEST[3]];
        let post = [&head[..], length].concat();
        stream.write_all(&frame(HEADERS, END_HEADERS, 1, &block(&post))).await.unwrap();
        stream.write_all(&frame(DATA, 0, 1, &[b'x'; 10_000])).await.unwrap();
        // The answer, to its end.
        let mut head = None;
        loop {
            let frame = next(&mut stream).await.unwrap();
            assert_ne!(frame.kind, RST, "reset before the answer");
            if frame.kind == HEADERS {
                head = Some(frame.payload);
            } else if frame.kind == DATA && frame.flags & END_STREAM != 0 {
                break;
            }
        }
        let head = head.unwrap();
        assert!(head.windows(3).any(|w| w == b"413") || head[0] == 0x48, "{head:?}");
        // The client goes on for a moment, because it has not read that yet.
        for _ in 0..3 {
            stream.write_all(&frame(DATA, 0, 1, &[b'x'; 10_000])).await.unwrap();
        }
        stream.write_all(&frame(DATA, END_STREAM, 1, &[b'x'; 10_000])).await.unwrap();
        let frames = until_pong(&mut stream).await;
        assert!(frames.is_empty(), "{frames:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serin_says_to_a_grpc_client_is_one_frame_that_ends_the_stream() {
    let (authority, folder) = prepared();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let yaml = format!("{{ endpoints: [\"http://{nobody}\"], protocol: http2 }}");
    let service = ServiceText::new("web").version_yaml("v1", &yaml);
    let edge = Edge::start_in(folder, &config(service, "", ""));
    let mut stream = raw(&edge, &authority).await;
    let call = [&[(":method", "POST")], &REQUEST[1..], &[("content-type", "application/grpc")]];
    let call = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&call.concat()));
    stream.write_all(&call).await.unwrap();
    let head = loop {
        let frame = next(&mut stream).await.unwrap();
        if [DATA, HEADERS, RST, GOAWAY].contains(&frame.kind) {
            break frame;
        }
    };
    assert_eq!((head.kind, head.flags & END_STREAM), (HEADERS, END_STREAM), "{head:?}");
    let frames = until_pong(&mut stream).await;
    assert!(frames.is_empty(), "{frames:?}");
}

/// Begins an answer to a call, and dies.
async fn dying() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((_, mut stream))) = connection.accept().await {
                    let head = http::Response::builder().header("content-type", "application/grpc");
                    let mut body = stream.send_response(head.body(()).unwrap(), false).unwrap();
                    body.send_data(Bytes::from_static(b"\0\0\0\0\x02hi"), false).unwrap();
                    tokio::spawn(async move {
                        // Once the first message is on its way.
                        tokio::task::yield_now().await;
                        body.send_reset(h2::Reason::INTERNAL_ERROR);
                    });
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_backend_dies_in_the_middle_is_unavailable() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n\0\0\0\0\x02hi\r\n";
    let http1 = RawOrigin::always(Script::new().read_request().write(cut).half_close());
    let http2 = dying().await;
    for (address, protocol) in [(http1.address(), "http1"), (http2, "http2")] {
        let (authority, folder) = prepared();
        let yaml = format!("{{ endpoints: [\"http://{address}\"], protocol: {protocol} }}");
        let service = ServiceText::new("web").version_yaml("v1", &yaml);
        let edge = Edge::start_in(folder, &config(service, "", ""));
        let io = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
        let mut client = Connection::http2_over(io, "a.example").await;
        let mut call = client.request("POST", "/test.Echo/Unary", "");
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let answer = client.send(call).await;
        // A reset says why.
        let status = if protocol == "http2" { "13" } else { "14" };
        assert_eq!(answer.trailers.unwrap()["grpc-status"], status, "{protocol}");
        eventually_async("it is bad", async || edge.counts("v1").judged.bad == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_is_read_to_its_end_so_that_its_client_can_read_what_it_was_told() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let config = config(web(origin.address()), "", "idleTimeout: 300ms");
    let edge = Edge::start_in(folder, &config);
    let mut stream = raw(&edge, &authority).await;
    stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&REQUEST))).await.unwrap();
    let mut asked = None;
    let mut told = false;
    while asked.is_none() || !told {
        let frame = next(&mut stream).await.unwrap();
        told |= frame.kind == GOAWAY;
        if frame.kind == PING && frame.flags & ACK == 0 {
            asked = Some(frame.payload);
        }
    }
    // The client has understood, and is in the middle of writing something long.
    let mut last = frame(PING, ACK, 0, &asked.unwrap());
    for _ in 0..40 {
        last.extend_from_slice(&frame(0xfa, 0, 0, &[b'x'; 16_000]));
    }
    stream.write_all(&last).await.unwrap();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(rest.get(3), Some(&GOAWAY), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn white_space_around_a_value_and_an_empty_scheme_are_protocol_errors() {
    let (authority, folder) = prepared();
    let origin =
        RawOrigin::always(Script::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let edge = Edge::start_in(folder, &config(web(origin.address()), "", ""));
    let with = |more: (&'static str, &'static str)| [&REQUEST[..], &[more]].concat();
    let cases = [
        with(("x", " a")),
        with(("x", "a ")),
        with(("x", "\ta")),
        with(("x", "a\t")),
        with(("x", " ")),
        [&REQUEST[..1], &[(":scheme", "")], &REQUEST[2..]].concat(),
    ];
    for case in cases {
        let mut stream = raw(&edge, &authority).await;
        let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&case));
        stream.write_all(&head).await.unwrap();
        let said = loop {
            let frame = next(&mut stream).await.unwrap();
            if [DATA, HEADERS, RST, GOAWAY].contains(&frame.kind) {
                break frame;
            }
        };
        assert_eq!((said.kind, &said.payload[..]), (RST, &[0, 0, 0, 1][..]), "{case:?}");
    }
    assert_eq!(origin.received(), b"");
}
