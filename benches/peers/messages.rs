//! Messages that go to a backend and come back, for what no load generator at hand speaks: WebSockets
//! and gRPC streams both ways. The bench starts itself as the backend and as the load, so that each
//! can be pinned to a core.

use crate::machine::Place;
use crate::scenario::Scenario;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_tungstenite::tungstenite::Message;

/// The word that makes the bench one of these.
pub(crate) const WORD: &str = "--messages";
const WEBSOCKETS: usize = 64;
const CONNECTIONS: usize = 32;
const STREAMS: usize = 4;
/// A gRPC message: no compression, a length, and so many bytes.
const MESSAGE: usize = 5 + 128;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The bench as the backend for messages of one kind.
pub(crate) fn backend(kind: &str, place: Place, port: u16) -> Result<Command, String> {
    let mut command = own(place)?;
    command.args(["serve", kind]).arg(port.to_string());
    Ok(command)
}

/// The bench as the load.
pub(crate) fn load(
    kind: &str,
    scenario: Scenario,
    port: u16,
    seconds: u64,
    folder: &Path,
) -> Command {
    let mut command = own(scenario.place()).unwrap_or_else(|_| Command::new("false"));
    command.args(["load", kind]).args([port.to_string(), seconds.to_string()]);
    command.arg(folder.join("cert.pem"));
    command
}

fn own(place: Place) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = place.command("1", &program.to_string_lossy());
    command.args(["--bench", WORD]);
    Ok(command)
}

/// What follows the word.
pub(crate) fn main(words: &[String]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = LocalSet::new().block_on(&runtime, async {
        match words.as_slice() {
            ["serve", kind, port] => serve(kind, port.parse()?).await,
            ["load", kind, port, seconds, certificate] => {
                let tally = Rc::new(Tally::until(Duration::from_secs(seconds.parse()?)));
                drive(kind, port.parse()?, certificate, &tally).await?;
                println!("{}", tally.report());
                Ok(())
            }
            _ => Err("serve KIND PORT, or load KIND PORT SECONDS CERTIFICATE".into()),
        }
    });
    done.map_err(|e| e.to_string())
}

async fn serve(kind: &str, port: u16) -> Outcome {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // A client that goes away in the middle is no news.
        match kind {
            "websocket" => drop(tokio::task::spawn_local(echo_websocket(socket))),
            "upload" => drop(tokio::task::spawn_local(take_uploads(socket))),
            _ => drop(tokio::task::spawn_local(echo_streams(socket))),
        }
    }
}

async fn echo_websocket(socket: TcpStream) -> Option<()> {
    let mut socket = tokio_tungstenite::accept_async(socket).await.ok()?;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_binary() {
            socket.send(message).await.ok()?;
        }
    }
    Some(())
}

/// Answers when it has all of a body, which nginx by itself does not wait for.
async fn take_uploads(mut socket: TcpStream) -> Option<()> {
    let mut piece = vec![0; 64 << 10];
    let mut head = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match socket.read(&mut piece).await.ok()? {
                0 => return None,
                read => head.extend_from_slice(&piece[..read]),
            }
        };
        let text = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
        let mut left = length.trim().parse::<usize>().ok()?;
        let had = left.min(head.len() - end);
        head.drain(..end + had);
        left -= had;
        while left > 0 {
            let read = socket.read(&mut piece).await.ok().filter(|read| *read > 0)?;
            let of_body = read.min(left);
            left -= of_body;
            head.extend_from_slice(&piece[of_body..read]);
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.ok()?;
    }
}

async fn echo_streams(socket: TcpStream) -> Option<()> {
    let mut connection = h2::server::handshake(socket).await.ok()?;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let head = Response::builder().header("content-type", "application/grpc").body(()).ok()?;
        tokio::task::spawn_local(async move {
            let mut body = request.into_body();
            let mut out = respond.send_response(head, false).ok()?;
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
                // Proxies take many empty frames for an attack.
                if !piece.is_empty() {
                    out.send_data(piece, false).ok()?;
                }
            }
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            out.send_trailers(trailers).ok()
        });
    }
    Some(())
}

/// What all connections of a load count together.
struct Tally {
    began: Instant,
    until: Instant,
    micros: std::cell::RefCell<Vec<u32>>,
    failures: std::cell::Cell<u64>,
}

