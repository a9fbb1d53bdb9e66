//! Calls to the admin API.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(5);
const MOST: usize = 4 * 1024 * 1024;

/// The status and the body as JSON (`null` when it is none).
pub(super) async fn call(
    admin: SocketAddr,
    method: &str,
    path: &str,
    body: &serde_json::Value,
) -> Result<(u16, serde_json::Value), String> {
    match tokio::time::timeout(PATIENCE, exchange(admin, method, path, body)).await {
        Ok(result) => result.map_err(|e| format!("{method} {path}: {e}")),
        Err(_) => Err(format!("{method} {path}: no answer in {PATIENCE:?}")),
    }
}

async fn exchange(
    admin: SocketAddr,
    method: &str,
    path: &str,
    body: &serde_json::Value,
) -> Result<(u16, serde_json::Value), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(admin).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    let mut request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header(hyper::header::HOST, admin.to_string());
    let payload = if body.is_null() {
        Bytes::new()
    } else {
        request = request.header(hyper::header::CONTENT_TYPE, "application/json");
        Bytes::from(body.to_string())
    };
    let response = sender.send_request(request.body(Full::new(payload))?).await?;
    let status = response.status().as_u16();
    let bytes = Limited::new(response.into_body(), MOST).collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}
