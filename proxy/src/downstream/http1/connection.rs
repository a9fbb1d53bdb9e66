//! A client's connection, between requests and while one is in hand.

use crate::buffer::{Buffer, Readable, has_nothing};
use crate::exchange::request_body::ClientError;
use crate::ingress::client_info::ClientInfo;
use crate::ingress::transport::{self, Transport};
use crate::pieces;
use crate::wheel::Deadline;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{Shutdown, shutdown};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::AsyncWrite;

#[derive(Debug)]
pub(crate) struct ClientConnection {
    pub(crate) transport: Transport,
    /// Read, and not done with. While a request is in hand, its head is the beginning.
    pub(crate) input: Buffer,
    /// The client sent its last byte.
    pub(crate) ended: bool,
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) deadline: Deadline,
    /// When its last request was over.
    pub(crate) rested: Instant,
    /// What is written next is the last of it, and all of it is there: the end may go with it.
    pub(crate) is_last: bool,
}

impl ClientConnection {
    pub(crate) fn new(transport: Transport, early: &[u8], info: Arc<ClientInfo>) -> Self {
        let mut input = Buffer::default();
        if !early.is_empty() {
            input.push(early);
        }
        let (deadline, rested) = (Deadline::default(), Instant::now());
        Self { transport, input, ended: false, info, deadline, rested, is_last: false }
    }

    /// Reads what has come into `input`. `Ok(0)` is the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = ready!(self.input.poll_fill(Pin::new(&mut self.transport), usize::MAX, cx))?;
        self.ended |= read == 0;
        Poll::Ready(Ok(read))
    }

    /// Whether there may be something to read.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_readable(cx)
    }

    /// How much of a body was read. Its end is not the connection's.
    pub(super) fn note_read(&mut self, read: io::Result<usize>) -> Result<usize, ClientError> {
        self.ended |= matches!(read, Ok(0));
        match read {
            Ok(count @ 1..) => Ok(count),
            Ok(0) | Err(_) => Err(ClientError::Gone),
        }
    }

    /// Looks out for the client's end while it has nothing to say, and keeps what it sends ahead
    /// as far as there is room. An error means that it is gone.
    pub(crate) fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.ended && self.input.room() > 0 {
            match self.poll_fill(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(e)) => return Err(e),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// What is left of two pieces, in one call.
    pub(crate) fn poll_write(
        &mut self,
        pieces: [&[u8]; 2],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match &self.transport {
            Transport::Plain(socket) if self.is_last => transport::poll_last(socket, pieces, cx),
            Transport::Plain(_) | Transport::Tls(_) | Transport::Gone => {
                pieces::poll_write(Pin::new(&mut self.transport), pieces, cx)
            }
        }
    }

    /// A plain socket from which nothing is left unread: closing it loses nothing of what was sent.
    pub(crate) fn is_silent(&self) -> bool {
        match &self.transport {
            Transport::Plain(socket) => self.input.is_empty() && has_nothing(socket),
            // TLS has a farewell of its own.
            Transport::Tls(_) | Transport::Gone => false,
        }
    }

    /// Nothing more will be sent, and what waited for the end leaves with it now. Closing alone would
    /// take it back, should the client say something in this very moment.
    pub(crate) fn say_end(&self) {
        if let Transport::Plain(socket) = &self.transport {
            // A client that is gone already has ended it.
            let _ = shutdown(socket, Shutdown::Write);
        }
    }

    /// Closing it will be no proper end: for a client to whom that would be the end of a whole body.
    pub(crate) fn end_by_reset(&self) {
        if let Transport::Plain(socket) = &self.transport {
            // TLS has an end of its own, which is not said. A socket that is gone needs none.
            let _ = set_socket_linger(socket, Some(Duration::ZERO));
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    /// Says that nothing more will be sent. What the client sends can still be read.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
