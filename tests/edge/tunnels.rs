//! Tunnels: their ends, their bounds, and what opens one.

use crate::behind_tls::BehindTls;
use crate::binary::started;
use crate::bombs::resident;
use crate::edge::{Edge, ROUTE, listener, web};
use crate::tls;
use serin_testkit::{
    ConfigText, End, Latch, Origin, RawClient, RawOrigin, Script, ServiceText, eventually,
    eventually_async, temp_dir,
};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn asking(protocol: &str) -> String {
    format!(
        "GET /upgrade HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
    )
}

fn switching(protocol: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
    )
}

fn edge(service: ServiceText) -> Edge {
    Edge::start(&ConfigText::simple(service))
}

/// A client whose tunnel is open.
fn tunnel(edge: &Edge, protocol: &str) -> RawClient {
    let mut client = edge.client();
    client.send(asking(protocol));
    let head = String::from_utf8(client.read_past(b"\r\n\r\n")).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.to_lowercase().contains("\r\nconnection: upgrade\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nUpgrade: {protocol}\r\n")), "{head}");
    client
}

/// Answers once the client has said its last byte.
fn last(protocol: &str) -> Script {
    Script::new().read_request().write(switching(protocol)).read_to_end().write("the reply").close()
}

/// Says its last byte first, and stays to listen.
fn first(protocol: &str) -> Script {
    let script = Script::new().read_request().write(switching(protocol));
    script.read_until("hello").write("bye").half_close()
}

