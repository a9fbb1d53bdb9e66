//! The serving side: real HTTP/1.1 by hyper, and faults on the socket where HTTP has none.

use super::Shared;
use super::behaviour::Fate;
use super::messages;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

pub(super) type Body = BoxBody<Bytes, io::Error>;

pub(super) fn start(
    address: SocketAddr,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::Builder::new().name(format!("backend {}", shared.version)).spawn(
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let serving = |runtime: tokio::runtime::Runtime| {
                runtime.block_on(async {
                    let listener = match listen(address) {
                        Ok(listener) => listener,
                        Err(error) => return drop(tell.send(Err(error))),
                    };
                    drop(tell.send(listener.local_addr()));
                    accept(&listener, &shared, stopped).await;
                });
                // Dropping the runtime breaks every connection.
            };
            match runtime {
                Ok(runtime) => serving(runtime),
                Err(error) => drop(tell.send(Err(error))),
            }
        },
    )?;
    let address = told.recv().map_err(io::Error::other)??;
    Ok((address, thread))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(shared)))),
            // Out of descriptors: let some connections end.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Slower without, but not wrong.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    // A client that breaks off, or a reset of ours.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(
    mut request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Body>, io::Error> {
    if let Some(accepted) = messages::accept(&mut request, &shared) {
        return Ok(accepted);
    }
    let behaviour = shared.behaviour();
    // Health checks see a server that runs.
    if matches!(request.uri().path(), "/readyz" | "/healthz") {
        return Ok(response(&shared, 200, 0, Duration::ZERO));
    }
    shared.requests.fetch_add(1, Relaxed);
    let fate = behaviour.fate(fastrand::f64(), fastrand::f64());
    if !matches!(fate, Fate::Answer { status: 200, .. }) {
        shared.failed.fetch_add(1, Relaxed);
    }
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(io::Error::other)?;
    }
    match fate {
        Fate::Hang => std::future::pending().await,
        Fate::Reset { after } => {
            wait(after).await;
            Err(io::Error::other("reset on command"))
        }
        Fate::Answer { after, status } => {
            wait(after).await;
            Ok(response(&shared, status, behaviour.body_bytes, behaviour.slow_body))
        }
    }
}

pub(super) async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn response(shared: &Shared, status: u16, bytes: usize, slow: Duration) -> Response<Body> {
    let text = text(shared, status, bytes);
    let body = if slow.is_zero() {
        Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed()
    } else {
        trickled(Bytes::from(text), slow)
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    sign(shared, response.headers_mut());
    response
}

/// What an answer says, over HTTP as over a WebSocket.
pub(super) fn text(shared: &Shared, status: u16, bytes: usize) -> String {
    let (version, filler) = (&shared.version, "x".repeat(bytes));
    format!("{{\"version\":\"{version}\",\"status\":{status},\"filler\":\"{filler}\"}}\n")
}

pub(super) fn sign(shared: &Shared, headers: &mut HeaderMap) {
    if let Ok(version) = HeaderValue::from_str(&shared.version) {
        headers.insert("x-version", version);
    }
}

const PIECES: u32 = 10;

fn trickled(bytes: Bytes, over: Duration) -> Body {
    let (mut sender, body) = http_body_util::channel::Channel::new(1);
    tokio::spawn(async move {
        let size = bytes.len().div_ceil(PIECES as usize).max(1);
        let mut rest = bytes;
        while !rest.is_empty() {
            tokio::time::sleep(over / PIECES).await;
            let piece = rest.split_to(size.min(rest.len()));
            if sender.send(Frame::data(piece)).await.is_err() {
                return;
            }
        }
    });
    body.boxed()
}
