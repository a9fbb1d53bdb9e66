//! WebSockets over HTTP/2 (RFC 8441): an extended CONNECT is an upgrade for the backend.

use crate::edge::Edge;
use crate::tls::{self, connect, prepared};
use crate::websocket::serve;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Response, StatusCode, Version};
use serin_testkit::{ConfigText, ServiceText, eventually_async};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// An edge over TLS, and a client's connection of HTTP/2 to it.
async fn opened(service: ServiceText) -> (Edge, SendRequest<Bytes>) {
    opened_with(tls::config(service, "", "")).await
}

async fn opened_with(config: ConfigText) -> (Edge, SendRequest<Bytes>) {
    let (authority, folder) = prepared();
    let edge = Edge::start_in(folder, &config);
    let stream = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    // So that a stream that is not read leaves the connection some of its window.
    let mut builder = h2::client::Builder::new();
    let shaken = builder.initial_connection_window_size(1 << 20).handshake(stream);
    let (mut client, connection) = shaken.await.unwrap();
    tokio::spawn(connection);
    client = client.ready().await.unwrap();
    eventually_async("the extended CONNECT is announced", async || {
        client.is_extended_connect_protocol_enabled()
    })
    .await;
    (edge, client)
}

fn to(backend: SocketAddr) -> ServiceText {
    ServiceText::new("web").version("v1", &[backend])
}

fn asking(protocol: &'static str) -> Request<()> {
    Request::builder()
        .method(Method::CONNECT)
        .version(Version::HTTP_2)
        .uri("https://a.example/chat?room=1")
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static(protocol))
        .body(())
        .unwrap()
}

async fn ask(client: &mut SendRequest<Bytes>) -> (Response<RecvStream>, SendStream<Bytes>) {
    let (answer, send) = client.send_request(asking("websocket"), false).unwrap();
    (answer.await.unwrap(), send)
}