#[test]
fn the_end_of_one_side_reaches_the_other_which_still_has_its_say() {
    for protocol in ["websocket", "own/1"] {
        let origin = RawOrigin::always(last(protocol));
        let over = edge(web(origin.address()));
        let mut client = tunnel(&over, protocol);
        client.send("question").half_close();
        assert_eq!(client.ended(), (End::Closed, b"the reply".to_vec()), "{protocol}");
        assert!(origin.received().ends_with(b"\r\n\r\nquestion"));
        eventually("it is good", || over.counts("v1").judged.good == 1);

        let origin = RawOrigin::always(first(protocol));
        let over = edge(web(origin.address()));
        let mut client = tunnel(&over, protocol);
        client.send("hello");
        assert_eq!(client.ended(), (End::Closed, b"bye".to_vec()), "{protocol}");
        client.send(" and my last words").half_close();
        eventually("the backend has heard all", || origin.records()[0].ended);
        assert!(origin.received().ends_with(b"\r\n\r\nhello and my last words"), "{protocol}");
        eventually("it is good", || over.counts("v1").judged.good == 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_an_end_of_tls_on_either_side() {
    for (script, told, heard) in
        [(last("own"), "the reply", "hello"), (first("own"), "bye", "hello and my last words")]
    {
        let (authority, folder) = tls::prepared();
        authority.write(folder.path(), "backend", &["backend.example"]);
        let origin = RawOrigin::always(script);
        let behind = BehindTls::start(folder.path(), &["http/1.1"], origin.address());
        let config = tls::config(behind.service(", protocol: http1"), "", "");
        let edge = Edge::start_in(folder, &config);
        let alpn = authority.client(&["http/1.1"]);
        let mut client = tls::connect(&edge, alpn, "a.example").await.unwrap();
        client.write_all(asking("own").as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        client.write_all(b"hello").await.unwrap();
        if told == "the reply" {
            client.shutdown().await.unwrap();
        }
        let mut got = String::new();
        client.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, told);
        if told == "bye" {
            client.write_all(b" and my last words").await.unwrap();
            client.shutdown().await.unwrap();
        }
        eventually_async("the backend has heard all", async || origin.records()[0].ended).await;
        let received = String::from_utf8(origin.received()).unwrap();
        assert!(received.ends_with(&format!("\r\n\r\n{heard}")), "{received}");
    }
}

/// Writes without end once it is asked to change the protocol.
struct Torrent {
    listener: std::net::SocketAddr,
    written: Arc<AtomicUsize>,
    /// It could write nothing for a while.
    blocked: Arc<AtomicBool>,
}

impl Torrent {
    fn start(whole: usize) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let torrent = Self {
            listener: socket.local_addr().unwrap(),
            written: Arc::default(),
            blocked: Arc::default(),
        };
        let (written, blocked) = (Arc::clone(&torrent.written), Arc::clone(&torrent.blocked));
        std::thread::spawn(move || {
            let (mut stream, _) = socket.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream.write_all(switching("own").as_bytes()).unwrap();
            stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
            while written.load(SeqCst) < whole {
                match stream.write(&[7; 16 * 1024]) {
                    Ok(count) => drop(written.fetch_add(count, SeqCst)),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => blocked.store(true, SeqCst),
                    Err(_) => return,
                }
            }
        });
        torrent
    }

    fn written(&self) -> usize {
        self.written.load(SeqCst)
    }
}

#[test]
fn a_client_that_does_not_read_slows_its_backend() {
    const WHOLE: usize = 64 << 20;
    let torrent = Torrent::start(WHOLE);
    let folder = temp_dir();
    let config = ConfigText::simple(web(torrent.listener));
    let (serin, address) = started(&folder, &config);
    let before = resident(&serin);
    let mut client = RawClient::connect(address);
    client.send(asking("own"));
    client.read_past(b"\r\n\r\n");
    eventually("the backend is held up", || torrent.blocked.load(SeqCst));
    let (written, more) = (torrent.written(), resident(&serin).saturating_sub(before));
    println!("{written} bytes written, {more} more resident");
    assert!(written < WHOLE / 2, "{written} bytes were taken from the backend");
    assert!(more < 4 << 20, "{more} bytes are held");
    let mut read = 0;
    while read < WHOLE {
        read += client.read_exactly((WHOLE - read).min(1 << 20)).len();
    }
    client.ended();
}

#[test]
fn a_client_that_takes_nothing_is_waited_for_as_long_as_its_listener_says() {
    let torrent = Torrent::start(usize::MAX);
    let config = ConfigText::new().listener(&listener("idleTimeout: 400ms"));
    let config = config.service(web(torrent.listener)).route(ROUTE);
    let edge = Edge::start(&config);
    let _client = tunnel(&edge, "own");
    eventually("it is over", || edge.counts("v1").judged.good == 1);
}

#[test]
fn thousands_of_idle_tunnels_hold_no_buffers() {
    const MANY: usize = 2_000;
    let origin = Origin::start("v1");
    let folder = temp_dir();
    let config = ConfigText::simple(web(origin.address()));
    let config = config.with("accessLog: { format: off }");
    let (serin, address) = started(&folder, &config);
    let open = || {
        let mut client = RawClient::connect(address);
        client.send(asking("websocket"));
        client.read_past(b"\r\n\r\n");
        client.send([7; 4_000]);
        client.read_exactly(4_000);
        client
    };
    let first: Vec<RawClient> = (0..100).map(|_| open()).collect();
    let before = resident(&serin);
    let idle: Vec<RawClient> = (0..MANY).map(|_| open()).collect();
    let each = resident(&serin).saturating_sub(before) / MANY as u64;
    println!("{each} bytes for each tunnel");
    assert!(each < 8 << 10, "{each} bytes for each tunnel");
    for mut client in first.into_iter().chain(idle).step_by(100) {
        client.send("still here?");
        assert_eq!(client.read_exactly(11), b"still here?");
    }
}

#[test]
fn only_what_was_asked_for_opens_a_tunnel() {
    let origin = RawOrigin::always(Script::answering(switching("own")));
    let over = edge(web(origin.address()));
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: own\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: own\r\nContent-Length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: own\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ] {
        let mut client = over.client();
        client.send(request);
        assert_eq!(client.response().status, 502, "{request:?}");
    }
    let asked = String::from_utf8(origin.received()).unwrap().to_lowercase();
    assert_eq!(asked.matches("upgrade:").count(), 1, "{asked}");
}

#[test]
fn a_handshake_that_fails_is_tried_again_as_any_request() {
    let broken = Script::new().read_request().reset();
    let origin =
        RawOrigin::in_turn(vec![broken, Script::new().read_request().write(switching("own"))]);
    let over =
        edge(web(origin.address()).with("retries: { attempts: 1, on: [reset], budget: 100% }"));
    drop(tunnel(&over, "own"));
    assert_eq!(origin.accepted(), 2);
}

/// What a client sends before it is told may be the tunnel's, and is kept for that.
#[test]
fn what_was_sent_ahead_comes_first() {
    let latch = Latch::new();
    let script = Script::new().read_request().wait_for(&latch).write(switching("own"));
    let origin = RawOrigin::always(script.read_to_end().close());
    let over = edge(web(origin.address()));
    let mut client = over.client();
    client.send(asking("own") + "ahead");
    eventually("the handshake is with the backend", || !origin.received().is_empty());
    client.send(", and ahead again");
    latch.open();
    client.read_past(b"\r\n\r\n");
    client.send(", and in time").half_close();
    client.ended();
    let received = String::from_utf8(origin.received()).unwrap();
    assert!(received.ends_with("\r\n\r\nahead, and ahead again, and in time"), "{received}");
}
