//! Connections for copies: kept alive, and apart from those of requests.

use crate::buffer::{Buffer, Readable, has_nothing};
use crate::shadow::memory::Memory;
use crate::upstream::{ByEndpoint, Endpoint, VersionRuntime, key};
use bytes::Bytes;
use h2::client::SendRequest;
use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::{ALPN, Stream};
use std::cell::{OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::either::Either;

/// A connection that was idle for longer is closed rather than used.
const IDLE: Duration = Duration::from_secs(30);

thread_local! {
    static POOL: RefCell<ByEndpoint<Lot>> = RefCell::default();
    /// Made with the first TLS connection: it reads the system's roots.
    static CONNECTOR: OnceCell<Arc<TransportConnector>> = const { OnceCell::new() };
}

/// An endpoint's.
struct Lot {
    endpoint: Arc<Endpoint>,
    /// The last is the one that was used last.
    idle: Vec<(Wire, Instant)>,
    http2: Option<SendRequest<Bytes>>,
}

pub(super) struct Wire {
    pub(super) io: Io,
    /// Bytes that were read and not looked at; empty between two requests.
    pub(super) input: Buffer,
}

/// Plain, or TLS.
pub(super) type Io = Either<TcpStream, Stream>;

impl Readable for Io {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Left(socket) => socket.poll_readable(cx),
            // It may hold what was decrypted already.
            Self::Right(_) => Poll::Ready(Ok(())),
        }
    }
}

/// One that is still open.
pub(super) fn idle(endpoint: &Arc<Endpoint>, now: Instant) -> Option<Wire> {
    POOL.with_borrow_mut(|pool| {
        let idle = &mut pool.get_mut(&key(endpoint))?.idle;
        while let Some((mut wire, since)) = idle.pop() {
            if now.saturating_duration_since(since) < IDLE && wire.is_quiet() {
                return Some(wire);
            }
        }
        None
    })
}

pub(super) fn keep(endpoint: &Arc<Endpoint>, mut wire: Wire, now: Instant) {
    wire.input.rest();
    in_lot(endpoint, |lot| lot.idle.push((wire, now)));
}

pub(super) fn http2(endpoint: &Arc<Endpoint>) -> Option<SendRequest<Bytes>> {
    POOL.with_borrow(|pool| pool.get(&key(endpoint))?.http2.clone())
}

/// The one that copies to this endpoint share, or none any more.
pub(super) fn share(endpoint: &Arc<Endpoint>, http2: Option<SendRequest<Bytes>>) {
    in_lot(endpoint, |lot| lot.http2 = http2);
}

/// Closes what nobody has used for a while, and forgets endpoints that have nothing left.
pub(in crate::shadow) fn tidy(now: Instant) {
    POOL.with_borrow_mut(|pool| {
        pool.retain(|_, lot| {
            lot.idle.retain(|(_, since)| now.saturating_duration_since(*since) < IDLE);
            // Nobody but this lot holds an endpoint that no configuration has any more.
            let gone = Arc::strong_count(&lot.endpoint) == 1;
            !gone && (!lot.idle.is_empty() || lot.http2.is_some())
        });
    });
}

fn in_lot(endpoint: &Arc<Endpoint>, change: impl FnOnce(&mut Lot)) {
    POOL.with_borrow_mut(|pool| {
        let fresh = || Lot { endpoint: Arc::clone(endpoint), idle: Vec::new(), http2: None };
        change(pool.entry(key(endpoint)).or_insert_with(fresh));
    });
}

impl Wire {
    /// `None` when nobody is there, or not in time, or not who it should be.
    pub(super) async fn open(to: &VersionRuntime, endpoint: &Endpoint) -> Option<Self> {
        let io = if endpoint.configured.tls {
            let mut peer = endpoint.peer();
            if peer.options.alpn.get_min_http_version() < 2 {
                peer.options.alpn = ALPN::H1;
            }
            let connector = CONNECTOR.with(|one| {
                Arc::clone(one.get_or_init(|| Arc::new(TransportConnector::new(None))))
            });
            Io::Right(connector.new_stream(&peer).await.ok()?)
        } else {
            let connecting = TcpStream::connect(endpoint.address);
            let stream = tokio::time::timeout(to.timeouts.connect, connecting).await.ok()?.ok()?;
            stream.set_nodelay(true).ok()?;
            Io::Left(stream)
        };
        Some(Self { io, input: Buffer::default() })
    }

    /// Nothing has come since it was used: no end, and nothing that nobody asked for.
    fn is_quiet(&mut self) -> bool {
        match &mut self.io {
            Either::Left(socket) => has_nothing(socket),
            Either::Right(stream) => {
                let (mut byte, mut nobody) = ([0], Context::from_waker(Waker::noop()));
                let read = Pin::new(stream).poll_read(&mut nobody, &mut ReadBuf::new(&mut byte));
                read.is_pending()
            }
        }
    }

    /// Reads some more; 0 is the end.
    pub(super) async fn read(&mut self) -> io::Result<usize> {
        let Self { io, input } = self;
        poll_fn(|cx| input.poll_fill(Pin::new(io), usize::MAX, cx)).await
    }
}

/// What an answer is held against before it is kept.
pub(super) fn room(memory: &Arc<Memory>) -> Option<crate::shadow::memory::Held> {
    crate::shadow::memory::Held::new(memory, 0)
}
