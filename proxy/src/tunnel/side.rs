//! One end of a tunnel: the client's connection, or the backend's.

use crate::buffer::Buffer;
use crate::downstream::http1::connection::ClientConnection;
use crate::downstream::http2::stream::Stream;
use crate::upstream::conn::Conn;
use std::io;
use std::task::{Context, Poll, ready};

pub(crate) trait Side {
    /// Reads once, and takes memory only when there is something to read. `Ok(0)` is the end.
    fn poll_read(&mut self, into: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// Sends what was written and is still here.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that nothing more will be written. What it sends can still be read.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Side for Box<ClientConnection> {
    fn poll_read(&mut self, into: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_body(into, usize::MAX, cx)
    }

    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ClientConnection::poll_write(self, [bytes, &[]], cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ClientConnection::poll_flush(self, cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ClientConnection::poll_end(self, cx)
    }
}

impl Side for Stream {
    fn poll_read(&mut self, into: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            match ready!(self.poll_body(cx)).transpose()? {
                None => return Poll::Ready(Ok(0)),
                Some(piece) if piece.is_empty() => {}
                Some(piece) => {
                    into.push(&piece);
                    return Poll::Ready(Ok(piece.len()));
                }
            }
        }
    }

    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Stream::poll_write(self, bytes, cx)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.finish())
    }
}

impl Side for Conn {
    fn poll_read(&mut self, into: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_read_into(into, cx)
    }

    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Conn::poll_write(self, [bytes, &[]], false, cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Conn::poll_flush(self, cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Conn::poll_end(self, cx)
    }
}
