//! Backends that speak HTTP/2: streams that are refused, reset and cut, and connections that end.

use crate::edge::Edge;
use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::Response;
use serin_testkit::{ConfigText, Connection, RawClient, ServiceText, eventually_async};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::net::TcpListener;

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
}

struct Http2Origin {
    address: SocketAddr,
    streams: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Http2Origin {
    /// Does with its first streams what `acts` says, and answers all others.
    async fn start(acts: &'static [Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, accepted) = (streams.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                accepted.fetch_add(1, SeqCst);
                socket.set_nodelay(true).unwrap();
                let counted = counted.clone();
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(socket).await.unwrap();
                    while let Some(Ok((_, stream))) = connection.accept().await {
                        let act = acts.get(counted.fetch_add(1, SeqCst));
                        if matches!(act, Some(Act::Leave)) {
                            connection.graceful_shutdown();
                        }
                        perform(*act.unwrap_or(&Act::Answer), stream);
                    }
                });
            }
        });
        Self { address, streams, connections }
    }

    fn edge(&self) -> Edge {
        let yaml = format!("{{ endpoints: [\"http://{}\"], protocol: http2 }}", self.address);
        let service = ServiceText::new("web").version_yaml("v1", &yaml);
        let service = service.with("retries: { attempts: 1, on: [connectFailure, reset] }");
        Edge::start(&ConfigText::simple(service))
    }
}

fn perform(act: Act, mut stream: SendResponse<Bytes>) {
    let head =
        |length: &str| Response::builder().header("content-length", length).body(()).unwrap();
    match act {
        Act::Answer | Act::Leave => {
            let mut body = stream.send_response(head("2"), false).unwrap();
            body.send_data(Bytes::from_static(b"hi"), true).unwrap();
        }
        Act::Refuse => stream.send_reset(Reason::REFUSED_STREAM),
        Act::Reset => stream.send_reset(Reason::INTERNAL_ERROR),
        Act::Cut => {
            let mut body = stream.send_response(head("10"), false).unwrap();
            body.send_data(Bytes::from_static(b"hello"), false).unwrap();
            tokio::spawn(async move {
                // Once the first half is on its way.
                tokio::task::yield_now().await;
                body.send_reset(Reason::INTERNAL_ERROR);
            });
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
