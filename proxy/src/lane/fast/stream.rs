//! A stream of HTTP/2, as the fast lane writes to it and reads from it.

use crate::ingress::{Account, Visit};
use crate::wheel::Deadline;
use bytes::Bytes;
use h2::SendStream;
use pingora_core::protocols::http::v2::server::HttpSession;
use pingora_http::ResponseHeader;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

pub(crate) struct Stream {
    pub(super) session: HttpSession,
    /// Once the head of the answer has left, and unless that was all.
    body: Option<SendStream<Bytes>>,
    /// How much of the answer's body is still to come, where that is known.
    left: Option<u64>,
    pub(super) visit: Arc<Visit>,
    account: Arc<Account>,
    pub(super) deadline: Deadline,
}

impl Stream {
    pub(super) fn new(session: HttpSession, visit: Arc<Visit>, account: Arc<Account>) -> Self {
        Self { session, body: None, left: None, visit, account, deadline: Deadline::default() }
    }

    /// More of the request's body. `None` is its end.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.session.poll_read_body_bytes(cx).map_err(io::Error::other)
    }

    /// `body` says whether one follows, and how long it is where that is known.
    pub(super) fn answer(
        &mut self,
        head: ResponseHeader,
        body: Option<Option<u64>>,
    ) -> io::Result<()> {
        let whole = body.is_none();
        self.session.write_response_header(Box::new(head), whole).map_err(io::Error::other)?;
        self.body = self.session.take_response_body_writer().filter(|_| !whole);
        self.left = body.flatten();
        Ok(())
    }

    /// The answer was whole.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self.body.take() {
            Some(mut body) => body.send_data(Bytes::new(), true).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    /// Gives up: what was sent is not to be taken for the whole.
    pub(super) fn cut(&mut self) {
        if let Some(mut body) = self.body.take() {
            body.send_reset(h2::Reason::INTERNAL_ERROR);
        } else if self.session.response_written().is_none() {
            self.session.shutdown_with_reason(h2::Reason::CANCEL);
        }
    }

    /// How much of `wanted` can be written: as far as the client's windows reach, and what was
    /// written on its connection before has left. It is set apart until it is written or given up.
    pub(super) fn poll_room(
        &mut self,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if self.account.poll_room(cx).is_pending() {
            return match body.poll_reset(cx) {
                Poll::Ready(_) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Poll::Pending => Poll::Pending,
            };
        }
        body.reserve_capacity(wanted);
        let mut room = body.capacity();
        while room == 0 {
            room = match ready!(body.poll_capacity(cx)) {
                Some(Ok(room)) => room,
                Some(Err(e)) => return Poll::Ready(Err(io::Error::other(e))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        Poll::Ready(Ok(room.min(wanted)))
    }

    /// Room is for the connection's other streams again.
    pub(super) fn give_room_up(&mut self) {
        if let Some(body) = &mut self.body {
            body.reserve_capacity(0);
        }
    }

    pub(super) fn poll_write(
        &mut self,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.poll_room(bytes.len(), cx))?;
        let Some(body) = &mut self.body else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        self.left = self.left.map(|left| left.saturating_sub(count as u64));
        // The last of it says so itself: a frame less.
        let last = self.left == Some(0);
        self.account.handed(body.stream_id().as_u32(), count);
        let sent = body.send_data(Bytes::copy_from_slice(&bytes[..count]), last);
        if last {
            self.body = None;
        }
        Poll::Ready(sent.map(|()| count).map_err(io::Error::other))
    }

    /// Whether the client has given the stream up.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let reset = match &mut self.body {
            Some(body) => body.poll_reset(cx).is_ready(),
            None if self.session.response_written().is_some() => false,
            None => Pin::new(&mut self.session.idle()).poll(cx).is_ready(),
        };
        if reset { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}
