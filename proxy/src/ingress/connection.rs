//! The life of one client connection: PROXY header, TLS, then requests until either side ends.

use super::body::Body;
use super::h2;
use super::link::Link;
use super::listener::ListenerState;
use super::proxy_header::{self, ProxyVerdict};
use super::replay;
use super::stream::ClientStream;
use super::tls;
use super::transport::Transport;
use super::visit::Visit;
use super::worker::Worker;
use crate::lane::{After, Taken};
use crate::wire::head::{self, Field, HeadLimits, Verdict};
use crate::wire::refusal::Refusal;
use bytes::{Buf, BytesMut};
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use serin_config::model::ProxyProtocol;
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout_at;

thread_local! {
    /// Where heads are parsed into, one at a time.
    static FIELDS: RefCell<Vec<Field>> = const { RefCell::new(Vec::new()) };
}

/// Serves a connection until it ends. The caller has counted it and counts it out.
///
/// What is rare has its place on the heap when it is needed, so that a connection which waits for
/// its next request does not hold room for it.
pub(super) async fn serve(
    mut socket: TcpStream,
    peer: SocketAddr,
    listener: Arc<ListenerState>,
    worker: Arc<Worker>,
) {
    let deadline = tokio::time::Instant::now() + listener.limits.header_timeout;
    let Some((client, early)) = announced(&mut socket, peer, &listener, deadline).await else {
        listener.counters.invalid_proxy_headers.add();
        return;
    };
    let trusted = listener.trusts(peer);
    let link = match listener.tls.clone() {
        None => {
            let visit = Arc::new(Visit::new(listener, client, trusted, None));
            Link::new(Transport::Plain(socket), &early, visit)
        }
        Some(state) => {
            // A client that has said nothing yet holds nothing up.
            let mut leaving = worker.leaving.clone();
            tokio::select! {
                biased;
                _ = timeout_at(deadline, socket.readable()) => {}
                _ = leaving.wait_for(|leaving| *leaving) => return,
            }
            let accepting = Box::pin(timeout_at(deadline, state.accept(socket)));
            let Ok(Ok(stream)) = accepting.await else {
                listener.counters.handshake_failures.add();
                return;
            };
            let h2 = tls::chose_h2(&stream);
            let tls = Some(tls::visit_of(&stream));
            let visit = Arc::new(Visit::new(listener, client, trusted, tls));
            let link = Link::new(Transport::Tls(Box::new(stream)), &[], visit);
            if h2 {
                return Box::pin(h2::serve(ClientStream::of(link), &worker)).await;
            }
            link
        }
    };
    drop(early);
    http1(link, &worker).await;
}

/// The client's address, and what was read beyond the PROXY header. `None` when the header is
/// invalid or does not come.
async fn announced(
    socket: &mut TcpStream,
    peer: SocketAddr,
    listener: &ListenerState,
    deadline: tokio::time::Instant,
) -> Option<(SocketAddr, BytesMut)> {
    let expected = listener.proxy_protocol == ProxyProtocol::V1V2 && listener.trusts(peer);
    if !expected {
        return Some((peer, BytesMut::new()));
    }
    // Read byte by byte past the fixed part: what follows belongs to TLS, which reads the socket.
    let mut bytes = BytesMut::with_capacity(128);
    loop {
        match proxy_header::parse(&bytes) {
            ProxyVerdict::Whole { length, client } => {
                bytes.advance(length);
                return Some((client.unwrap_or(peer), bytes));
            }
            ProxyVerdict::Invalid => return None,
            ProxyVerdict::Partial if bytes.len() >= proxy_header::MAX => return None,
            ProxyVerdict::Partial => {}
        }
        let mut limited = (&mut *socket).take(proxy_header::missing(&bytes) as u64);
        let read = timeout_at(deadline, limited.read_buf(&mut bytes)).await;
        if !matches!(read, Ok(Ok(1..))) {
            return None;
        }
    }
}

