//! Connections for copies: kept alive, and apart from those of requests.

use crate::shadow::memory::Memory;
use crate::upstream::{Endpoint, Group, VersionRuntime};
use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::ALPN;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection that was idle for longer is closed rather than used.
const IDLE: Duration = Duration::from_secs(30);
const READ: usize = 4096;

/// What a connection is good for: an address of a version, under settings that have not changed.
#[derive(Clone)]
pub(super) struct Place {
    /// Held, so that nothing else can ever have its address.
    group: Arc<Group>,
    address: SocketAddr,
}

impl Place {
    pub(super) fn new(to: &VersionRuntime, endpoint: &Endpoint) -> Self {
        Self { group: Arc::clone(to.group()), address: endpoint.address }
    }

    fn key(&self) -> (usize, SocketAddr) {
        (Arc::as_ptr(&self.group).addr(), self.address)
    }
}

#[derive(Default)]
pub(in crate::shadow) struct Depot {
    lots: Mutex<HashMap<(usize, SocketAddr), Lot>>,
    /// Made with the first TLS connection: it reads the system's roots.
    connector: OnceLock<TransportConnector>,
}

struct Lot {
    place: Place,
    /// The last is the one that was used last.
    idle: Vec<(Wire, Instant)>,
    http2: Option<SendRequest<Bytes>>,
}

pub(super) struct Wire {
    pub(super) io: Pin<Box<dyn Io>>,
    /// Bytes that were read and not looked at; empty between two requests.
    pub(super) buffer: BytesMut,
}

pub(super) trait Io: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

impl Depot {
    /// One that is still open.
    pub(super) fn idle(&self, place: &Place, now: Instant) -> Option<Wire> {
        let mut lots = self.lots();
        let idle = &mut lots.get_mut(&place.key())?.idle;
        while let Some((mut wire, since)) = idle.pop() {
            if now.saturating_duration_since(since) < IDLE && wire.is_quiet() {
                return Some(wire);
            }
        }
        None
    }

    pub(super) fn keep(&self, place: &Place, wire: Wire, now: Instant) {
        self.lot(place, |lot| lot.idle.push((wire, now)));
    }

    pub(super) fn http2(&self, place: &Place) -> Option<SendRequest<Bytes>> {
        self.lots().get(&place.key()).and_then(|lot| lot.http2.clone())
    }

    /// The one that copies to this place share, or none any more.
    pub(super) fn share(&self, place: &Place, http2: Option<SendRequest<Bytes>>) {
        self.lot(place, |lot| lot.http2 = http2);
    }

    /// Closes what nobody has used for a while, and forgets places that have nothing left.
    pub(in crate::shadow) fn tidy(&self, now: Instant) {
        self.lots().retain(|_, lot| {
            lot.idle.retain(|(_, since)| now.saturating_duration_since(*since) < IDLE);
            // Nobody but this lot holds the group of a configuration that is gone.
            let gone = Arc::strong_count(&lot.place.group) == 1;
            !gone && (!lot.idle.is_empty() || lot.http2.is_some())
        });
    }

    fn lot(&self, place: &Place, change: impl FnOnce(&mut Lot)) {
        let fresh = || Lot { place: place.clone(), idle: Vec::new(), http2: None };
        change(self.lots().entry(place.key()).or_insert_with(fresh));
    }

    fn lots(&self) -> MutexGuard<'_, HashMap<(usize, SocketAddr), Lot>> {
        self.lots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    /// `None` when nobody is there, or not in time, or not who it should be.
    pub(super) async fn open(
        to: &VersionRuntime,
        endpoint: &Endpoint,
        depot: &Depot,
    ) -> Option<Self> {
        let io: Pin<Box<dyn Io>> = if endpoint.configured.tls {
            let mut peer = endpoint.peer();
            if peer.options.alpn.get_min_http_version() < 2 {
                peer.options.alpn = ALPN::H1;
            }
            let connector = depot.connector.get_or_init(|| TransportConnector::new(None));
            Box::pin(connector.new_stream(&peer).await.ok()?)
        } else {
            let connecting = TcpStream::connect(endpoint.address);
            let stream = tokio::time::timeout(to.timeouts.connect, connecting).await.ok()?.ok()?;
            stream.set_nodelay(true).ok()?;
            Box::pin(stream)
        };
        Some(Self { io, buffer: BytesMut::new() })
    }

    /// Nothing has come since it was used: no end, and nothing that nobody asked for. One look,
    /// which costs a system call only when there is something to see.
    fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut cx = Context::from_waker(Waker::noop());
        self.io.as_mut().poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Reads some more; 0 is the end.
    pub(super) async fn read(&mut self) -> std::io::Result<usize> {
        self.buffer.reserve(READ);
        self.io.read_buf(&mut self.buffer).await
    }
}

/// What an answer is held against before it is kept.
pub(super) fn room(memory: &Arc<Memory>) -> Option<crate::shadow::memory::Held> {
    crate::shadow::memory::Held::new(memory, 0)
}
