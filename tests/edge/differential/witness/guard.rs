//! A client's connection as pingora is to see it: one request at a time, whose head was judged, and
//! never a byte of the next.

use bytes::{Buf, BytesMut};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use serin_proxy::wire::chunks::{ChunkFault, Chunks, Piece};
use serin_proxy::wire::head::{self, Framing, HeadLimits, Verdict};
use serin_proxy::wire::refusal::Refusal;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// Requests that a client may send ahead.
const AHEAD: usize = 64 * 1024;
/// For how long a client is listened to whose connection ends, so that it can read what it was told.
const LINGER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Guarded {
    socket: Option<TcpStream>,
    pub(super) client: IpAddr,
    /// Read, and not yet looked at.
    input: BytesMut,
    /// Judged, and not yet given to pingora.
    output: BytesMut,
    body: Body,
    /// The client sent its last byte.
    ended: bool,
    /// The body in hand is not framed soundly.
    pub(super) is_unsound: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Body {
    Done,
    Length(usize),
    Chunked(Box<Chunks>),
}

impl Guarded {
    pub(super) fn new(socket: TcpStream, client: IpAddr) -> Self {
        let (input, output) = (BytesMut::new(), BytesMut::new());
        let (body, is_unsound) = (Body::Done, Arc::default());
        Self { socket: Some(socket), client, input, output, body, ended: false, is_unsound }
    }

    /// Waits for the next request's head. An error is what the client is told; `None` is the end.
    pub(super) async fn next_request(&mut self) -> Option<Result<(), Vec<u8>>> {
        let mut fields = Vec::new();
        loop {
            if !self.input.is_empty() {
                match head::parse(&self.input, &HeadLimits::default(), &mut fields) {
                    Verdict::Partial => {}
                    Verdict::Refused(refusal) => return Some(Err(told(refusal))),
                    Verdict::Whole(head) => {
                        let bytes = self.input.split_to(head.length);
                        self.output = origin_form(&head, &bytes);
                        self.body = match head.framing {
                            Framing::None | Framing::Length(0) => Body::Done,
                            Framing::Length(left) => Body::Length(usize::try_from(left).unwrap()),
                            Framing::Chunked => Body::Chunked(Box::default()),
                        };
                        self.is_unsound.store(false, Relaxed);
                        return Some(Ok(()));
                    }
                }
            }
            if self.ended {
                return None;
            }
            let read = self.socket.as_mut()?.read_buf(&mut self.input).await.ok()?;
            self.ended = read == 0;
        }
    }

    /// Whether all of the last request was read, so that what follows is the next.
    pub(super) fn at_boundary(&self) -> bool {
        matches!(self.body, Body::Done) && self.output.is_empty()
    }

    /// Sends a last answer, and lingers.
    pub(super) async fn close(mut self, answer: &[u8]) {
        if let Some(mut socket) = self.socket.take() {
            let _ = socket.write_all(answer).await;
            linger(socket).await;
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut stack = [0u8; 16 * 1024];
        let mut buf = ReadBuf::new(&mut stack);
        ready!(self.socket().poll_read(cx, &mut buf))?;
        self.input.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// The request is whole, its answer is not.
    fn poll_after_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended && self.input.len() < AHEAD {
            self.ended = ready!(self.poll_fill(cx))? == 0;
        }
        Poll::Pending
    }

    fn socket(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.socket.as_mut().unwrap())
    }

    /// Moves what belongs to the body to the output. Chunks are framed anew, without what stands
    /// after them.
    fn cut(&mut self) -> Result<(), ChunkFault> {
        match &mut self.body {
            Body::Done => {}
            Body::Length(left) => {
                let here = self.input.split_to(self.input.len().min(*left));
                self.output.extend_from_slice(&here);
                *left -= here.len();
                if *left == 0 {
                    self.body = Body::Done;
                }
            }
            Body::Chunked(chunks) => {
                while !self.input.is_empty() && !chunks.has_ended() {
                    match chunks.step(&self.input)? {
                        Piece::Framing(count) => self.input.advance(count),
                        Piece::Data(count) => {
                            let data = self.input.split_to(count);
                            self.output.extend_from_slice(format!("{count:x}\r\n").as_bytes());
                            self.output.extend_from_slice(&data);
                            self.output.extend_from_slice(b"\r\n");
                        }
                        Piece::End(count) => {
                            self.input.advance(count);
                            self.output.extend_from_slice(b"0\r\n\r\n");
                        }
                    }
                }
                if chunks.has_ended() {
                    self.body = Body::Done;
                }
            }
        }
        Ok(())
    }
}

/// The head with its target in origin-form.
fn origin_form(head: &head::Head, bytes: &BytesMut) -> BytesMut {
    let target = head.target.of(bytes);
    let slash: &[u8] = if target.starts_with(b"/") || target == b"*" { b"" } else { b"/" };
    let (before, after) = (head.begins..head.target_as_sent.from, head.target_as_sent.to..);
    BytesMut::from(&[&bytes[before], slash, target, &bytes[after]].concat()[..])
}

fn told(refusal: Refusal) -> Vec<u8> {
    let (status, detail) = (refusal.status(), refusal.detail());
    let reason = http::StatusCode::from_u16(status).unwrap();
    let reason = reason.canonical_reason().unwrap_or_default();
    let allow = if refusal == Refusal::MethodNotAllowed {
        "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
    } else {
        ""
    };
    let length = detail.len() + 1;
    format!(
        "HTTP/1.1 {status} {reason}\r\n{allow}content-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{detail}\n"
    )
    .into_bytes()
}

async fn linger(mut socket: TcpStream) {
    let farewell = async {
        socket.shutdown().await?;
        let mut rest = [0; 4096];
        while socket.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LINGER, farewell).await;
}

/// pingora gives up in the middle of a request: closed with bytes unread, the connection would be reset,
/// and the client might lose its answer.
impl Drop for Guarded {
    fn drop(&mut self) {
        let unread = !self.input.is_empty() || !matches!(self.body, Body::Done);
        if let Some(socket) = self.socket.take().filter(|_| unread && !self.ended)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(linger(socket));
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.output.is_empty() {
                let count = self.output.len().min(buf.remaining());
                buf.put_slice(&self.output.split_to(count));
                return Poll::Ready(Ok(()));
            }
            if matches!(self.body, Body::Done) {
                return self.poll_after_request(cx);
            }
            if self.cut().is_err() {
                self.is_unsound.store(true, Relaxed);
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if self.output.is_empty()
                && !matches!(self.body, Body::Done)
                && ready!(self.poll_fill(cx))? == 0
            {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_shutdown(cx)
    }
}

#[async_trait::async_trait]
impl Shutdown for Guarded {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Guarded {
    fn id(&self) -> UniqueIDType {
        self.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl Ssl for Guarded {}

impl GetTimingDigest for Guarded {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Guarded {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Guarded {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Guarded {}
