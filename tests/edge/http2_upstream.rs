//! Backends that speak HTTP/2: streams that are refused, reset and cut, and connections that end.

use crate::edge::Edge;
use crate::http2::{REQUEST, RST, begin, block, frame, raw, read_frame};
use crate::tls::{config, connect, prepared};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Response;
use serin_testkit::{
    ConfigText, Connection, Origin, RawClient, ServiceText, eventually_async, temp_dir,
};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

/// What the backend does with one stream.
#[derive(Clone, Copy)]
enum Act {
    Answer,
    /// Says that it was not looked at: RFC 9113 lets anything be sent again then.
    Refuse,
    /// Breaks off before an answer.
    Reset,
    /// Sends half of what it announced, then breaks off.
    Cut,
    /// Answers, and says that the connection takes no more.
    Leave,
    /// Ends the connection without a word.
    Die,
    /// Never answers, and waits to be told that nobody wants it to.
    Hang,
}

struct Http2Origin {
    address: SocketAddr,
    streams: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    /// What streams that hung were told.
    resets: Arc<Mutex<Vec<Reason>>>,
}

impl Http2Origin {
    /// Does with its first streams what `acts` says, and answers all others.
    async fn start(acts: &'static [Act]) -> Self {
        Self::limited(100, move |stream| *acts.get(stream).unwrap_or(&Act::Answer)).await
    }

    /// Lets so many streams be open at once, and does with each what `act` says.
    async fn limited(streams: u32, act: impl Fn(usize) -> Act + Clone + Send + 'static) -> Self {
        let most = streams;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let resets = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicUsize::new(0));
        let (counted, accepted, told) = (streams.clone(), connections.clone(), resets.clone());
        let over = ended.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                accepted.fetch_add(1, SeqCst);
                socket.set_nodelay(true).unwrap();
                let (counted, told, act) = (counted.clone(), told.clone(), act.clone());
                let over = over.clone();
                tokio::spawn(async move {
                    let mut builder = h2::server::Builder::new();
                    let shaken = builder.max_concurrent_streams(most).handshake(socket);
                    let mut connection = shaken.await.unwrap();
                    while let Some(Ok((request, mut stream))) = connection.accept().await {
                        let act = act(counted.fetch_add(1, SeqCst));
                        if matches!(act, Act::Leave) {
                            connection.graceful_shutdown();
                        }
                        if matches!(act, Act::Die) {
                            break;
                        }
                        let told = told.clone();
                        if matches!(act, Act::Hang) {
                            tokio::spawn(async move {
                                let reset = poll_fn(|cx| stream.poll_reset(cx)).await;
                                told.lock().unwrap().extend(reset);
                            });
                        } else {
                            tokio::spawn(perform(act, request.into_body(), stream));
                        }
                    }
                    over.fetch_add(1, SeqCst);
                });
            }
        });
        Self { address, streams, connections, ended, resets }
    }

    fn edge(&self) -> Edge {
        Edge::start(&self.config("retries: { attempts: 1, on: [connectFailure, reset] }"))
    }

    fn config(&self, more: &str) -> ConfigText {
        ConfigText::simple(http2(self.address).with(more))
    }

    /// On one thread.
    fn alone(&self, more: &str) -> Edge {
        Edge::start_on(1, temp_dir(), &self.config(more))
    }
}

/// A service `web` whose one version is spoken to in HTTP/2.
pub(crate) fn http2(origin: SocketAddr) -> ServiceText {
    let yaml = format!("{{ endpoints: [\"http://{origin}\"], protocol: http2 }}");
    ServiceText::new("web").version_yaml("v1", &yaml)
}

