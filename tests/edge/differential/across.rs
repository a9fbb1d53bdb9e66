//! Every kind of client and every kind of backend: what an exchange is does not depend on the protocols that
//! carry it. The witness of the others is HTTP/1.1 in clear on both sides, which is held against pingora's
//! proxy in the other halves.
//!
//! Requests and answers are made from a seed, with bodies in pieces, with and without a length, with
//! trailers after requests, and broken off before their head or after some of their body.

use super::made::Random;
use super::{Differences, of_body, wanted};
use crate::behind_tls::BehindTls;
use crate::edge::Edge;
use crate::tls::{Authority, connect_to};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serin_testkit::{ConfigText, PATIENCE, ServiceText, temp_dir};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// How clients come, and what backends are. The first of each is the witness.
const CLIENTS: [&str; 3] = ["http/1.1 in clear", "http/1.1 over TLS", "h2 over TLS"];
const BACKENDS: [&str; 4] = ["clear", "tls", "h2c", "h2"];
/// Conversations at a time.
const AT_ONCE: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_the_same_whatever_protocols_carry_it() {
    let world = Arc::new(World::start().await);
    let drivers = (0..AT_ONCE).map(|_| tokio::spawn(drive(Arc::clone(&world))));
    for driver in drivers.collect::<Vec<_>>() {
        driver.await.unwrap();
    }
    println!("{} exchanges between every two protocols", world.next.load(Relaxed));
    world.found.are_none();
}

async fn drive(world: Arc<World>) {
    let each = CLIENTS.len() * BACKENDS.len();
    let mut clients: Vec<Option<Client>> = (0..each).map(|_| None).collect();
    while !world.found.are_enough() {
        let number = world.next.fetch_add(1, Relaxed);
        if number * each >= wanted() {
            return;
        }
        let exchange = Exchange::made(number);
        let mut witness: Option<[Vec<String>; 2]> = None;
        for (place, client) in clients.iter_mut().enumerate() {
            let (by, to) = (place / BACKENDS.len(), place % BACKENDS.len());
            let held = world.held(&exchange, place, (by, to), client).await;
            let Some(witness) = &witness else {
                exchange.must_have_been(&held);
                witness = Some(held);
                continue;
            };
            for (side, n) in [("downstream", 0), ("upstream", 1)] {
                let what = format!("{side}, {} to {}", CLIENTS[by], BACKENDS[to]);
                world.found.look(&what, [&held[n], &witness[n]], || format!("{exchange:#?}"));
            }
        }
    }
}

struct World {
    edge: Edge,
    authority: Authority,
    backend: Backend,
    next: AtomicUsize,
    found: Differences,
    _tls: [BehindTls; 2],
}

impl World {
    async fn start() -> Self {
        let (authority, folder) = (Authority::new(), temp_dir());
        authority.write(folder.path(), "a", &["clear", "tls", "h2c", "h2"]);
        authority.write(folder.path(), "backend", &["backend.example"]);
        let backend = Backend::start().await;
        let [http1, http2] = backend.addresses;
        let tls = [("http/1.1", http1), ("h2", http2)]
            .map(|(alpn, to)| BehindTls::start(folder.path(), &[alpn], to));
        let [behind1, behind2] = tls.each_ref().map(|tls| tls.address);
        let trusting = "tls: { caFile: ca.pem, serverName: backend.example }";
        let versions = [
            format!("{{ endpoints: [\"http://{http1}\"] }}"),
            format!("{{ endpoints: [\"https://{behind1}\"], {trusting} }}"),
            format!("{{ endpoints: [\"http://{http2}\"], protocol: http2 }}"),
            format!("{{ endpoints: [\"https://{behind2}\"], protocol: http2, {trusting} }}"),
        ];
        let mut config = ConfigText::new()
            .http_listener("http")
            .listener("{ name: https, address: \"127.0.0.1:0\", protocol: HTTPS, tls: { certificates: [{ certFile: a.pem, keyFile: a.key }] } }")
            .with("accessLog: { format: \"off\" }");
        for (name, version) in BACKENDS.iter().zip(&versions) {
            config = config
                .service(
                    ServiceText::new(name)
                        .version_yaml("v1", version)
                        .with("retries: { attempts: 0 }"),
                )
                .route(&format!("{{ name: {name}, hostnames: [{name}], service: {name} }}"));
        }
        let edge = Edge::start_in(folder, &config);
        let (next, found) = (AtomicUsize::new(0), Differences::default());
        Self { edge, authority, backend, next, found, _tls: tls }
    }

