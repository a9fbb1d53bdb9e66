//! One end of a tunnel: the client's, which each protocol of clients has for itself, or the backend's.

use crate::buffer::Buffer;
use crate::upstream::conn::Conn;
use std::io;
use std::task::{Context, Poll};

pub(crate) trait Side {
    /// Reads once, and takes memory only when there is something to read. `Ok(0)` is the end.
    fn poll_read(&mut self, into: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// Sends what was written and is still here.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that nothing more will be written. What it sends can still be read.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
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