/// The stream as a socket. Its end is said when the socket's is.
fn socket(mut body: RecvStream, mut send: SendStream<Bytes>) -> DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (mut read, mut write) = tokio::io::split(far);
    tokio::spawn(async move {
        while let Some(Ok(piece)) = body.data().await {
            body.flow_control().release_capacity(piece.len()).unwrap();
            if write.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _gone = write.shutdown().await;
    });
    tokio::spawn(async move {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = read.read(&mut piece).await {
            let mut rest = Bytes::copy_from_slice(&piece[..count]);
            while !rest.is_empty() {
                send.reserve_capacity(rest.len());
                let Some(Ok(room)) = poll_fn(|cx| send.poll_capacity(cx)).await else { return };
                if send.send_data(rest.split_to(room.min(rest.len())), false).is_err() {
                    return;
                }
            }
        }
        let _gone = send.send_data(Bytes::new(), true);
    });
    near
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_size_pass_and_the_close_is_judged() {
    let (edge, mut client) = opened(to(serve().await)).await;
    for (ends_well, bad) in [(true, 0), (false, 1)] {
        let (answer, send) = ask(&mut client).await;
        assert_eq!(answer.status(), StatusCode::OK);
        for of_http1 in ["upgrade", "connection", "sec-websocket-accept"] {
            assert!(!answer.headers().contains_key(of_http1), "{of_http1}");
        }
        let io = socket(answer.into_body(), send);
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
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

/// The head that the backend was sent, and its side of what follows once it has answered.
async fn upgraded(listener: &TcpListener, accept: Option<&str>) -> (String, TcpStream) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let key = line(&head, "sec-websocket-key").unwrap();
    let accept = accept.map_or_else(|| derive_accept_key(key.as_bytes()), str::to_owned);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\nX-Own: kept\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    (head, stream)
}

fn line<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_sees_an_upgrade_of_http1() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = to(listener.local_addr().unwrap()).with("session: { by: cookie }");
    let (_edge, mut client) = opened(service).await;
    let mut request = asking("websocket");
    let headers = request.headers_mut();
    headers.insert("sec-websocket-key", "of-the-client".parse().unwrap());
    headers.insert("sec-websocket-protocol", "chat".parse().unwrap());
    let (answer, _send) = client.send_request(request, false).unwrap();
    let (head, _stream) = upgraded(&listener, None).await;
    assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{head}");
    for (name, value) in [
        ("host", "a.example"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
    ] {
        assert_eq!(line(&head, name), Some(value), "{head}");
    }
    assert_eq!(line(&head, "sec-websocket-key").unwrap().len(), 24);
    assert_eq!(head.to_lowercase().matches("sec-websocket-key").count(), 1, "{head}");
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    let answer = answer.await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["x-own"]),
        (StatusCode::OK, &"kept".parse().unwrap())
    );
    assert!(answer.headers().contains_key("set-cookie"), "it sticks like any other request");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sides_end_reaches_the_other_which_still_has_its_say() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (edge, mut client) = opened(to(listener.local_addr().unwrap())).await;
    let backend = tokio::spawn(async move {
        let (_, mut stream) = upgraded(&listener, None).await;
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        stream.write_all(b"the reply").await.unwrap();
        heard
    });
    let (answer, send) = ask(&mut client).await;
    let mut io = socket(answer.into_body(), send);
    io.write_all(b"the question").await.unwrap();
    io.shutdown().await.unwrap();
    let mut heard = String::new();
    io.read_to_string(&mut heard).await.unwrap();
    assert_eq!((backend.await.unwrap().as_str(), heard.as_str()), ("the question", "the reply"));
    eventually_async("it is good", async || edge.counts("v1").judged.good == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_ends_at_the_backend_and_the_other_way_around() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (edge, mut client) = opened(to(listener.local_addr().unwrap())).await;
    let ((answer, mut send), (_, mut stream)) =
        tokio::join!(ask(&mut client), upgraded(&listener, None));
    assert_eq!(answer.status(), StatusCode::OK);
    send.send_reset(Reason::CANCEL);
    assert!(matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)), "the backend is told");
    eventually_async("it is good", async || edge.counts("v1").judged.good == 1).await;

    let ((answer, _send), (_, stream)) = tokio::join!(ask(&mut client), upgraded(&listener, None));
    stream.set_zero_linger().unwrap();
    drop(stream);
    let broken = answer.into_body().data().await.unwrap().unwrap_err();
    assert_eq!(broken.reason(), Some(Reason::CANCEL));
    eventually_async("it is bad", async || edge.counts("v1").judged.bad == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_slows_its_backend_and_no_other_stream() {
    const WHOLE: usize = 64 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_edge, mut client) = opened(to(listener.local_addr().unwrap())).await;
    let ((_deaf, _send), (_, mut stream)) =
        tokio::join!(ask(&mut client), upgraded(&listener, None));
    let (written, blocked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, noted) = (Arc::clone(&written), Arc::clone(&blocked));
    tokio::spawn(async move {
        let pause = Duration::from_millis(500);
        while counted.load(SeqCst) < WHOLE {
            match tokio::time::timeout(pause, stream.write_all(&[7; 16 * 1024])).await {
                Ok(_) => drop(counted.fetch_add(16 * 1024, SeqCst)),
                Err(_) => break,
            }
        }
        noted.store(true, SeqCst);
        std::future::pending::<()>().await;
    });
    eventually_async("the backend is held up", async || blocked.load(SeqCst)).await;
    let written = written.load(SeqCst);
    assert!(written < WHOLE / 2, "{written} bytes were taken from the backend");
    let ((answer, send), (_, mut stream)) =
        tokio::join!(ask(&mut client), upgraded(&listener, None));
    let mut io = socket(answer.into_body(), send);
    stream.write_all(b"still here").await.unwrap();
    let mut heard = [0; 10];
    io.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_websocket_is_refused_and_counts_as_it_was() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (edge, mut client) = opened(to(listener.local_addr().unwrap())).await;
    let (answer, _send) = client.send_request(asking("connect-udp"), false).unwrap();
    assert_eq!(answer.await.unwrap().status(), StatusCode::NOT_IMPLEMENTED);

    let answers = |text: &'static str| {
        let listener = &listener;
        async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let _read = stream.read(&mut head).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            stream
        }
    };
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    let ((answer, _send), _stream) = tokio::join!(ask(&mut client), answers(refusal));
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(answer.into_body().data().await.unwrap().unwrap(), "no");

    // Any client can ask any page for a WebSocket: that says nothing bad about the version.
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let ((answer, _send), _stream) = tokio::join!(ask(&mut client), answers(page));
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    eventually_async("both are good", async || edge.counts("v1").judged.good == 2).await;
    assert_eq!(edge.counts("v1").judged.bad, 0);

    let ((answer, _send), _) =
        tokio::join!(ask(&mut client), upgraded(&listener, Some("of something else")));
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    eventually_async("a wrong proof is bad", async || edge.counts("v1").judged.bad == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serin_answers_itself_opens_no_tunnel() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let route = "{ name: fixed, matches: [ { path: { exact: /chat } } ], respond: { status: 200, body: hi } }";
    let (_edge, mut client) = opened_with(tls::config(to(nobody), "", "").route(route)).await;
    let ((answer, _send),) = tokio::join!(ask(&mut client));
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

/// Speaks frames by itself: what is tried is its library of HTTP/2.
const NODE: &str = r#"
const session = require('http2').connect(process.argv[1], { rejectUnauthorized: false, servername: 'a.example' });
session.on('remoteSettings', settings => {
  if (!settings.enableConnectProtocol) throw new Error('not announced');
  const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'https', ':authority': 'a.example', ':path': '/chat', 'sec-websocket-version': '13' });
  let heard = Buffer.alloc(0);
  stream.on('response', headers => {
    if (headers[':status'] !== 200) throw new Error('status ' + headers[':status']);
    stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
  });
  stream.on('data', piece => {
    heard = Buffer.concat([heard, piece]);
    if (heard.length === 4) stream.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]));
  });
  stream.on('end', () => { console.log(heard.toString('hex')); session.close(); });
});
"#;

#[tokio::test(flavor = "multi_thread")]
async fn node_speaks_it_with_a_real_server() {
    let (edge, _client) = opened(to(serve().await)).await;
    let url = format!("https://{}", edge.address());
    let node = Command::new("node").args(["-e", NODE, &url]).output();
    let Ok(said) = node else { return println!("there is no node here") };
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_eq!(out.trim(), "81026869880203e8", "{err}");
    eventually_async("it is good", async || edge.counts("v1").judged.good == 1).await;
}
