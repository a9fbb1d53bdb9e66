//! HTTP/2 connections that nothing moves on any more: how long they may stay.

use crate::edge::{Edge, web};
use crate::http2::{GOAWAY, REQUEST, RST, begin, block, frame, read_frame};
use crate::tls::{Authority, config, connect, prepared};
use serin_testkit::{Origin, PATIENCE, eventually_async};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// SETTINGS_INITIAL_WINDOW_SIZE: nothing may be sent to this client.
pub(crate) const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

/// An edge that has little patience, and a connection to it.
async fn impatient(origin: &Origin, settings: &[u8]) -> (Edge, Authority, TlsStream<TcpStream>) {
    let (authority, folder) = prepared();
    let config = config(web(origin.address()), "", "idleTimeout: 300ms");
    let edge = Edge::start_in(folder, &config);
    let mut stream = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    begin(&mut stream, settings).await;
    (edge, authority, stream)
}

#[tokio::test]
async fn an_answer_that_the_client_leaves_no_window_for_is_reset() {
    let origin = Origin::start("v1");
    let (_edge, _, mut stream) = impatient(&origin, &NO_WINDOW).await;
    let large = block(&[&REQUEST[..2], &[(":path", "/bytes/1000000")], &REQUEST[3..]].concat());
    stream.write_all(&frame(1, 5, 1, &large)).await.unwrap();
    let (kind, _) = read_frame(&mut stream, &[RST, GOAWAY]).await.unwrap();
    assert_eq!(kind, RST, "the stream alone");
}

#[tokio::test]
async fn an_idle_connection_is_told_and_ended_even_when_the_client_says_nothing() {
    let origin = Origin::start("v1");
    let (edge, _, mut stream) = impatient(&origin, &[]).await;
    stream.write_all(&frame(1, 5, 1, &block(&REQUEST))).await.unwrap();
    assert!(read_frame(&mut stream, &[GOAWAY]).await.is_some());
    // The PING that asks whether the client has understood stays without an answer.
    let mut more = Vec::new();
    let rest = stream.read_to_end(&mut more);
    assert!(tokio::time::timeout(PATIENCE, rest).await.is_ok(), "it stays open");
    eventually_async("its place is free", async || {
        edge.metric("serin_connections_open", ("listener", "http")) == 0.0
    })
    .await;
    assert_eq!(origin.requests(), 1);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_client_that_says_nothing() {
    let (authority, folder) = prepared();
    let origin = Origin::start("v1");
    let edge = Edge::start_in(folder, &config(web(origin.address()), "", ""));
    let mut stream = connect(&edge, authority.client(&["h2"]), "a.example").await.unwrap();
    begin(&mut stream, &[]).await;
    stream.write_all(&frame(1, 5, 1, &block(&REQUEST))).await.unwrap();
    assert!(read_frame(&mut stream, &[1]).await.is_some());
    let left = tokio::task::spawn_blocking(move || edge.proxy.shutdown(PATIENCE)).await.unwrap();
    assert!(left, "it waited to the end");
    assert!(read_frame(&mut stream, &[GOAWAY]).await.is_some());
}
