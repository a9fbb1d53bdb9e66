//! HTTP/2 connections: limits, and the loop that takes requests off one.
//!
//! The loop is ours so that limits can follow the listener, requests count as in flight, and a
//! connection that is idle, or told to go, ends with GOAWAY. It ends even when the client neither
//! acknowledges that nor leaves a window for what is owed to it. What a client was writing at that
//! moment is read and forgotten, because closing a socket with bytes unread takes the last answers
//! back from the client.

use super::account::{self, Account, Ledger};
use super::headers;
use super::stream::{ClientStream, LINGER};
use super::visit::Visit;
use super::worker::Worker;
use bytes::Bytes;
use h2::server::Connection;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Accept, H2Options, HttpSession, handshake};
use pingora_core::protocols::{Digest, GetProxyDigest, Stream};
use serin_config::model::ListenerLimits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

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

fn options(limits: &ListenerLimits) -> H2Options {
    let mut options = H2Options::default();
    options
        .max_header_list_size(MAX_HEADER_LIST)
        .max_concurrent_streams(limits.max_streams)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(MAX_SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(Some(MAX_OWN_RESETS))
        .max_concurrent_reset_streams(MAX_PENDING_RESETS);
    options
}

#[derive(Default)]
struct Streams {
    open: AtomicUsize,
    ended: Notify,
    account: Arc<Account>,
}

/// Counts a stream out, and its head with it, however it ends.
pub(crate) struct OpenStream {
    streams: Arc<Streams>,
    head: usize,
    /// It had to be let go by the account.
    counted: bool,
}

impl OpenStream {
    /// `None` when its head is too much beside those of the connection's other streams.
    fn new(session: &HttpSession, streams: &Arc<Streams>) -> Option<Self> {
        let request = session.req_header();
        let head = account::cost_of(&request.headers, request.raw_path().len());
        streams.account.note(|ledger| ledger.take_head(head)).then(|| {
            streams.open.fetch_add(1, Relaxed);
            Self { streams: Arc::clone(streams), head, counted: false }
        })
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.streams.account
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.account().note(|ledger| {
            ledger.head_gone(self.head);
            if self.counted {
                ledger.came_back();
            }
        });
        self.streams.open.fetch_sub(1, Relaxed);
        self.streams.ended.notify_one();
    }
}

pub(super) async fn serve(mut stream: ClientStream, worker: &Arc<Worker>) {
    let (account, left) = stream.watch_frames();
    let visit = stream.visit().clone();
    let digest = Arc::new(Digest {
        ssl_digest: None,
        timing_digest: Vec::new(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: None,
    });
    let limits = &visit.listener.limits;
    let shaken = handshake(Box::new(stream), Some(options(limits)));
    let shaken = timeout(limits.header_timeout, shaken).await;
    if let Ok(Ok(connection)) = shaken {
        requests(connection, account, &digest, &visit, worker).await;
    }
    if let Ok(transport) = left.await {
        transport.linger(LINGER).await;
    }
}

/// Takes requests off a connection until it ends.
async fn requests(
    mut connection: Connection<Stream, Bytes>,
    account: Arc<Account>,
    digest: &Arc<Digest>,
    visit: &Arc<Visit>,
    worker: &Arc<Worker>,
) {
    let limits = &visit.listener.limits;
    let refused = &visit.listener.counters.refused_heads;
    let streams = Arc::new(Streams { account, ..Streams::default() });
    let mut shutdown = worker.shutdown.clone();
    // One wait for all of the connection's life: each that begins anew takes two locks.
    let mut told = std::pin::pin!(async {
        tokio::select! {
            _ = shutdown.wait_for(|down| *down) => {}
            () = visit.listener.outdated() => {}
        }
    });
    let (mut going, mut malformed) = (false, 0);
    loop {
        let patience = if going { FAREWELL } else { limits.idle_timeout };
        let accepted = tokio::select! {
            biased;
            () = told.as_mut(), if !going => {
                connection.graceful_shutdown();
                going = true;
                continue;
            }
            accepted = HttpSession::from_h2_conn(&mut connection, digest.clone()) => accepted,
            () = idle(&streams, patience) => {
                if going {
                    return;
                }
                connection.graceful_shutdown();
                going = true;
                continue;
            }
        };
        match accepted {
            Ok(Some(H2Accept::Session(mut session))) => {
                if headers::is_sound(session.req_header()) {
                    headers::forget_in(session.req_header_mut(), &visit.listener);
                    match OpenStream::new(&session, &streams) {
                        Some(open) => let_go(session, visit, open, worker),
                        None => {
                            refused.add();
                            session.shutdown_with_reason(h2::Reason::REFUSED_STREAM);
                        }
                    }
                    continue;
                }
                session.shutdown_with_reason(h2::Reason::PROTOCOL_ERROR);
            }
            Ok(Some(H2Accept::Rejected)) => {}
            Ok(None) | Err(_) => return,
        }
        refused.add();
        malformed += 1;
        if malformed >= MAX_MALFORMED {
            return;
        }
    }
}

/// Sends a stream on its way, unless many are that no window is left for. Then it waits for one here,
/// where it holds little.
fn let_go(
    mut session: HttpSession,
    visit: &Arc<Visit>,
    mut open: OpenStream,
    worker: &Arc<Worker>,
) {
    let bodiless = session.req_header().method == http::Method::HEAD;
    open.counted = !bodiless && open.account().note(Ledger::go);
    if bodiless || open.counted {
        spawn(session, visit, open, worker);
        return;
    }
    let (visit, worker) = (Arc::clone(visit), Arc::clone(worker));
    tokio::spawn(async move {
        let patience = visit.listener.limits.idle_timeout;
        open.counted = tokio::select! {
            biased;
            may = timeout(patience, open.account().may_go()) => may.is_ok(),
            _ = session.idle() => false,
        };
        if open.counted {
            spawn(session, &visit, open, &worker);
        } else {
            session.shutdown_with_reason(h2::Reason::CANCEL);
        }
    });
}

/// Each stream by the lane that fits its request.
fn spawn(session: HttpSession, visit: &Arc<Visit>, mut open: OpenStream, worker: &Arc<Worker>) {
    if let Some(taken) = worker.fast.take_stream(&session, visit) {
        worker.lanes.fast();
        worker.fast.board(session, Arc::clone(visit), taken, open);
        return;
    }
    worker.lanes.full();
    // That lane has a count of its own.
    if std::mem::take(&mut open.counted) {
        open.account().note(Ledger::came_back);
    }
    // How long the client may leave no window for its answer.
    let patience = visit.listener.limits.idle_timeout;
    tokio::spawn(by_full_lane(session, patience, open, Arc::clone(worker)));
}

async fn by_full_lane(
    mut session: HttpSession,
    patience: Duration,
    open: OpenStream,
    worker: Arc<Worker>,
) {
    let bodiless = session.req_header().method == http::Method::HEAD;
    let _begun = if bodiless {
        None
    } else {
        let begun = tokio::select! {
            biased;
            begun = timeout(patience, open.account().may_begin()) => begun.ok(),
            _ = session.idle() => None,
        };
        let Some(begun) = begun else {
            session.shutdown_with_reason(h2::Reason::CANCEL);
            return;
        };
        Some(begun)
    };
    // On the heap: while it waits it holds little.
    let served = Box::pin(async move {
        let mut session = ServerSession::new_http2(session);
        session.set_write_timeout(Some(patience));
        worker.proxy.process_new_http(session, &worker.shutdown).await;
    });
    served.await;
}

/// Ready once no stream has been open for so long.
async fn idle(streams: &Streams, patience: Duration) {
    loop {
        while streams.open.load(Relaxed) > 0 {
            streams.ended.notified().await;
        }
        tokio::time::sleep(patience).await;
        if streams.open.load(Relaxed) == 0 {
            return;
        }
    }
}