    /// What the client got, and what the backend.
    async fn held(
        &self,
        exchange: &Exchange,
        place: usize,
        (by, to): (usize, usize),
        kept: &mut Option<Client>,
    ) -> [Vec<String>; 2] {
        let key = format!("{}.{place}", exchange.number);
        self.backend.told.lock().unwrap().insert(key.clone(), exchange.answer.clone());
        let mut client = match kept.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect(by, BACKENDS[to]).await,
        };
        let answer = client.send(exchange.request(&key, BACKENDS[to])).await;
        let down = match answer {
            Some(down) => {
                *kept = Some(client);
                down
            }
            None => "no answer".to_owned(),
        };
        let mut up = self.backend.seen.lock().unwrap().remove(&key).unwrap_or_default();
        if exchange.answer.breaks || exchange.answer.body.breaks {
            // A kept connection that ends without a word may have ended before it was asked; a new one has not.
            assert!(
                up.len() == 1 || exchange.may_repeat() && up.len() == 2,
                "{up:?} for {exchange:#?}"
            );
            up.truncate(1);
        }
        self.backend.told.lock().unwrap().remove(&key);
        [vec![down], up]
    }

    async fn connect(&self, by: usize, name: &str) -> Client {
        let listener = if by == 0 { "http" } else { "https" };
        let address = self.edge.proxy.address(listener).unwrap();
        match by {
            0 => Client::http1(TcpStream::connect(address).await.unwrap()).await,
            1 => {
                let config = self.authority.client(&["http/1.1"]);
                Client::http1(connect_to(address, config, name).await.unwrap()).await
            }
            _ => {
                let config = self.authority.client(&["h2"]);
                Client::http2(connect_to(address, config, name).await.unwrap()).await
            }
        }
    }
}

/// What is asked and answered.
#[derive(Debug)]
struct Exchange {
    number: usize,
    method: &'static str,
    path: String,
    fields: Vec<(&'static str, &'static str)>,
    body: Message,
    answer: Answer,
}

#[derive(Debug, Clone)]
struct Answer {
    status: u16,
    fields: Vec<(&'static str, &'static str)>,
    body: Message,
    /// Before its head.
    breaks: bool,
}

/// A body.
#[derive(Debug, Clone, Default)]
struct Message {
    pieces: Vec<usize>,
    length: bool,
    trailers: bool,
    /// After its pieces.
    breaks: bool,
}

impl Message {
    fn made(random: &mut Random) -> Self {
        let size = |random: &mut Random| match random.below(12) {
            0 => 40_000 + random.below(90_000),
            1..4 => 2_000 + random.below(15_000),
            _ => 1 + random.below(300),
        };
        let count = random.below(4);
        let pieces: Vec<usize> = (0..count).map(|_| size(random)).collect();
        Self { pieces, length: random.below(2) == 0, trailers: random.below(4) == 0, breaks: false }
    }

    fn length(&self) -> usize {
        self.pieces.iter().sum()
    }

    fn bytes(&self) -> Bytes {
        (0..self.length()).map(|n| b'a' + ((n * 7 + self.length()) % 23) as u8).collect()
    }

    fn frames(&self) -> Pieces {
        let mut bytes = self.bytes();
        let pieces = self.pieces.iter().map(|size| Ok(Frame::data(bytes.split_to(*size))));
        let mut frames: VecDeque<_> = pieces.collect();
        if self.breaks {
            frames.push_back(Err(io::Error::other("broken off")));
        } else if self.trailers && !self.length {
            let sum = HeaderValue::from(self.length());
            frames.push_back(Ok(Frame::trailers(
                [(HeaderName::from_static("x-sum"), sum)].into_iter().collect(),
            )));
        }
        Pieces {
            frames,
            length: self.length.then(|| self.length() as u64 + u64::from(self.breaks)),
        }
    }
}

impl Exchange {
    fn made(number: usize) -> Self {
        let mut random = Random(number as u64 ^ 0xacc0_55ed);
        let method = METHODS[random.below(METHODS.len())];
        let (path, query) =
            (PATHS[random.below(PATHS.len())], QUERIES[random.below(QUERIES.len())]);
        let mut body = Message::made(&mut random);
        if matches!(method, "GET" | "HEAD") {
            body = Message { length: true, ..Message::default() };
        }
        let mut answer = Answer {
            status: STATUSES[random.below(STATUSES.len())],
            fields: some(&mut random, &ANSWER_FIELDS),
            // A backend of HTTP/1.1 says none to who is not known to read them.
            body: Message { trailers: false, ..Message::made(&mut random) },
            breaks: random.below(25) == 0,
        };
        answer.body.breaks = random.below(25) == 0;
        if method == "HEAD" || matches!(answer.status, 204 | 304) {
            answer.body = Message::default();
        }
        let fields = some(&mut random, &FIELDS);
        Self { number, method, path: format!("{path}{query}"), fields, body, answer }
    }

