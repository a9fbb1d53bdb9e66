//! The serving side: connections, and the answer to each path.

use super::{BodyHash, Fault, MOST_SEEN, Seen, State, filler, lock};
use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

type Body = BoxBody<Bytes, io::Error>;
type Answer = Result<Response<Body>, io::Error>;

pub(super) fn start(
    address: SocketAddr,
    state: Arc<State>,
    stopped: watch::Receiver<bool>,
) -> (SocketAddr, JoinHandle<()>) {
    let (bound, address_of) = mpsc::channel();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let listener = listen(address);
            let listener = listener.unwrap_or_else(|e| panic!("cannot bind {address}: {e}"));
            bound.send(listener.local_addr().expect("a bound address")).expect("a test");
            accept(listener, state, stopped).await;
        });
        // Dropping the runtime drops every connection.
    });
    (address_of.recv().expect("the origin starts"), thread)
}

/// With room for everyone who comes while the tests leave it no time to accept.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

async fn accept(listener: TcpListener, state: Arc<State>, mut stopped: watch::Receiver<bool>) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, _)) = stream else { continue };
        let number = state.connections.fetch_add(1, SeqCst);
        tokio::spawn(connection(stream, number, Arc::clone(&state)));
    }
}

async fn connection(stream: TcpStream, number: u64, state: Arc<State>) {
    let _slower = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, number, Arc::clone(&state)));
    let server = auto::Builder::new(TokioExecutor::new());
    let _broken = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, number: u64, state: Arc<State>) -> Answer {
    if request.uri().path() == "/readyz" {
        state.health_checks.fetch_add(1, SeqCst);
        let status = if state.ready.load(SeqCst) { 200 } else { 503 };
        return Ok(plain(&state, status));
    }
    let order = record(&request, number, &state);
    let _waiting = InFlight::new(&state);
    let fault = *lock(&state.faults);
    match fault {
        Some((every, fault)) if order.is_multiple_of(every) => broken(fault, request, &state).await,
        Some(_) | None => by_path(request, &state).await,
    }
}

struct InFlight<'a>(&'a State);

impl<'a> InFlight<'a> {
    fn new(state: &'a State) -> Self {
        state.in_flight.fetch_add(1, SeqCst);
        Self(state)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }
}

fn record(request: &Request<Incoming>, connection: u64, state: &State) -> u64 {
    *lock(&state.by_path).entry(request.uri().path().to_owned()).or_insert(0) += 1;
    let order = state.requests.fetch_add(1, SeqCst);
    let mut seen = lock(&state.seen);
    if seen.len() < MOST_SEEN {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = request.headers().iter();
        seen.push(Seen {
            method: request.method().to_string(),
            path: request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned(),
            headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
            http2: request.version() == Version::HTTP_2,
            connection,
        });
    }
    order
}

async fn broken(fault: Fault, request: Request<Incoming>, state: &State) -> Answer {
    match fault {
        Fault::Status(status) => Ok(plain(state, status)),
        Fault::Delay(time) => {
            tokio::time::sleep(time).await;
            by_path(request, state).await
        }
        Fault::Hang => std::future::pending().await,
        Fault::Drop => Err(io::Error::other("dropped on purpose")),
        Fault::Truncate => Ok(truncated(state)),
    }
}

