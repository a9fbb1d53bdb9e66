//! The client's connection below HTTP: a socket, or TLS over one.

use crate::buffer::{Buffer, Readable};
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What a client may still send to a connection that has ended: as much as one of HTTP/2 may have
/// under way, and its heads.
const MOST_LINGERED: usize = 1280 * 1024;

/// How long a client whose connection ends is listened to, so that it can read what it was told.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Moved elsewhere.
    Gone,
}

impl Transport {
    /// Sends a last answer, and lingers until the client has had a chance to read it.
    pub(crate) async fn close(mut self, answer: &[u8]) {
        let said = async {
            self.write_all(answer).await?;
            self.flush().await
        };
        let _ = tokio::time::timeout(LINGER, said).await;
        self.linger(LINGER).await;
    }

    /// Where the peer has connected to.
    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(socket) => socket.local_addr(),
            Self::Tls(stream) => stream.get_ref().0.local_addr(),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Says that nothing more will be sent, and reads a little longer: a socket that is closed
    /// with bytes unread resets the connection, and the client may lose the answer to that.
    pub(crate) async fn linger(mut self, patience: Duration) {
        let farewell = async {
            self.shutdown().await?;
            let (mut left, mut buffer) = (MOST_LINGERED, Buffer::default());
            while left > 0 {
                let read = |cx: &mut Context<'_>| {
                    buffer.clear();
                    buffer.poll_fill(Pin::new(&mut self), usize::MAX, cx)
                };
                match poll_fn(read).await? {
                    0 => break,
                    n => left -= n.min(left),
                }
            }
            io::Result::Ok(())
        };
        let _ = tokio::time::timeout(patience, farewell).await;
    }
}

/// Writes what the socket's end follows at once: the kernel waits for the end and sends both in one
/// packet, which saves sending, receiving and waking for the other.
pub(crate) fn poll_last(
    socket: &TcpStream,
    pieces: [&[u8]; 2],
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(cx))?;
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        let written = socket.try_io(Interest::WRITABLE, || {
            let sent = match pieces {
                [one, []] | [[], one] => send(socket, one, flags),
                both => {
                    let nothing = &mut SendAncillaryBuffer::default();
                    sendmsg(socket, &both.map(IoSlice::new), nothing, flags)
                }
            };
            Ok(sent?)
        });
        match written {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
    }
}

impl Readable for Transport {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_ready(cx),
            // It may hold what was decrypted already.
            Self::Tls(_) | Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
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
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}
