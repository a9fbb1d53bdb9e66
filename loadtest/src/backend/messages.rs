//! WebSockets: every message is answered, or suffers a fault, by itself.

use super::Shared;
use super::behaviour::Fate;
use super::serve::{Body, sign, text, wait};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

/// The answer to a request for a WebSocket; `None` when it is none.
pub(super) fn accept(
    request: &mut Request<Incoming>,
    shared: &Arc<Shared>,
) -> Option<Response<Body>> {
    let asked = request.headers().get(UPGRADE)?.to_str().ok()?;
    let key = request.headers().get(SEC_WEBSOCKET_KEY)?;
    if !asked.eq_ignore_ascii_case("websocket") {
        return None;
    }
    let accepted = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
    tokio::spawn(serve(hyper::upgrade::on(request), Arc::clone(shared)));
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    sign(shared, headers);
    Some(response)
}

async fn serve(upgrade: OnUpgrade, shared: Arc<Shared>) {
    let Ok(upgraded) = upgrade.await else { return };
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if !message.is_text() && !message.is_binary() {
            continue;
        }
        shared.requests.fetch_add(1, Relaxed);
        let behaviour = shared.behaviour();
        match behaviour.fate(fastrand::f64(), fastrand::f64()) {
            Fate::Answer { after, status: 200 } => {
                wait(after).await;
                let answer = text(&shared, 200, behaviour.body_bytes);
                if socket.send(Message::text(answer)).await.is_err() {
                    return;
                }
            }
            Fate::Answer { after, .. } => {
                shared.failed.fetch_add(1, Relaxed);
                wait(after).await;
                let reason = CloseFrame { code: CloseCode::Error, reason: "on command".into() };
                // Whether it was heard is the client's business.
                drop(socket.close(Some(reason)).await);
                return;
            }
            Fate::Hang => {
                shared.failed.fetch_add(1, Relaxed);
                std::future::pending::<()>().await;
            }
            Fate::Reset { after } => {
                shared.failed.fetch_add(1, Relaxed);
                wait(after).await;
                return;
            }
        }
    }
}
