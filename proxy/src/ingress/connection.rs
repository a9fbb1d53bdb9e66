//! The life of one client connection: PROXY header, TLS, then requests until either side ends.

use super::body::Body;
use super::h2;
use super::head::{self, Field, HeadLimits, Verdict};
use super::listener::ListenerState;
use super::proxy_header::{self, ProxyVerdict};
use super::refusal::Refusal;
use super::replay;
use super::stream::ClientStream;
use super::tls;
use super::transport::Transport;
use super::visit::Visit;
use super::worker::Worker;
use bytes::{Buf, BytesMut};
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use serin_config::model::ProxyProtocol;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

thread_local! {
    /// Where heads are parsed into, one at a time.
    static FIELDS: RefCell<Vec<Field>> = const { RefCell::new(Vec::new()) };
}

/// Serves a connection until it ends. The caller has counted it and counts it out.
pub(super) async fn serve(
    mut socket: TcpStream,
    peer: SocketAddr,
    listener: Arc<ListenerState>,
    worker: Arc<Worker>,
) {
    let _ = socket.set_nodelay(true);
    let deadline = Instant::now() + listener.limits.header_timeout;
    let Some((client, early)) = announced(&mut socket, peer, &listener, deadline).await else {
        listener.counters.invalid_proxy_headers.add();
        return;
    };
    let trusted = listener.trusts(peer);
    match listener.tls.clone() {
        None => {
            let visit = Arc::new(Visit::new(listener, client, trusted, None));
            http1(ClientStream::new(Transport::Plain(socket), early, visit), &worker).await;
        }
        Some(state) => {
            let Ok(Ok(stream)) = timeout_at(deadline, state.accept(socket)).await else {
                listener.counters.handshake_failures.add();
                return;
            };
            let h2 = tls::chose_h2(&stream);
            let tls = Some(tls::visit_of(&stream));
            let visit = Arc::new(Visit::new(listener, client, trusted, tls));
            let stream =
                ClientStream::new(Transport::Tls(Box::new(stream)), BytesMut::new(), visit);
            if h2 { h2::serve(stream, &worker).await } else { http1(stream, &worker).await }
        }
    }
}

/// The client's address, and what was read beyond the PROXY header. `None` when the header is
/// invalid or does not come.
async fn announced(
    socket: &mut TcpStream,
    peer: SocketAddr,
    listener: &ListenerState,
    deadline: Instant,
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

async fn http1(mut stream: ClientStream, worker: &Arc<Worker>) {
    loop {
        match next_request(&mut stream, worker).await {
            Next::Request => {}
            Next::End => return,
            Next::Refused(refusal) => {
                let counters = &stream.visit().listener.counters;
                counters.refused_heads.add();
                if refusal == Refusal::HeadTooSlow {
                    counters.slow_heads.add();
                }
                worker.note_refusal(stream.visit(), refusal);
                return stream.close(&refusal.answer()).await;
            }
        }
        match one_request(stream, worker).await {
            Some(same) => stream = same,
            None => return,
        }
    }
}

async fn one_request(stream: ClientStream, worker: &Worker) -> Option<ClientStream> {
    let mut session = ServerSession::new_http1(Box::new(stream));
    session.set_abort_on_close(false);
    let reused = worker.proxy.process_new_http(session, &worker.shutdown).await?;
    let (stream, _) = reused.consume();
    let mut stream = *stream.into_any().downcast::<ClientStream>().ok()?;
    if !stream.at_boundary() || *worker.shutdown.borrow() {
        stream.close(b"").await;
        return None;
    }
    stream.rest();
    Some(stream)
}

enum Next {
    Request,
    Refused(Refusal),
    End,
}

/// Waits for a request, reads its head, and sets the stream up for the lane.
async fn next_request(stream: &mut ClientStream, worker: &Worker) -> Next {
    let limits = stream.visit().listener.limits.clone();
    if stream.ended && stream.input.is_empty() {
        return Next::End;
    }
    if stream.input.is_empty() {
        let mut shutdown = worker.shutdown.clone();
        let first = tokio::select! {
            biased;
            read = timeout(limits.idle_timeout, stream.fill()) => read,
            _ = shutdown.wait_for(|down| *down) => return Next::End,
        };
        if !matches!(first, Ok(Ok(1..))) {
            return Next::End;
        }
    }
    let deadline = Instant::now() + limits.header_timeout;
    let limits = HeadLimits {
        max_bytes: usize::try_from(limits.max_header_bytes).unwrap_or(usize::MAX),
        max_fields: usize::try_from(limits.max_headers).unwrap_or(usize::MAX),
        max_target: usize::try_from(limits.max_uri_bytes).unwrap_or(usize::MAX),
    };
    // A head is looked at when a line of it is whole or it may have grown too long, so that one
    // sent byte by byte costs no more than its lines.
    let mut judged = 0;
    loop {
        let (fresh, read) = (&stream.input[judged..], stream.input.len());
        let grown = judged <= limits.max_target && read > limits.max_target;
        if judged == 0 || grown || read >= limits.max_bytes || fresh.contains(&b'\n') {
            match judge(stream, &limits) {
                Verdict::Whole(_) => return Next::Request,
                Verdict::Refused(refusal) => return Next::Refused(refusal),
                Verdict::Partial => judged = stream.input.len(),
            }
        }
        match timeout_at(deadline, stream.fill()).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return Next::End,
            Err(_) => return Next::Refused(Refusal::HeadTooSlow),
        }
    }
}

fn judge(stream: &mut ClientStream, limits: &HeadLimits) -> Verdict {
    FIELDS.with_borrow_mut(|fields| {
        let verdict = head::parse(&stream.input, limits, fields);
        if let Verdict::Whole(head) = &verdict {
            let bytes = stream.input.split_to(head.length);
            let replayed = replay::of(head, &bytes, fields);
            stream.begin(replayed, Body::of(head.framing));
        }
        verdict
    })
}