    fn request(&self, key: &str, host: &str) -> Request<Pieces> {
        let request =
            Request::builder().method(self.method).uri(format!("http://{host}{}", self.path));
        let mut request = request.body(self.body.frames()).unwrap();
        let headers = request.headers_mut();
        put(headers, &self.fields);
        headers.insert("x-key", HeaderValue::from_str(key).unwrap());
        headers.insert("te", HeaderValue::from_static("trailers"));
        if self.body.trailers && !self.body.length {
            headers.insert("trailer", HeaderValue::from_static("x-sum"));
        }
        request
    }

    fn may_repeat(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "PUT" | "DELETE")
    }

    /// So that the witness is one.
    fn must_have_been(&self, [down, up]: &[Vec<String>; 2]) {
        let (sent, answered) = (of_body(&self.body.bytes()), of_body(&self.answer.body.bytes()));
        assert!(up.first().is_some_and(|up| up.contains(&sent)), "{up:?} of {self:#?}");
        if !self.answer.breaks && !self.answer.body.breaks && self.method != "HEAD" {
            assert!(down[0].contains(&answered), "{down:?} of {self:#?}");
        }
    }
}

fn some(
    random: &mut Random,
    of: &[(&'static str, &'static str)],
) -> Vec<(&'static str, &'static str)> {
    (0..random.below(5)).map(|_| of[random.below(of.len())]).collect()
}

fn put(headers: &mut HeaderMap, fields: &[(&'static str, &'static str)]) {
    for (name, value) in fields {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
}

/// What both sides see of a message, without what belongs to its connection and what is made anew.
fn seen(first: &str, headers: &HeaderMap, body: &[u8], trailers: Option<&HeaderMap>) -> String {
    const OF_THE_CONNECTION: [&str; 6] =
        ["connection", "keep-alive", "transfer-encoding", "trailer", "te", "host"];
    const MADE_ANEW: [&str; 8] = [
        "date",
        "forwarded",
        "x-request-id",
        "traceparent",
        "x-key",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-host",
    ];
    let lines = |headers: &HeaderMap| {
        let kept = headers.iter().filter(|(name, _)| {
            !OF_THE_CONNECTION.contains(&name.as_str()) && !MADE_ANEW.contains(&name.as_str())
        });
        let mut lines: Vec<String> = kept
            .map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii()))
            .collect();
        // HTTP/2 takes them apart and puts them together.
        let cookies =
            headers.get_all("cookie").iter().map(|c| c.as_bytes().escape_ascii().to_string());
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        lines.retain(|line| !line.starts_with("cookie: "));
        lines.push(format!("cookies: {cookies}"));
        // Where an end says it as well, some leave it out.
        lines.retain(|line| line != "content-length: 0");
        lines.sort();
        lines.join("\n")
    };
    let trailers = trailers.map_or_else(String::new, lines);
    format!("{first}\n{}\n{}\n{trailers}", lines(headers), of_body(body))
}

/// A body whose pieces are known.
struct Pieces {
    frames: VecDeque<Result<Frame<Bytes>, io::Error>>,
    length: Option<u64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

enum Client {
    Http1(hyper::client::conn::http1::SendRequest<Pieces>),
    Http2(hyper::client::conn::http2::SendRequest<Pieces>),
}

impl Client {
    async fn http1(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        Self::Http1(sender)
    }

