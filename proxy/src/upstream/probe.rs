//! One health check of one endpoint: HTTP, TCP or gRPC.
//!
//! A probe connects as a request would, with the same verification, and reads as little as it
//! can. The caller limits its time.

use super::conn::{self, Conn, Purpose, Speaks};
use super::connect;
use super::endpoint::Endpoint;
use crate::wire::answer::{self, Read};
use crate::wire::view::View;
use bytes::Bytes;
use serin_config::model::HealthKind;
use serin_core::outcome::Failure;
use std::io;
use std::time::Duration;

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

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Endpoint(error.to_string())
    }
}

impl From<Failure> for Unfit {
    fn from(failure: Failure) -> Self {
        if failure == Failure::Exhausted {
            return Self::Unknown;
        }
        Self::Endpoint(connect::trouble(failure))
    }
}

/// What is wrong with an endpoint, found out by itself.
pub(crate) async fn fault(
    endpoint: &Endpoint,
    kind: &HealthKind,
    patience: Duration,
) -> Option<String> {
    match probe(endpoint, kind, patience).await {
        Ok(()) => None,
        Err(Unfit::Endpoint(why)) => Some(why),
        Err(Unfit::Unknown) => Some("this process cannot open another connection".to_owned()),
    }
}

/// `patience` is for the connection.
pub(super) async fn probe(endpoint: &Endpoint, kind: &HealthKind, patience: Duration) -> Passed {
    match kind {
        HealthKind::Tcp => Ok(conn::try_to_connect(endpoint, patience).await?),
        HealthKind::Http { path, host } => {
            let host = host.clone().unwrap_or_else(|| endpoint.configured.to_string());
            let conn = conn::connect_alone(endpoint, Purpose::Own, Speaks::Http1, patience).await?;
            http(conn, &host, path).await
        }
        HealthKind::Grpc { service } => {
            let conn = conn::connect_alone(endpoint, Purpose::Own, Speaks::Http2, patience).await?;
            grpc(conn, &endpoint.configured.to_string(), service).await
        }
    }
}

/// The status line of a GET is enough.
async fn http(mut conn: Conn, host: &str, path: &str) -> Passed {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: serin-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    conn.ask(request.as_bytes(), &[], false).await?;
    // `HTTP/1.1 200` are twelve bytes.
    while conn.input.len() < 12 {
        more(&mut conn).await?;
    }
    let status = conn.input.bytes().strip_prefix(b"HTTP/1.");
    let status = status
        .and_then(|rest| std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok())
        .ok_or("not an HTTP answer")?;
    expect(status)
}

async fn more(conn: &mut Conn) -> Passed {
    match conn.read().await? {
        0 => Err("closed without an answer".into()),
        _ => Ok(()),
    }
}

/// Anything that is neither an error nor unfinished.
fn expect(status: u16) -> Passed {
    if (200..400).contains(&status) { Ok(()) } else { Err(format!("status {status}").into()) }
}

/// `grpc.health.v1.Health/Check`: healthy is an OK that says `SERVING`.
async fn grpc(mut conn: Conn, host: &str, service: &str) -> Passed {
    let request = format!(
        "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: {host}\r\nUser-Agent: serin-health\r\nContent-Type: application/grpc\r\n\r\n"
    );
    conn.ask(request.as_bytes(), &[check_message(service)], true).await?;
    let Answer { status, grpc_status, body } = answer(&mut conn).await?;
    match grpc_status.as_deref() {
        Some(b"0") if is_serving(&body) => Ok(()),
        Some(b"0") => Err("not serving".into()),
        Some(code) => Err(format!("grpc status {}", String::from_utf8_lossy(code)).into()),
        None => Err(format!("no grpc status, HTTP status {status}").into()),
    }
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
    grpc_status: Option<Vec<u8>>,
    body: Vec<u8>,
}

/// The most that is kept of an answer's body.
const MAX_BODY: usize = 4 * 1024;
const GRPC_STATUS: &str = "grpc-status";

async fn answer(conn: &mut Conn) -> Result<Answer, Unfit> {
    let (status, mut grpc_status) = head(conn).await?;
    let mut body = Vec::new();
    loop {
        let piece = conn.input.bytes();
        if body.len() + piece.len() <= MAX_BODY {
            body.extend_from_slice(piece);
        }
        conn.input.clear();
        if conn.read().await? == 0 {
            break;
        }
    }
    if let Some(trailers) = conn.stream().and_then(conn::Stream::take_trailers) {
        let told = trailers.get(GRPC_STATUS).map(|code| code.as_bytes().to_vec());
        grpc_status = told.or(grpc_status);
    }
    Ok(Answer { status, grpc_status, body })
}

/// The status of the final head, and the one of gRPC where that stands in it.
async fn head(conn: &mut Conn) -> Result<(u16, Option<Vec<u8>>), Unfit> {
    let mut fields = Vec::new();
    loop {
        match answer::parse(conn.input.bytes(), false, &mut fields) {
            Read::Whole(head) => {
                let view = View::of(conn.input.bytes(), &fields);
                let told = view.named(GRPC_STATUS).next().map(<[u8]>::to_vec);
                conn.input.advance(head.length);
                if head.status >= 200 {
                    return Ok((head.status, told));
                }
            }
            Read::Invalid => return Err("not an HTTP answer".into()),
            Read::Partial => more(conn).await?,
        }
    }
}
