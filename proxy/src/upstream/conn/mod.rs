//! A connection to an endpoint, as requests use it: TCP, and TLS over it where the endpoint wants it.
//!
//! HTTP/1.1 is what goes over it. It belongs to one thread and has no task: bytes move while its user
//! waits for them. What TLS has taken and not yet sent leaves with the next flush, and whoever waits
//! for the endpoint flushes first.

mod connect;
mod pool;
mod tls;

pub(super) use connect::chosen;
pub(crate) use connect::connect;
pub(crate) use pool::{lend, put_back, sweep};
pub(super) use tls::{ServerTls, TlsClients};

use crate::buffer::{Buffer, Readable, has_nothing};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

#[derive(Debug)]
pub(crate) struct Conn {
    io: Io,
    /// Read, and not done with.
    pub(crate) input: Buffer,
    /// It has carried a request before.
    pub(crate) reused: bool,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Conn {
    fn new(io: Io, reused: bool) -> Self {
        Self { io, input: Buffer::default(), reused }
    }

    /// Whether there may be something to read.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_readable(cx)
    }

    /// Reads once into `input`, at most `limit` bytes. `Ok(0)` is the end.
    pub(crate) fn poll_fill(
        &mut self,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.input.poll_fill(Pin::new(&mut self.io), limit, cx)
    }

    /// Reads once into a buffer of its user's. `Ok(0)` is the end.
    pub(crate) fn poll_read_into(
        &mut self,
        into: &mut Buffer,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        into.poll_fill(Pin::new(&mut self.io), usize::MAX, cx)
    }

    /// Says that nothing more will be sent. What the endpoint sends can still be read.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Writes once, of two pieces as much as is taken.
    pub(crate) fn poll_write(
        &mut self,
        pieces: [&[u8]; 2],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        crate::ingress::poll_write(Pin::new(&mut self.io), pieces, cx)
    }

    /// Sends what was written and is still here.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(_) => Poll::Ready(Ok(())),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Some of what was written is still here.
    pub(crate) fn is_behind(&self) -> bool {
        match &self.io {
            Io::Plain(_) => false,
            Io::Tls(stream) => stream.get_ref().1.wants_write(),
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