impl Tally {
    fn until(lasts: Duration) -> Self {
        let began = Instant::now();
        Self { began, until: began + lasts, micros: Vec::new().into(), failures: 0.into() }
    }

    /// A message came back. Says whether another is to go.
    fn came_back(&self, sent: Instant) -> bool {
        let now = Instant::now();
        let took = u32::try_from(now.duration_since(sent).as_micros()).unwrap_or(u32::MAX);
        self.micros.borrow_mut().push(took);
        now < self.until
    }

    /// In the words of `serin-loadtest`, as far as the bench reads them.
    fn report(&self) -> serde_json::Value {
        let mut micros = self.micros.borrow_mut();
        micros.sort_unstable();
        let at = |share: f64| {
            let rank = (share * micros.len() as f64) as usize;
            f64::from(micros.get(rank.min(micros.len().saturating_sub(1))).copied().unwrap_or(0))
                / 1e3
        };
        serde_json::json!({
            "seconds": self.began.elapsed().as_secs_f64(),
            "total": {
                "requests": micros.len(),
                "failures": self.failures.get(),
                "latencyMs": { "p50": at(0.5), "p99": at(0.99) },
            },
        })
    }
}

async fn drive(kind: &str, port: u16, certificate: &str, tally: &Rc<Tally>) -> Outcome {
    let mut all = Vec::new();
    match kind {
        "websocket" => {
            for _ in 0..WEBSOCKETS {
                let url = format!("ws://127.0.0.1:{port}/");
                let (socket, _) = tokio_tungstenite::connect_async(url).await?;
                all.push(tokio::task::spawn_local(chat(socket, Rc::clone(tally))));
            }
        }
        _ => {
            let tls = tls(certificate)?;
            for _ in 0..CONNECTIONS {
                let socket = TcpStream::connect(("127.0.0.1", port)).await?;
                socket.set_nodelay(true)?;
                let secure = tls.connect(ServerName::try_from("localhost")?, socket).await?;
                let (client, connection) = h2::client::handshake(secure).await?;
                tokio::task::spawn_local(connection);
                for _ in 0..STREAMS {
                    all.push(tokio::task::spawn_local(call(client.clone(), Rc::clone(tally))));
                }
            }
        }
    }
    for one in all {
        if let Err(why) = one.await? {
            if tally.failures.get() == 0 {
                eprintln!("the first that failed: {why}");
            }
            tally.failures.set(tally.failures.get() + 1);
        }
    }
    Ok(())
}

async fn chat<S>(mut socket: tokio_tungstenite::WebSocketStream<S>, tally: Rc<Tally>) -> Outcome
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let message = Message::Binary(Bytes::from_static(&[b'x'; 128]));
    loop {
        let sent = Instant::now();
        socket.send(message.clone()).await?;
        socket.next().await.ok_or("closed early")??;
        if !tally.came_back(sent) {
            return Ok(socket.close(None).await?);
        }
    }
}

async fn call(client: h2::client::SendRequest<Bytes>, tally: Rc<Tally>) -> Outcome {
    let request = Request::post("https://localhost/serin.Bench/Stream")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let mut message = [b'x'; MESSAGE];
    message[..5].copy_from_slice(&[0, 0, 0, 0, 128]);
    let message = Bytes::copy_from_slice(&message);
    let (answer, mut out) = client.ready().await?.send_request(request, false)?;
    let mut sent = Instant::now();
    out.send_data(message.clone(), false)?;
    let mut body = answer.await?.into_body();
    let mut came = 0;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        came += piece.len();
        if came >= MESSAGE {
            came -= MESSAGE;
            if !tally.came_back(sent) {
                out.send_data(Bytes::new(), true)?;
                let trailers = body.trailers().await?.ok_or("no trailers")?;
                let well = trailers.get("grpc-status").is_some_and(|status| status == "0");
                return if well { Ok(()) } else { Err(format!("trailers {trailers:?}").into()) };
            }
            sent = Instant::now();
            out.send_data(message.clone(), false)?;
        }
    }
    Err("ended early".into())
}

pub(crate) fn tls(certificate: &str) -> Outcome<tokio_rustls::TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tokio_rustls::TlsConnector::from(Arc::new(config)))
}
