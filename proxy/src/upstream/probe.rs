//! One health check of one endpoint: HTTP, TCP or gRPC.
//!
//! A probe connects as a request would, with the same verification, and reads as little as it
//! can. The caller limits its time.

use super::connect;
use super::endpoint::Endpoint;
use bytes::Bytes;
use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::upstreams::peer::HttpPeer;
use serin_config::model::HealthKind;
use serin_core::outcome::Failure;
use std::sync::OnceLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Passed = Result<(), Unfit>;

/// Why an endpoint did not pass.
#[derive(Debug)]
pub(super) enum Unfit {
    Endpoint(String),
    /// This process lacks something: nothing was found out.
    Unknown,
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Self::Endpoint(why)
    }
}

impl From<&str> for Unfit {
    fn from(why: &str) -> Self {
        Self::Endpoint(why.to_owned())
    }
}

#[derive(Default)]
pub(super) struct Prober {
    /// Made with the first probe: it reads the system's roots.
    connector: OnceLock<TransportConnector>,
}

impl std::fmt::Debug for Prober {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prober")
    }
}

/// What is wrong with an endpoint, found out by itself.
pub(crate) async fn probe(endpoint: &Endpoint, kind: &HealthKind) -> Option<String> {
    match Prober::default().probe(endpoint, kind).await {
        Ok(()) => None,
        Err(Unfit::Endpoint(why)) => Some(why),
        Err(Unfit::Unknown) => Some("this process cannot open another connection".to_owned()),
    }
}

impl Prober {
    pub(super) async fn probe(&self, endpoint: &Endpoint, kind: &HealthKind) -> Passed {
        let mut peer = endpoint.peer.peer();
        let by_http2 = peer.options.alpn.get_min_http_version() == 2;
        match kind {
            HealthKind::Tcp => self.connect(&peer).await.map(drop),
            HealthKind::Http { path, host } => {
                let host = host.clone().unwrap_or_else(|| endpoint.configured.to_string());
                if by_http2 {
                    let stream = self.connect(&peer).await?;
                    return http2(stream, &host, path, peer.is_tls()).await;
                }
                peer.options.alpn = ALPN::H1;
                let stream = self.connect(&peer).await?;
                http1(stream, &host, path).await
            }
            HealthKind::Grpc { service } => {
                peer.options.alpn = ALPN::H2;
                let stream = self.connect(&peer).await?;
                let host = endpoint.configured.to_string();
                grpc(stream, &host, service, peer.is_tls()).await
            }
        }
    }

    async fn connect(&self, peer: &HttpPeer) -> Result<Stream, Unfit> {
        let connector = self.connector.get_or_init(|| TransportConnector::new(None));
        let connected = connector.new_stream(peer).await;
        connected.map_err(|error| {
            let failure = connect::failure_of(&error);
            if failure == Failure::Exhausted {
                return Unfit::Unknown;
            }
            Unfit::Endpoint(connect::trouble(failure))
        })
    }
}

/// The status line of a GET is enough.
async fn http1(mut stream: Stream, host: &str, path: &str) -> Passed {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: serin-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    stream.flush().await.map_err(|error| error.to_string())?;
    let mut line = Vec::with_capacity(64);
    // `HTTP/1.1 200` are twelve bytes.
    while line.len() < 12 {
        if stream.read_buf(&mut line).await.map_err(|error| error.to_string())? == 0 {
            return Err("closed without an answer".into());
        }
    }
    let status = line
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok())
        .ok_or("not an HTTP answer")?;
    expect(status)
}

/// Anything that is neither an error nor unfinished.
fn expect(status: u16) -> Passed {
    if (200..400).contains(&status) { Ok(()) } else { Err(format!("status {status}").into()) }
}

async fn http2(stream: Stream, host: &str, path: &str, tls: bool) -> Passed {
    let request = http::Request::get(uri(host, path, tls)).header("user-agent", "serin-health");
    let request = request.body(()).map_err(|error| error.to_string())?;
    let answer = exchange(stream, request, None).await?;
    expect(answer.status)
}

/// `grpc.health.v1.Health/Check`: healthy is an OK that says `SERVING`.
async fn grpc(stream: Stream, host: &str, service: &str, tls: bool) -> Passed {
    let request = http::Request::post(uri(host, "/grpc.health.v1.Health/Check", tls))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "serin-health")
        .body(())
        .map_err(|error| error.to_string())?;
    let answer = exchange(stream, request, Some(check_message(service))).await?;
    match answer.grpc_status.as_deref() {
        Some("0") if is_serving(&answer.body) => Ok(()),
        Some("0") => Err("not serving".into()),
        Some(code) => Err(format!("grpc status {code}").into()),
        None => Err(format!("no grpc status, HTTP status {}", answer.status).into()),
    }
}

fn uri(host: &str, path: &str, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{host}{path}")
}

/// A length-prefixed message with the service's name as its field 1.
fn check_message(service: &str) -> Bytes {
    let mut message = Vec::with_capacity(service.len() + 8);
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    Bytes::from(framed)
}

/// Field 1, a varint, is 1.
fn is_serving(framed: &[u8]) -> bool {
    framed.get(5..).is_some_and(|message| message.starts_with(&[0x08, 0x01]))
}

struct Answer {
    status: u16,
    grpc_status: Option<String>,
    body: Vec<u8>,
}

/// The most that is read of an answer's body.
const MOST: usize = 4 * 1024;

async fn exchange(
    stream: Stream,
    request: http::Request<()>,
    body: Option<Bytes>,
) -> Result<Answer, String> {
    let (client, connection) = h2::client::handshake(stream).await.map_err(|e| e.to_string())?;
    let talk = async {
        let mut client = client.ready().await?;
        let (answer, mut sender) = client.send_request(request, body.is_none())?;
        if let Some(body) = body {
            sender.send_data(body, true)?;
        }
        read(answer.await?).await
    };
    // The connection only moves while it is polled, and ends with the exchange.
    tokio::select! {
        answer = talk => answer.map_err(|error: h2::Error| error.to_string()),
        ended = connection => Err(match ended {
            Ok(()) => "closed without an answer".to_owned(),
            Err(error) => error.to_string(),
        }),
    }
}

async fn read(answer: http::Response<h2::RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut stream) = answer.into_parts();
    let grpc_status = |fields: &http::HeaderMap| {
        fields.get("grpc-status").and_then(|code| code.to_str().ok()).map(str::to_owned)
    };
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        if body.len() + chunk.len() <= MOST {
            body.extend_from_slice(&chunk);
        }
    }
    let trailers = stream.trailers().await?;
    let status = trailers.as_ref().and_then(grpc_status).or_else(|| grpc_status(&head.headers));
    Ok(Answer { status: head.status.as_u16(), grpc_status: status, body })
}
