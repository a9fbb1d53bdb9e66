//! HTTP/2 connections: limits, and the loop that takes requests off one.
//!
//! The loop is ours so that limits can follow the listener, requests count as in flight, and a
//! connection that is idle, or told to go, ends with GOAWAY. It ends even when the client neither
//! acknowledges that nor leaves a window for what is owed to it. What a client was writing at that
//! moment is read and forgotten, because closing a socket with bytes unread takes the last answers
//! back from the client.

use crate::downstream::forwarder::Forwarder;
use crate::downstream::headers;
use crate::downstream::http2::account::Account;
use crate::downstream::http2::ledger::Turn;
use crate::downstream::http2::stream::Stream;
use crate::downstream::http2::transport::WatchedTransport;
use crate::ingress::client_info::ClientInfo;
use crate::ingress::transport::{LINGER, Transport};
use crate::ingress::worker::Worker;
use crate::wire::sieve::Malformed;
use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, Connection};
use http::Method;
use http::request::Parts;
use serin_config::model::ListenerLimits;
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::{timeout, timeout_at};

/// Decoded, names and values and 32 bytes for each field: a small head cannot stand for a large
/// one.
const MAX_HEADER_LIST: u32 = 16 * 1024;
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Of an answer that the client does not take.
const MAX_SEND_BUFFER: usize = 64 * 1024;
/// Streams that a client opened and reset before they were looked at.
const MAX_PENDING_RESETS: usize = 50;
/// Streams that were reset because of what the client sent.
const MAX_OWN_RESETS: usize = 256;
/// Requests turned away while they were accepted.
const MAX_MALFORMED: u32 = 32;
/// How long a client that was told to go may take to acknowledge it, with nothing in flight.
const FAREWELL: Duration = Duration::from_secs(2);