/// An answer waits for the whole body: after one that came before it, Serin ends an HTTP/1 connection.
async fn perform(act: Act, mut asked: RecvStream, mut stream: SendResponse<Bytes>) {
    let head =
        |length: &str| Response::builder().header("content-length", length).body(()).unwrap();
    match act {
        Act::Answer | Act::Leave => {
            while let Some(Ok(piece)) = asked.data().await {
                asked.flow_control().release_capacity(piece.len()).unwrap();
            }
            let mut body = stream.send_response(head("2"), false).unwrap();
            body.send_data(Bytes::from_static(b"hi"), true).unwrap();
        }
        Act::Hang | Act::Die => unreachable!("it is not performed"),
        Act::Refuse => stream.send_reset(Reason::REFUSED_STREAM),
        Act::Reset => stream.send_reset(Reason::INTERNAL_ERROR),
        Act::Cut => {
            let mut body = stream.send_response(head("10"), false).unwrap();
            body.send_data(Bytes::from_static(b"hello"), false).unwrap();
            // Once the first half is on its way.
            tokio::task::yield_now().await;
            body.send_reset(Reason::INTERNAL_ERROR);
        }
    }
}

async fn status_of(edge: &Edge, method: &str) -> u16 {
    let mut client = Connection::http1(edge.address(), "a.example").await;
    client.send(client.request(method, "/", "")).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_refused_is_sent_again_whatever_its_method() {
    for method in ["GET", "POST"] {
        let origin = Http2Origin::start(&[Act::Refuse]).await;
        let edge = origin.edge();
        assert_eq!(status_of(&edge, method).await, 200, "{method}");
        assert_eq!(origin.streams.load(SeqCst), 2, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_reset_is_sent_again_only_where_that_is_safe() {
    for (method, status, streams) in [("GET", 200, 2), ("POST", 502, 1)] {
        let origin = Http2Origin::start(&[Act::Reset]).await;
        let edge = origin.edge();
        assert_eq!(status_of(&edge, method).await, status, "{method}");
        assert_eq!(origin.streams.load(SeqCst), streams, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_sent_as_often_as_retries_allow_to_a_backend_whose_connections_die() {
    let origin = Http2Origin::start(&[Act::Answer, Act::Die, Act::Die, Act::Die]).await;
    let edge = origin.alone("retries: { attempts: 1, on: [connectFailure, reset] }");
    assert_eq!(status_of(&edge, "GET").await, 200);
    assert_eq!(status_of(&edge, "GET").await, 502);
    assert_eq!(origin.streams.load(SeqCst), 3);
    let origin = Http2Origin::start(&[Act::Answer, Act::Die]).await;
    let edge = origin.alone("");
    assert_eq!([status_of(&edge, "GET").await, status_of(&edge, "GET").await], [200, 200]);
    assert_eq!(origin.streams.load(SeqCst), 3);
    assert_eq!(edge.counts("v1").judged.bad, 0, "its end may have been on its way");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_cut_is_cut_for_the_client_and_bad() {
    let origin = Http2Origin::start(&[Act::Cut]).await;
    let edge = Arc::new(origin.edge());
    let asked = edge.clone();
    let (end, bytes) = tokio::task::spawn_blocking(move || {
        let mut client = RawClient::connect(asked.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.ended()
    })
    .await
    .unwrap();
    let text = String::from_utf8_lossy(&bytes).to_lowercase();
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    assert!(text.contains("content-length: 10"), "{end:?}: {text}");
    assert_eq!(origin.streams.load(SeqCst), 1, "half an answer is not asked for again");
    eventually_async("it is bad", async || edge.counts("v1").judged.bad == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_takes_no_more_is_replaced_without_a_failure() {
    let origin = Http2Origin::start(&[Act::Leave, Act::Leave, Act::Leave]).await;
    let edge = origin.edge();
    for _ in 0..6 {
        assert_eq!(status_of(&edge, "POST").await, 200);
    }
    assert!(origin.connections.load(SeqCst) >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_take_no_more_in_the_middle_of_many_requests_cost_none_of_them() {
    let leaves = |stream: usize| if stream % 20 == 19 { Act::Leave } else { Act::Answer };
    let origin = Http2Origin::limited(100, leaves).await;
    // On a busy machine a connection can take longer than the second that it has by default.
    let edge = origin.alone("timeouts: { connect: 20s, response: 60s }");
    let address = edge.address();
    let clients = (0..8).map(|_| {
        tokio::spawn(async move {
            let mut client = Connection::http1(address, "a.example").await;
            for _ in 0..40 {
                let request = client.request("POST", "/", vec![b'x'; 5_000]);
                assert_eq!(client.send(request).await.status, 200);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(edge.counts("v1").judged.bad, 0);
    assert!(origin.connections.load(SeqCst) > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_a_connection_up_to_what_the_backend_wants_open() {
    let origin = Http2Origin::limited(10, |n| if n == 0 { Act::Answer } else { Act::Hang }).await;
    let edge = origin.alone("timeouts: { response: 60s }");
    let mut clients = vec![edge.client()];
    clients[0].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(clients[0].response().status, 200);
    for _ in 0..35 {
        let mut client = edge.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        clients.push(client);
    }
    eventually_async("all are with the backend", async || origin.streams.load(SeqCst) == 36).await;
    assert_eq!(origin.connections.load(SeqCst), 4);
    clients.into_iter().for_each(RawClient::reset);
    eventually_async("all are cancelled", async || origin.resets.lock().unwrap().len() == 35).await;
    assert!(origin.resets.lock().unwrap().iter().all(|reset| *reset == Reason::CANCEL));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_nothing_came_while_an_answer_was_due_carries_no_other_request() {
    let origin = Http2Origin::start(&[Act::Answer, Act::Hang]).await;
    let edge = origin.alone("timeouts: { response: 300ms }");
    for (status, connections) in [(200, 1), (504, 1), (200, 2), (200, 2)] {
        assert_eq!(status_of(&edge, "GET").await, status);
        assert_eq!(origin.connections.load(SeqCst), connections);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_ends_when_its_time_is_over() {
    let origin = Http2Origin::start(&[]).await;
    let edge = origin.alone("timeouts: { idle: 1s }");
    for connections in [1, 2] {
        assert_eq!(status_of(&edge, "GET").await, 200);
        eventually_async("its end", async || origin.ended.load(SeqCst) == connections).await;
        assert_eq!(origin.connections.load(SeqCst), connections);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_keeps_back_no_other_on_the_same_connection() {
    let origin = Origin::start("v1");
    let (authority, folder) = prepared();
    let edge = Edge::start_on(1, folder, &config(http2(origin.address()), "", ""));
    let mut slow = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    begin(&mut slow, &[0, 4, 0, 0, 7, 208]).await;
    let large = block(&[&REQUEST[..2], &[(":path", "/bytes/100000")], &REQUEST[3..]].concat());
    for n in 0..8 {
        slow.write_all(&frame(1, 5, 2 * n + 1, &large)).await.unwrap();
        read_frame(&mut slow, &[DATA]).await.unwrap();
    }
    let other = connect(&edge, authority.client(&["http/1.1"]), "a.example").await.unwrap();
    let mut other = Connection::http1_over(other, "a.example").await;
    for _ in 0..30 {
        assert_eq!(other.get("/bytes/300000").await.body.len(), 300_000);
    }
    assert_eq!(origin.connections(), 1);
    slow.write_all(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 3, 0])).await.unwrap();
    let mut got = 0;
    while got < 768 {
        got += read_frame(&mut slow, &[DATA]).await.unwrap().1.len();
    }
}

/// What a backend could not send it keeps, and some end a connection of which they keep too much.
#[test]
fn a_connection_whose_answers_are_to_bring_much_gets_no_other_request() {
    let origin = Origin::start("v1");
    let config = ConfigText::simple(http2(origin.address()));
    let edge = Edge::start_on(1, temp_dir(), &config);
    let mut slow: Vec<RawClient> = (0..3).map(|_| edge.client()).collect();
    for (client, connections) in slow.iter_mut().zip(1..) {
        client.send("GET /bytes/20000000 HTTP/1.1\r\nHost: a\r\n\r\n");
        client.read_past(b"\r\n\r\n");
        assert_eq!(origin.connections(), connections);
    }
    for _ in 0..10 {
        assert_eq!(edge.get("/").status, 200);
    }
    assert_eq!(origin.connections(), 4);
    for mut client in slow {
        assert_eq!(client.read_exactly(5_000_000).len(), 5_000_000);
        client.reset();
    }
}

/// A burst finds windows that are wide because there were few streams before.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_spread_over_connections_as_its_windows_are_wide() {
    let origin = Http2Origin::limited(100, |n| if n == 0 { Act::Answer } else { Act::Hang }).await;
    let edge = origin.alone("timeouts: { response: 60s }");
    assert_eq!(status_of(&edge, "GET").await, 200);
    let clients: Vec<RawClient> = (0..100)
        .map(|_| {
            let mut client = edge.client();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    eventually_async("all are with the backend", async || origin.streams.load(SeqCst) == 101).await;
    let connections = origin.connections.load(SeqCst);
    assert!((2..=5).contains(&connections), "{connections}");
    clients.into_iter().for_each(RawClient::reset);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_body_is_not_taken_is_noticed() {
    let origin = Http2Origin::start(&[Act::Hang]).await;
    let (authority, folder) = prepared();
    let edge = Edge::start_in(folder, &config(http2(origin.address), "", ""));
    let mut client = raw(&edge, &authority).await;
    let post = [(":method", "POST"), REQUEST[1], REQUEST[2], REQUEST[3]];
    // Our windows are wide once our settings are acknowledged.
    read_frame(&mut client, &[SETTINGS]).await.unwrap();
    read_frame(&mut client, &[WINDOW_UPDATE]).await.unwrap();
    let mut said = [frame(SETTINGS, 1, 0, &[]), frame(1, 4, 1, &block(&post))].concat();
    // More than a backend's window, and less than ours.
    (0..12).for_each(|_| said.extend(frame(0, 0, 1, &[b'x'; 16 * 1024])));
    client.write_all(&said).await.unwrap();
    client.flush().await.unwrap();
    eventually_async("it is with the backend", async || origin.streams.load(SeqCst) == 1).await;
    client.write_all(&frame(RST, 0, 1, &[0, 0, 0, 8])).await.unwrap();
    client.flush().await.unwrap();
    eventually_async("the backend is told", async || origin.resets.lock().unwrap().len() == 1)
        .await;
    assert_eq!(*origin.resets.lock().unwrap(), [Reason::CANCEL]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_between_every_two_versions_of_http() {
    let body: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    for service in [http2, crate::edge::web] {
        let (origin, (authority, folder)) = (Origin::start("v1"), prepared());
        let config = config(service(origin.address()), "", "");
        let edge = Edge::start_in(folder, &config);
        for alpn in ["h2", "http/1.1"] {
            let client = async || {
                let io = connect(&edge, authority.client(&[alpn]), "a.example").await.unwrap();
                match alpn {
                    "h2" => Connection::http2_over(io, "a.example").await,
                    _ => Connection::http1_over(io, "a.example").await,
                }
            };
            for length in [0, 1, 70_000, 300_000] {
                // An answer that comes before its request has ended ends a connection of HTTP/1.
                let mut client = client().await;
                let request = client.request("POST", "/body", body[..length].to_vec());
                assert_eq!(client.send(request).await.body, body[..length], "{alpn} {length}");
            }
            let mut client = client().await;
            assert_eq!(client.get("/stream/3/10").await.body.len(), 24);
            let head = client.request("HEAD", "/bytes/1000", "");
            assert_eq!(client.send(head).await.body.len(), 0);
        }
    }
}

#[test]
fn chunks_of_http1_are_a_body_of_http2_and_the_next_request_stays_behind() {
    let origin = Origin::start("v1");
    let edge = Edge::start(&ConfigText::simple(http2(origin.address())));
    let mut client = edge.client();
    let chunks = "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    client.send([chunks, chunks, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    assert_eq!(client.response().text(), "abcde");
    assert_eq!(client.response().text(), "abcde");
    assert_eq!(client.response().status, 200);
}
