//! A well-behaved client for HTTP/1.1 and cleartext HTTP/2, one connection at a time.

use crate::wait::PATIENCE;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[derive(Debug)]
pub struct Connection {
    host: String,
    sender: Sender,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// HTTP/1.1, kept alive, for requests to `host`.
    pub async fn http1(address: SocketAddr, host: &str) -> Self {
        Self::http1_over(dial(address).await, host).await
    }

    /// HTTP/2 with prior knowledge, for requests to `host`.
    pub async fn http2(address: SocketAddr, host: &str) -> Self {
        Self::http2_over(dial(address).await, host).await
    }

    /// HTTP/1.1 over a connection that is made already, such as a TLS one.
    pub async fn http1_over(io: impl Io, host: &str) -> Self {
        let (sender, connection) =
            http1::handshake(TokioIo::new(io)).await.expect("an HTTP/1 connection");
        tokio::spawn(connection.with_upgrades());
        Self { host: host.to_owned(), sender: Sender::Http1(sender) }
    }

    /// HTTP/2 over a connection that is made already, such as a TLS one.
    pub async fn http2_over(io: impl Io, host: &str) -> Self {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io))
            .await
            .expect("an HTTP/2 connection");
        tokio::spawn(connection);
        Self { host: host.to_owned(), sender: Sender::Http2(sender) }
    }

    /// A request for this connection: the URI and the Host header are as its protocol wants them.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Request<Full<Bytes>> {
        let request = Request::builder().method(method);
        let request = match self.sender {
            Sender::Http1(_) => request.uri(path).header("host", &self.host),
            Sender::Http2(_) => request.uri(format!("http://{}{path}", self.host)),
        };
        request.body(Full::new(body.into())).expect("a request")
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        let request = self.request("GET", path, "");
        self.send(request).await
    }

    /// The whole answer; panics when there is none within the test's patience.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        match self.try_send(request).await {
            Ok(answer) => answer,
            Err(why) => panic!("no whole answer: {why}"),
        }
    }

    /// The whole answer, or why there is none.
    pub async fn try_send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, hyper::Error> {
        let whole = async {
            let (head, body) = self.begin(request).await?.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned();
            let status = head.status.as_u16();
            Ok(Answer { status, headers: head.headers, body: body.to_bytes(), trailers })
        };
        tokio::time::timeout(PATIENCE, whole)
            .await
            .unwrap_or_else(|_| panic!("no whole answer within {PATIENCE:?}"))
    }

    /// The head of the answer; the body is left to the caller.
    pub async fn begin(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Whether the peer has ended the connection.
    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }
}

/// What a connection can run over.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

async fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await;
    let stream = stream.unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"));
    stream.set_nodelay(true).expect("nodelay");
    stream
}