fn options(limits: &ListenerLimits) -> Builder {
    let mut options = Builder::new();
    options
        .max_header_list_size(MAX_HEADER_LIST)
        .max_concurrent_streams(limits.max_streams)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(MAX_SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(Some(MAX_OWN_RESETS))
        .max_concurrent_reset_streams(MAX_PENDING_RESETS)
        .enable_connect_protocol();
    options
}

#[derive(Default)]
struct Streams {
    open: AtomicUsize,
    /// Those of them that are ends of tunnels.
    tunnels: AtomicUsize,
    /// Something of this has changed.
    changed: Notify,
    account: Arc<Account>,
}

/// Counts a stream out, and its head with it, however it ends.
pub(crate) struct OpenStream {
    streams: Arc<Streams>,
    head: usize,
    is_tunnel: bool,
}

impl OpenStream {
    /// `None` when its head is too much beside those of the connection's other streams.
    fn new(head: &Parts, streams: &Arc<Streams>) -> Option<Self> {
        let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
        let head = target + Account::cost_of(&head.headers);
        streams.account.note(|ledger| ledger.take_head(head)).then(|| {
            streams.open.fetch_add(1, Relaxed);
            Self { streams: Arc::clone(streams), head, is_tunnel: false }
        })
    }

    /// From here on it is one end of a tunnel.
    pub(crate) fn became_tunnel(&mut self) {
        self.is_tunnel = true;
        self.streams.tunnels.fetch_add(1, Relaxed);
        self.streams.changed.notify_one();
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.streams.account
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.account().note(|ledger| ledger.head_gone(self.head));
        if self.is_tunnel {
            self.streams.tunnels.fetch_sub(1, Relaxed);
        }
        self.streams.open.fetch_sub(1, Relaxed);
        self.streams.changed.notify_one();
    }
}

pub(crate) async fn serve(
    transport: Transport,
    info: Arc<ClientInfo>,
    worker: &Arc<Worker<Forwarder>>,
) {
    info.learn_server(|| transport.local_address());
    let (stream, left) = WatchedTransport::new(transport, Arc::clone(&info));
    let (account, malformed) = (Arc::clone(stream.account()), stream.malformed().clone());
    let limits = &info.listener.limits;
    let shaken = timeout(limits.header_timeout, options(limits).handshake(stream)).await;
    if let Ok(Ok(connection)) = shaken {
        requests(connection, account, malformed, &info, worker).await;
    }
    if let Ok(transport) = left.await {
        transport.linger(LINGER).await;
    }
}

/// Takes requests off a connection until it ends.
async fn requests(
    mut connection: Connection<WatchedTransport, Bytes>,
    account: Arc<Account>,
    malformed: Malformed,
    info: &Arc<ClientInfo>,
    worker: &Arc<Worker<Forwarder>>,
) {
    let limits = &info.listener.limits;
    let refused = &info.listener.counters.refused_heads;
    let streams = Arc::new(Streams { account: Arc::clone(&account), ..Streams::default() });
    let mut queue = Queue { account, patience: limits.idle_timeout, waiting: VecDeque::new() };
    let mut shutdown = worker.shutdown.clone();
    // One wait for all of the connection's life: each that begins anew takes two locks.
    let mut told = std::pin::pin!(async {
        tokio::select! {
            _ = shutdown.wait_for(|down| *down) => {}
            () = info.listener.outdated() => {}
        }
    });
    let (mut going, mut turned_away) = (false, 0);
    // Once nothing but tunnels is left it holds nobody up.
    let mut tunnel = None;
    loop {
        let patience = if going { FAREWELL } else { limits.idle_timeout };
        let accepted = tokio::select! {
            biased;
            () = told.as_mut(), if !going => {
                connection.graceful_shutdown();
                going = true;
                continue;
            }
            accepted = connection.accept() => accepted,
            () = queue.moved() => {
                queue.look(worker);
                continue;
            }
            () = has_tunnels_alone(&streams), if going && tunnel.is_none() => {
                tunnel = Some(worker.tunnel_began());
                continue;
            }
            () = idle(&streams, patience) => {
                if going {
                    return;
                }
                connection.graceful_shutdown();
                going = true;
                continue;
            }
        };
        let Some(Ok((request, mut respond))) = accepted else { return };
        let (mut head, body) = request.into_parts();
        let id = respond.stream_id().as_u32();
        if !malformed.is(id) && headers::is_sound(&head) {
            headers::forget_in(&mut head, &info.listener);
            match OpenStream::new(&head, &streams) {
                Some(open) => {
                    let account = Arc::clone(open.account());
                    let stream =
                        Stream::new(body, respond, Arc::clone(info), account, malformed.clone());
                    queue.let_go(Arrived { head, stream, open }, worker);
                }
                None => {
                    refused.add();
                    respond.send_reset(Reason::REFUSED_STREAM);
                }
            }
            continue;
        }
        malformed.forget(id);
        respond.send_reset(Reason::PROTOCOL_ERROR);
        refused.add();
        turned_away += 1;
        if turned_away >= MAX_MALFORMED {
            return;
        }
    }
}

/// A request that nobody carries yet.
struct Arrived {
    head: Parts,
    stream: Stream,
    open: OpenStream,
}

impl Arrived {
    fn is_bodiless(&self) -> bool {
        self.head.method == Method::HEAD
    }
}

/// Those that wait for their turn, in the order in which they came. Here they hold little.
struct Queue {
    account: Arc<Account>,
    /// How long one waits.
    patience: Duration,
    waiting: VecDeque<(Instant, Arrived)>,
}

impl Queue {
    /// Sends a stream on its way, or lets it wait.
    fn let_go(&mut self, arrived: Arrived, worker: &Arc<Worker<Forwarder>>) {
        let id = arrived.stream.id();
        let turn = self.account.note(|ledger| {
            // An answer without a body needs no window.
            let turn = if arrived.is_bodiless() { Turn::Goes } else { ledger.go(id, &mut None) };
            ledger.queued |= turn == Turn::Waits;
            turn
        });
        match turn {
            Turn::Goes => carry(arrived, worker),
            Turn::Waits => self.waiting.push_back((Instant::now(), arrived)),
            Turn::Gone => {}
        }
    }

    /// Ready when it is worth to look: something has changed, or the first has waited too long.
    async fn moved(&self) {
        match self.waiting.front() {
            Some((since, _)) => {
                let due = (*since + self.patience).into();
                let _late = timeout_at(due, self.account.turned()).await;
            }
            None => pending().await,
        }
    }

    fn look(&mut self, worker: &Arc<Worker<Forwarder>>) {
        let (now, mut places, mut at) = (Instant::now(), None, 0);
        while let Some((since, arrived)) = self.waiting.get_mut(at) {
            let id = arrived.stream.id();
            match self.account.note(|ledger| ledger.go(id, &mut places)) {
                Turn::Waits if now < *since + self.patience => {
                    at += 1;
                    continue;
                }
                Turn::Goes => {
                    if let Some((_, arrived)) = self.waiting.remove(at) {
                        carry(arrived, worker);
                    }
                    continue;
                }
                Turn::Waits => arrived.stream.reset(Reason::CANCEL),
                Turn::Gone => {}
            }
            self.waiting.remove(at);
        }
        self.account.note(|ledger| ledger.queued = !self.waiting.is_empty());
    }
}

fn carry(arrived: Arrived, worker: &Arc<Worker<Forwarder>>) {
    let Arrived { head, stream, open } = arrived;
    let admitted = worker.serve.take_stream(&head, &stream);
    worker.serve.board(head, stream, admitted, open);
}

/// Looks whenever the connection's task runs, as it does when a stream has ended or become a tunnel.
async fn has_tunnels_alone(streams: &Streams) {
    poll_fn(|_| {
        let (open, tunnels) = (streams.open.load(Relaxed), streams.tunnels.load(Relaxed));
        if open > 0 && open == tunnels { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Ready once no stream has been open for so long.
async fn idle(streams: &Streams, patience: Duration) {
    loop {
        while streams.open.load(Relaxed) > 0 {
            streams.changed.notified().await;
        }
        tokio::time::sleep(patience).await;
        if streams.open.load(Relaxed) == 0 {
            return;
        }
    }
}
