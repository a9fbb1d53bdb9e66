//! WebSocket with a real client and a real server.

use crate::edge::Edge;
use futures_util::{SinkExt, StreamExt};
use serin_testkit::eventually_async;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{accept_async, client_async};

/// Echoes messages; a text "fail" is answered with a close that says so.
async fn serve() -> SocketAddr {
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