/// HTTP/1: one request after the other, each by the lane that fits it.
async fn http1(mut link: Link, worker: &Arc<Worker>) {
    loop {
        match next_request(&mut link, worker).await {
            Next::Fast(taken) => {
                worker.lanes.fast();
                let closing = || worker.is_closing();
                match worker.fast.carry(&mut link, taken, closing).await {
                    After::Kept => {}
                    After::Closed => return close(link, b"").await,
                    After::Done | After::Cut => return,
                }
            }
            Next::Full(head, body) => {
                worker.lanes.full();
                let mut stream = ClientStream::of(link);
                stream.begin(head, body);
                match Box::pin(one_request(stream, worker)).await {
                    Some(same) => link = same.into_link(),
                    None => return,
                }
            }
            Next::End => return,
            Next::Refused(refusal) => {
                let counters = &link.visit.listener.counters;
                counters.refused_heads.add();
                if refusal == Refusal::HeadTooSlow {
                    counters.slow_heads.add();
                }
                worker.note_refusal(&link.visit, refusal, link.input.bytes());
                return close(link, &refusal.answer()).await;
            }
        }
    }
}

async fn close(link: Link, last: &[u8]) {
    Box::pin(ClientStream::of(link).close(last)).await;
}

async fn one_request(stream: ClientStream, worker: &Worker) -> Option<ClientStream> {
    let mut session = ServerSession::new_http1(Box::new(stream));
    session.set_abort_on_close(false);
    let reused = worker.proxy.process_new_http(session, &worker.shutdown).await?;
    let (stream, _) = reused.consume();
    let stream = *stream.into_any().downcast::<ClientStream>().ok()?;
    if !stream.at_boundary() || worker.is_leaving() {
        stream.close(b"").await;
        return None;
    }
    Some(stream)
}

enum Next {
    Fast(Taken),
    Full(BytesMut, Body),
    Refused(Refusal),
    End,
}

/// Waits for a request, reads its head, and finds the lane for it. A connection that is between
/// requests ends when its thread is leaving.
async fn next_request(link: &mut Link, worker: &Worker) -> Next {
    let listener = Arc::clone(&link.visit.listener);
    let limits = HeadLimits {
        max_bytes: usize::try_from(listener.limits.max_header_bytes).unwrap_or(usize::MAX),
        max_fields: usize::try_from(listener.limits.max_headers).unwrap_or(usize::MAX),
        max_target: usize::try_from(listener.limits.max_uri_bytes).unwrap_or(usize::MAX),
    };
    let since = link.rested;
    let mut now = since;
    let mut first = (!link.input.is_empty()).then_some(since);
    // A head is looked at when a line of it is whole or it may have grown too long, so that one
    // sent byte by byte costs no more than its lines.
    let mut judged = 0;
    poll_fn(|cx| {
        loop {
            let read = link.input.len();
            let fresh = &link.input.bytes()[judged..];
            let grown = judged <= limits.max_target && read > limits.max_target;
            let look = grown || read >= limits.max_bytes || fresh.contains(&b'\n');
            if read > 0 && (judged == 0 || look) {
                match judge(link, &limits, worker, now) {
                    Some(next) => return Poll::Ready(next),
                    None => judged = read,
                }
            }
            if link.ended {
                return Poll::Ready(Next::End);
            }
            match link.poll_fill(cx) {
                Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Poll::Ready(Next::End),
                Poll::Ready(Ok(_)) => {
                    now = Instant::now();
                    first.get_or_insert(now);
                }
                Poll::Pending => {
                    let due = match first {
                        Some(first) => first + listener.limits.header_timeout,
                        None if worker.is_leaving() => return Poll::Ready(Next::End),
                        None => since + listener.limits.idle_timeout,
                    };
                    if !link.deadline.has_come(due, cx) {
                        return Poll::Pending;
                    }
                    return Poll::Ready(match first {
                        Some(_) => Next::Refused(Refusal::HeadTooSlow),
                        None => Next::End,
                    });
                }
            }
        }
    })
    .await
}

/// What is to be done, once the head is whole or cannot become so.
fn judge(link: &mut Link, limits: &HeadLimits, worker: &Worker, now: Instant) -> Option<Next> {
    FIELDS.with_borrow_mut(|fields| match head::parse(link.input.bytes(), limits, fields) {
        Verdict::Partial => None,
        Verdict::Refused(refusal) => Some(Next::Refused(refusal)),
        Verdict::Whole(head) => Some(match worker.fast.take(link, &head, fields, now) {
            Some(taken) => Next::Fast(taken),
            None => {
                let bytes = BytesMut::from(&link.input.bytes()[..head.length]);
                link.input.advance(head.length);
                Next::Full(replay::of(&head, &bytes, fields), Body::of(head.framing))
            }
        }),
    })
}
