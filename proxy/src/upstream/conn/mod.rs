//! A connection to an endpoint, as a request uses it: of HTTP/1.1, with TLS over it where the endpoint
//! wants it, or a stream on a connection of HTTP/2.
//!
//! It belongs to one thread. Over HTTP/1.1 it has no task: bytes move while its user waits for them. What
//! TLS has taken and not yet sent leaves with the next flush, and whoever waits for the endpoint flushes
//! first. A stream looks the same from outside but for the framing of bodies, of which it has its own.

mod connect;
mod http2;
mod pool;
mod purpose;
mod tls;
mod whole;

pub(crate) use connect::{Speaks, connect, connect_alone, try_to_connect};
pub(crate) use http2::{Refused, Stream};
pub(crate) use pool::{lend, put_back, sweep};
pub(crate) use purpose::Purpose;
pub(super) use tls::{ServerTls, TlsClients};

use crate::buffer::{Buffer, Readable, has_nothing};
use http::HeaderMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

#[derive(Debug)]
pub(crate) struct Conn {
    via: Via,
    /// Read, and not done with.
    pub(crate) input: Buffer,
    /// It has carried a request before, and nothing since.
    pub(crate) reused: bool,
}

#[derive(Debug)]
enum Via {
    Http1(Io),
    Http2(Box<Stream>),
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Conn {
    fn http1(io: Io, reused: bool) -> Self {
        Self { via: Via::Http1(io), input: Buffer::default(), reused }
    }

    fn http2(stream: Stream) -> Self {
        let reused = stream.had_rested();
        Self { via: Via::Http2(Box::new(stream)), input: Buffer::default(), reused }
    }

    /// Of HTTP/2, where it is that.
    pub(crate) fn stream(&mut self) -> Option<&mut Stream> {
        match &mut self.via {
            Via::Http1(_) => None,
            Via::Http2(stream) => Some(stream),
        }
    }

    /// Bodies go over it as they are, and their ends need no framing.
    pub(crate) fn frames_itself(&self) -> bool {
        match self.via {
            Via::Http1(_) => false,
            Via::Http2(_) => true,
        }
    }

    /// Whether there may be something to read.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.via {
            Via::Http1(io) => io.poll_readable(cx).map(|_| ()),
            Via::Http2(stream) => stream.poll_readable(cx),
        }
    }

    /// Reads once into `input`, at most `limit` bytes. `Ok(0)` is the end.
    pub(crate) fn poll_fill(
        &mut self,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match &mut self.via {
            Via::Http1(io) => self.input.poll_fill(Pin::new(io), limit, cx),
            Via::Http2(stream) => stream.poll_fill(&mut self.input, limit, cx),
        }
    }

    /// Reads once into a buffer of its user's. `Ok(0)` is the end.
    pub(crate) fn poll_read_into(
        &mut self,
        into: &mut Buffer,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match &mut self.via {
            Via::Http1(io) => into.poll_fill(Pin::new(io), usize::MAX, cx),
            Via::Http2(stream) => stream.poll_fill(into, usize::MAX, cx),
        }
    }

    /// Says that nothing more will be sent. What the endpoint sends can still be read.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.via {
            Via::Http1(io) => Pin::new(io).poll_shutdown(cx),
            Via::Http2(stream) => {
                stream.end(None);
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Writes once, of two pieces as much as is taken. `last` says that nothing of the request follows.
    pub(crate) fn poll_write(
        &mut self,
        pieces: [&[u8]; 2],
        last: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match &mut self.via {
            Via::Http1(io) => crate::pieces::poll_write(Pin::new(io), pieces, cx),
            Via::Http2(stream) => stream.poll_write(pieces, last, cx),
        }
    }

    /// All of the request was written but its trailers.
    pub(crate) fn end(&mut self, trailers: Option<&HeaderMap>) {
        match &mut self.via {
            Via::Http1(_) => {}
            Via::Http2(stream) => stream.end(trailers),
        }
    }

    /// Sends what was written and is still here.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.via {
            Via::Http1(Io::Plain(_)) | Via::Http2(_) => Poll::Ready(Ok(())),
            Via::Http1(Io::Tls(stream)) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Some of what was written is still here, and leaves only when it is asked to.
    pub(crate) fn is_behind(&self) -> bool {
        match &self.via {
            Via::Http1(Io::Plain(_)) | Via::Http2(_) => false,
            Via::Http1(Io::Tls(stream)) => stream.get_ref().1.wants_write(),
        }
    }

    /// Its client takes nothing of the answer now.
    pub(crate) fn stall(&mut self) {
        match &mut self.via {
            Via::Http1(_) => {}
            Via::Http2(stream) => stream.stall(true),
        }
    }

    /// It was waited for in vain.
    pub(crate) fn doubt(&self) {
        match &self.via {
            Via::Http1(_) => {}
            Via::Http2(stream) => stream.doubt(),
        }
    }
}

impl Io {
    /// Nothing has come since it was used: no end, and nothing that nobody asked for. What TLS says
    /// for itself is read and does not count.
    fn is_quiet(&mut self) -> bool {
        match self {
            Self::Plain(socket) => has_nothing(socket),
            Self::Tls(stream) => {
                let (mut byte, mut nobody) = ([0], Context::from_waker(Waker::noop()));
                let read = Pin::new(stream).poll_read(&mut nobody, &mut ReadBuf::new(&mut byte));
                read.is_pending()
            }
        }
    }
}

impl Readable for Io {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_ready(cx),
            // It may hold what was decrypted already.
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
