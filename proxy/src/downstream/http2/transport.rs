//! A client's connection as the HTTP/2 library sees it: every byte, with an eye on the frames.
//!
//! Small writes are gathered, so that heads and short bodies leave in one call, and a client that takes
//! nothing for as long as a connection may idle has none any more.

use crate::downstream::http2::account::Account;
use crate::downstream::http2::frames::{FrameWatch, POISON, PREFACE};
use crate::ingress::client_info::ClientInfo;
use crate::ingress::transport::Transport;
use crate::wheel::Deadline;
use crate::wire::sieve::{Malformed, Sieve};
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// Small writes are gathered up to here.
const GATHER: usize = 16 * 1024;

pub(crate) struct WatchedTransport {
    transport: Transport,
    watch: FrameWatch,
    sieve: Sieve,
    info: Arc<ClientInfo>,
    /// What the library reads instead of what a flood would say next.
    poison: BytesMut,
    flooded: bool,
    gathered: BytesMut,
    /// Since when the client's socket takes nothing.
    stalled: Option<Instant>,
    deadline: Deadline,
    /// Who ends the connection when this is dropped.
    back: Option<oneshot::Sender<Transport>>,
}

impl WatchedTransport {
    /// The connection comes back when this is dropped, to be ended by whoever waits for it.
    pub(crate) fn new(
        transport: Transport,
        info: Arc<ClientInfo>,
    ) -> (Self, oneshot::Receiver<Transport>) {
        let (back, left) = oneshot::channel();
        let watched = Self {
            transport,
            watch: FrameWatch::new(Instant::now()),
            sieve: Sieve::after(PREFACE),
            info,
            poison: BytesMut::new(),
            flooded: false,
            gathered: BytesMut::new(),
            stalled: None,
            deadline: Deadline::default(),
            back: Some(back),
        };
        (watched, left)
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        self.watch.account()
    }

    pub(crate) fn malformed(&self) -> &Malformed {
        self.sieve.malformed()
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.transport).poll_write(cx, data) {
            Poll::Ready(Ok(n)) => {
                self.stalled = None;
                self.watch.note_sent(&data[..n]);
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => self.poll_stalled(cx),
        }
    }

    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let since = *self.stalled.get_or_insert_with(Instant::now);
        if self.deadline.has_come(since + self.info.listener.limits.idle_timeout, cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let data = std::mem::take(&mut self.gathered);
            let sent = self.poll_send(cx, &data);
            self.gathered = data;
            match ready!(sent)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.gathered.advance(n),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for WatchedTransport {
    fn drop(&mut self) {
        if let Some(back) = self.back.take() {
            // Nobody waits for it when all of its task is dropped.
            let _ = back.send(std::mem::replace(&mut self.transport, Transport::Gone));
        }
    }
}

fn give(from: &mut BytesMut, to: &mut ReadBuf<'_>) {
    let n = from.len().min(to.remaining());
    to.put_slice(&from[..n]);
    from.advance(n);
}

impl AsyncRead for WatchedTransport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        loop {
            if me.sieve.give(buf) {
                return Poll::Ready(Ok(()));
            }
            if !me.poison.is_empty() {
                give(&mut me.poison, buf);
                return Poll::Ready(Ok(()));
            }
            if me.flooded {
                return Poll::Pending;
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut me.transport).poll_read(cx, buf))?;
            let came = &buf.filled()[before..];
            if came.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = me.watch.note(came, Instant::now()) {
                buf.set_filled(before + end);
                me.poison.extend_from_slice(&POISON);
                me.flooded = true;
                me.info.listener.counters.floods.add();
            }
            if me.sieve.sift(buf, before) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for WatchedTransport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.gathered.len() + data.len() <= GATHER {
            self.gathered.extend_from_slice(data);
            return Poll::Ready(Ok(data.len()));
        }
        ready!(self.poll_gathered(cx))?;
        self.poll_send(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(cx))?;
        match Pin::new(&mut self.transport).poll_flush(cx) {
            Poll::Pending => self.poll_stalled(cx),
            Poll::Ready(done) => {
                self.stalled = None;
                Poll::Ready(done)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