async fn by_path(request: Request<Incoming>, state: &State) -> Answer {
    let path = request.uri().path().to_owned();
    let mut words = path.split('/').skip(1);
    let word = words.next().unwrap_or_default();
    let mut number = |default: u64| words.next().and_then(|w| w.parse().ok()).unwrap_or(default);
    match word {
        "status" => Ok(plain(state, u16::try_from(number(200)).unwrap_or(200))),
        "delay" => {
            tokio::time::sleep(Duration::from_millis(number(100))).await;
            Ok(plain(state, 200))
        }
        "echo" => echo(request, state).await,
        "body" => Ok(with(state, 200, request.into_body().map_err(io::Error::other).boxed())),
        "bytes" => {
            let count = usize::try_from(number(0)).map_err(io::Error::other)?;
            Ok(with(state, 200, full(filler(count))))
        }
        "stream" => {
            let (count, pause) = (number(10), Duration::from_millis(number(10)));
            Ok(with(state, 200, pieces(count, pause, |n| format!("piece {n}\n"))))
        }
        "sse" => {
            let events = |n| format!("id: {n}\ndata: event {n}\n\n");
            let events = pieces(number(5), Duration::from_millis(10), events);
            Ok(typed("text/event-stream", with(state, 200, events)))
        }
        "trailers" => {
            let body = Full::new(Bytes::from_static(b"before the trailers\n"));
            let trailers = [("x-trailer", "yes"), ("x-other", "too")];
            let mut answer = with(state, 200, trailed(body, &trailers));
            set(&mut answer, "trailer", "x-trailer, x-other");
            Ok(answer)
        }
        "grpc" => {
            let message = Full::new(Bytes::from_static(&[0, 0, 0, 0, 0]));
            let status = number(0).to_string();
            let body = trailed(message, &[("grpc-status", status.as_str())]);
            Ok(typed("application/grpc", with(state, 200, body)))
        }
        "truncate" => Ok(truncated(state)),
        "drop" => Err(io::Error::other("dropped on purpose")),
        "hang" => std::future::pending().await,
        "upgrade" => upgrade(request, state),
        _ => Ok(plain(state, 200)),
    }
}

async fn echo(request: Request<Incoming>, state: &State) -> Answer {
    let (head, mut body) = request.into_parts();
    let (mut length, mut hash) = (0, BodyHash::default());
    while let Some(frame) = body.frame().await {
        if let Some(piece) = frame.map_err(io::Error::other)?.data_ref() {
            length += piece.len();
            hash.add(piece);
        }
    }
    let mut headers = serde_json::Map::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let list = headers.entry(name.as_str()).or_insert_with(|| serde_json::json!([]));
        list.as_array_mut().expect("a list").push(value.into());
    }
    let said = serde_json::json!({
        "version": state.version,
        "method": head.method.as_str(),
        "path": head.uri.path_and_query().map_or("/", |p| p.as_str()),
        "headers": headers,
        "length": length,
        "hash": hash.hex(),
    });
    Ok(typed("application/json", with(state, 200, full(said.to_string().into()))))
}

fn upgrade(request: Request<Incoming>, state: &State) -> Answer {
    let Some(protocol) = request.headers().get("upgrade").cloned() else {
        return Ok(plain(state, 426));
    };
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
        let _gone = tokio::io::copy(&mut from, &mut to).await;
    });
    let mut answer = with(state, 101, Empty::new().map_err(|never| match never {}).boxed());
    answer.headers_mut().insert("upgrade", protocol);
    set(&mut answer, "connection", "upgrade");
    Ok(answer)
}

fn truncated(state: &State) -> Response<Body> {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        let _gone = sender.send_data(filler(50)).await;
        // Lets the half be written before the connection breaks.
        tokio::time::sleep(Duration::from_millis(20)).await;
        sender.abort(io::Error::other("truncated on purpose"));
    });
    let mut answer = with(state, 200, body.boxed());
    set(&mut answer, "content-length", "100");
    answer
}

fn plain(state: &State, status: u16) -> Response<Body> {
    with(state, status, full(format!("{}\n", state.version).into()))
}

fn with(state: &State, status: u16, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
    set(&mut answer, "x-version", &state.version);
    answer
}

fn typed(media_type: &'static str, mut answer: Response<Body>) -> Response<Body> {
    set(&mut answer, "content-type", media_type);
    answer
}

fn set(answer: &mut Response<Body>, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("a header value");
    answer.headers_mut().insert(HeaderName::from_static(name), value);
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

fn trailed(body: Full<Bytes>, trailers: &[(&'static str, &str)]) -> Body {
    let mut map = HeaderMap::new();
    for (name, value) in trailers {
        map.insert(*name, HeaderValue::from_str(value).expect("a header value"));
    }
    let last = std::future::ready(Some(Ok(map)));
    body.map_err(|never| match never {}).with_trailers(last).boxed()
}

/// A body whose pieces come one by one, with a pause before each but the first.
fn pieces(count: u64, pause: Duration, piece: fn(u64) -> String) -> Body {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        for n in 0..count {
            if n > 0 {
                tokio::time::sleep(pause).await;
            }
            if sender.send_data(piece(n).into()).await.is_err() {
                return;
            }
        }
    });
    body.boxed()
}
