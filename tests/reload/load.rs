//! Clients that never stop asking, and know what may not happen to them.
//!
//! An answer is whole, its status is 200, and what the backend saw and what the client got were
//! shaped by one configuration. A connection that the server has announced to end is not a failure;
//! one that breaks off under a request is.

use serin_testkit::Connection;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Between two requests of one client: constant load, and room for the proxy under test.
const PAUSE: Duration = Duration::from_millis(4);

#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<(SocketAddr, Arc<rustls::ClientConfig>)>,
}

pub(crate) struct Load {
    told: Arc<Told>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Told {
    stop: AtomicBool,
    good: AtomicU64,
    reconnected: AtomicU64,
    failures: Mutex<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// HTTP/1.1 over one connection.
    Kept,
    /// HTTP/1.1, each request over a connection of its own.
    Fresh,
    /// HTTP/2 over TLS, one connection.
    KeptH2,
    FreshH2,
}

impl Load {
    pub(crate) fn start(target: &Target) -> Self {
        let told = Arc::new(Told::default());
        let (shared, target) = (Arc::clone(&told), target.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let plain = [Kind::Kept, Kind::Kept, Kind::Kept, Kind::Fresh];
                let tls = [Kind::KeptH2, Kind::KeptH2, Kind::FreshH2];
                let tls = tls.into_iter().filter(|_| target.https.is_some());
                let clients: Vec<_> = plain
                    .into_iter()
                    .chain(tls)
                    .map(|kind| tokio::spawn(client(kind, target.clone(), Arc::clone(&shared))))
                    .collect();
                for client in clients {
                    client.await.unwrap();
                }
            });
        });
        Self { told, thread: Some(thread) }
    }

    /// Lets every client finish; panics with what went wrong.
    pub(crate) fn finish(mut self) -> u64 {
        self.told.stop.store(true, SeqCst);
        self.thread.take().unwrap().join().unwrap();
        let failures = self.told.failures.lock().unwrap();
        let (good, again) = (self.told.good.load(SeqCst), self.told.reconnected.load(SeqCst));
        println!(
            "{good} good, {} failed, {again} connections ended by announcement",
            failures.len()
        );
        let first: Vec<_> = failures.iter().take(5).collect();
        assert!(failures.is_empty(), "{} of {good} failed: {first:#?}", failures.len());
        assert!(good > 0);
        good
    }

    pub(crate) fn good(&self) -> u64 {
        self.told.good.load(SeqCst)
    }
}

async fn client(kind: Kind, target: Target, told: Arc<Told>) {
    let mut open = None;
    while !told.stop.load(SeqCst) {
        tokio::time::sleep(PAUSE).await;
        let fresh = matches!(kind, Kind::Fresh | Kind::FreshH2);
        let mut connection = match open.take().filter(|c: &Connection| !fresh && !c.is_closed()) {
            Some(connection) => connection,
            None => match connect(kind, &target).await {
                Ok(connection) => {
                    told.reconnected.fetch_add(u64::from(!fresh), SeqCst);
                    connection
                }
                Err(why) => {
                    told.failures.lock().unwrap().push(format!("{kind:?}: connect: {why}"));
                    continue;
                }
            },
        };
        let request = connection.request("GET", "/echo", "");
        match connection.try_send(request).await {
            Ok(answer) => {
                match judged(&answer) {
                    Ok(()) => drop(told.good.fetch_add(1, SeqCst)),
                    Err(why) => told.failures.lock().unwrap().push(format!("{kind:?}: {why}")),
                }
                open = Some(connection);
            }
            // Never sent: the connection's announced end came first.
            Err(e) if e.is_canceled() || e.is_closed() => {}
            Err(e) => told.failures.lock().unwrap().push(format!("{kind:?}: {e:?}")),
        }
    }
}

async fn connect(kind: Kind, target: &Target) -> Result<Connection, String> {
    let text = |e: std::io::Error| e.to_string();
    match (kind, &target.https) {
        (Kind::KeptH2 | Kind::FreshH2, Some((address, config))) => {
            let socket = TcpStream::connect(address).await.map_err(text)?;
            let connector = TlsConnector::from(Arc::clone(config));
            let name = "a.example".try_into().unwrap();
            let stream = connector.connect(name, socket).await.map_err(text)?;
            Ok(Connection::http2_over(stream, "a.example").await)
        }
        _ => {
            let socket = TcpStream::connect(target.http).await.map_err(text)?;
            Ok(Connection::http1_over(socket, "a.example").await)
        }
    }
}

/// The route writes its generation into the request and into the answer; the backend says what it
/// was sent.
fn judged(answer: &serin_testkit::Answer) -> Result<(), String> {
    if answer.status != 200 {
        return Err(format!("{}: {}", answer.status, answer.text()));
    }
    let sent = answer.json()["headers"]["x-generation"][0].as_str().map(str::to_owned);
    let got = answer.header("x-generation").map(str::to_owned);
    if sent != got {
        return Err(format!("mixed: the backend saw {sent:?}, the client {got:?}"));
    }
    Ok(())
}
