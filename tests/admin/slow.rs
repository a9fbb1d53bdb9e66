//! Slow clients: none of them holds a place for long.
//!
//! The clock is tokio's own and jumps when nothing else happens, so the deadlines of minutes
//! cost no time here.

use crate::test_server::TestServer;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What the server says until it closes, and how long that took.
async fn until_closed(bench: &TestServer, sent: &str) -> (String, Duration) {
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let begun = Instant::now();
    let mut said = Vec::new();
    let _reset = stream.read_to_end(&mut said).await;
    (String::from_utf8_lossy(&said).into_owned(), begun.elapsed())
}

const AT_MOST: Duration = Duration::from_secs(15);

#[tokio::test(start_paused = true)]
async fn an_unfinished_head_is_dropped() {
    let bench = TestServer::open().await;
    let (_, took) = until_closed(&bench, "GET /livez HTTP/1.1\r\nHost: local").await;
    assert!(took < AT_MOST, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_dropped() {
    let bench = TestServer::open().await;
    let (said, took) = until_closed(&bench, "").await;
    assert!(took < AT_MOST, "{took:?} {said}");
    let idle = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (said, took) = until_closed(&bench, idle).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert!(took < AT_MOST, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_body_is_answered_408() {
    let bench = TestServer::open().await;
    let head = "PUT /v1/freeze HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let (said, took) = until_closed(&bench, &format!("{head}Content-Length: 16\r\n\r\n{{")).await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(took < AT_MOST * 2, "{took:?}");
}

#[tokio::test]
async fn a_head_over_its_bound_is_refused() {
    let bench = TestServer::open().await;
    let head =
        format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    let (said, _) = until_closed(&bench, &head).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
}