    async fn http2(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io))
                .await
                .unwrap();
        tokio::spawn(connection);
        Self::Http2(sender)
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }

    /// What was got; `None` when there was no head.
    async fn send(&mut self, mut request: Request<Pieces>) -> Option<String> {
        let sent = async {
            match self {
                Self::Http1(sender) => {
                    let host = HeaderValue::from_str(request.uri().host().unwrap()).unwrap();
                    request.headers_mut().insert("host", host);
                    *request.uri_mut() =
                        request.uri().path_and_query().unwrap().as_str().parse().unwrap();
                    sender.send_request(request).await
                }
                Self::Http2(sender) => sender.send_request(request).await,
            }
        };
        let (head, mut body) =
            tokio::time::timeout(PATIENCE, sent).await.unwrap().ok()?.into_parts();
        let first = head.status.as_u16().to_string();
        let (mut whole, mut trailers) = (Vec::new(), None);
        loop {
            match tokio::time::timeout(PATIENCE, body.frame()).await.unwrap() {
                None => return Some(seen(&first, &head.headers, &whole, trailers.as_ref())),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => whole.extend_from_slice(&data),
                    Err(frame) => trailers = frame.into_trailers().ok(),
                },
                // How much there was by then is chance.
                Some(Err(_)) => {
                    return Some(seen(&format!("{first}, broken off"), &head.headers, b"", None));
                }
            }
        }
    }
}

#[derive(Default)]
struct Notes {
    /// By the key of the exchange.
    told: Mutex<HashMap<String, Answer>>,
    seen: Mutex<HashMap<String, Vec<String>>>,
}

/// Answers as it was told to, over HTTP/1.1 and over HTTP/2.
struct Backend {
    addresses: [SocketAddr; 2],
    notes: Arc<Notes>,
}

impl std::ops::Deref for Backend {
    type Target = Notes;
    fn deref(&self) -> &Notes {
        &self.notes
    }
}

impl Backend {
    async fn start() -> Self {
        let notes = Arc::new(Notes::default());
        let mut addresses = Vec::new();
        for http2 in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            tokio::spawn(accept(listener, http2, Arc::clone(&notes)));
        }
        Self { addresses: [addresses[0], addresses[1]], notes }
    }
}

async fn accept(listener: TcpListener, http2: bool, notes: Arc<Notes>) {
    while let Ok((socket, _)) = listener.accept().await {
        socket.set_nodelay(true).unwrap();
        let notes = Arc::clone(&notes);
        let service = service_fn(move |request| answer(request, Arc::clone(&notes)));
        tokio::spawn(async move {
            let io = TokioIo::new(socket);
            // An exchange that breaks off is an error of its connection.
            let _broken = match http2 {
                false => {
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
                }
                true => {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    server.serve_connection(io, service).await
                }
            };
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    notes: Arc<Notes>,
) -> Result<Response<Pieces>, io::Error> {
    let (head, body) = request.into_parts();
    let key = head.headers["x-key"].to_str().unwrap().to_owned();
    let body = body.collect().await.map_err(io::Error::other)?;
    let trailers = body.trailers().cloned();
    let path = head.uri.path_and_query().unwrap();
    let first = format!("{} {path}", head.method);
    let record = seen(&first, &head.headers, &body.to_bytes(), trailers.as_ref());
    notes.seen.lock().unwrap().entry(key.clone()).or_default().push(record);
    let told = notes.told.lock().unwrap().get(&key).cloned();
    let told = told.ok_or_else(|| io::Error::other("asked by nobody"))?;
    if told.breaks {
        return Err(io::Error::other("broken off"));
    }
    let mut response = Response::new(told.body.frames());
    *response.status_mut() = told.status.try_into().unwrap();
    put(response.headers_mut(), &told.fields);
    Ok(response)
}

const METHODS: [&str; 8] = ["GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "X-OWN"];
const PATHS: [&str; 5] = ["/", "/a/b", "/%e2%82%ac/x", "/a//b", "/~user/x.y"];
const QUERIES: [&str; 4] = ["", "?", "?a=b&c", "?q=%41"];
const STATUSES: [u16; 9] = [200, 200, 200, 201, 204, 206, 304, 404, 500];
const FIELDS: [(&str, &str); 12] = [
    ("accept", "*/*"),
    ("accept", "a , b"),
    ("x-empty", ""),
    ("x-text", "\u{e9}t\u{e9}"),
    ("cookie", "a=b; c=d"),
    ("cookie", "e=f"),
    ("x-forwarded-for", "192.0.2.1"),
    ("forwarded", "for=192.0.2.3"),
    ("x-real-ip", "192.0.2.4"),
    ("content-type", "text/plain"),
    ("authorization", "Basic eDp5"),
    ("user-agent", "one/1"),
];
const ANSWER_FIELDS: [(&str, &str); 9] = [
    ("set-cookie", "a=b"),
    ("set-cookie", "c=d; Path=/"),
    ("server", "s"),
    ("x-empty", ""),
    ("x-text", "\u{e9}"),
    ("etag", "\"x\""),
    ("location", "/elsewhere?a=b"),
    ("cache-control", "no-store"),
    ("vary", "accept, cookie"),
];
