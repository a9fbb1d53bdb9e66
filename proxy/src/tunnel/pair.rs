//! Both directions of a tunnel, until it is over.
//!
//! Each side's end is passed on to the other, and what the other still has to say is delivered: the
//! tunnel is over when both have ended, when a connection broke, or when nothing has moved for too long.
//! A WebSocket's backend ends its connection when all was said (RFC 6455, 7.1.1): one that has sent a
//! close frame before is not told more, and another only what its client says at once.

use super::closing::{Closed, Closing};
use super::handshake::Upgrade;
use super::side::Side;
use super::way::Way;
use crate::buffer::Buffer;
use crate::wheel::Deadline;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// For the last words of a client whose WebSocket has ended at its backend.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// For how long a tunnel is kept that does not move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// In either direction.
    pub(crate) idle: Duration,
    /// By a client that takes nothing of what is meant for it.
    pub(crate) client: Duration,
}

pub(crate) struct Tunnel<C, B> {
    pub(crate) client: C,
    backend: B,
    up: Way,
    down: Way,
    patience: Patience,
    /// Only of a WebSocket.
    closing: Option<Closing>,
    deadline: Deadline,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Carried {
    /// Bytes that came from the client, and that it has taken.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// Who ended a WebSocket, if somebody did.
    pub(crate) closed: Option<Closed>,
}

impl<C: Side, B: Side> Tunnel<C, B> {
    /// `early` is what either side said before there was a tunnel.
    pub(crate) fn open(
        (client, of_client): (C, Buffer),
        (backend, of_backend): (B, Buffer),
        upgrade: Upgrade,
        patience: Patience,
    ) -> Self {
        let now = Instant::now();
        let mut closing = match upgrade {
            Upgrade::WebSocket => Some(Closing::new()),
            Upgrade::Other => None,
        };
        if let Some(closing) = &mut closing {
            closing.client_says(of_client.bytes());
            closing.backend_says(of_backend.bytes());
        }
        let (up, down) = (Way::new(of_client, now), Way::new(of_backend, now));
        let deadline = Deadline::default();
        Self { client, backend, up, down, patience, closing, deadline }
    }

    /// Ready when it is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { client, backend, up, down, closing, .. } = self;
        let mut see = |piece: &[u8]| {
            if let Some(closing) = closing {
                closing.client_says(piece);
            }
        };
        let went_up = up.poll(client, backend, &mut see, cx);
        if let Some(closing) = closing.as_mut().filter(|_| went_up.is_err() || up.has_ended()) {
            closing.client_ended();
        }
        let mut see = |piece: &[u8]| {
            if let Some(closing) = closing {
                closing.backend_says(piece);
            }
        };
        let came_down = went_up.and_then(|()| down.poll(backend, client, &mut see, cx));
        if let Some(closing) = closing.as_mut().filter(|_| came_down.is_err() || down.has_ended()) {
            closing.backend_ended();
        }
        let closed = closing.as_ref().is_some_and(Closing::backend_has_closed);
        if came_down.is_err() || down.is_over() && (up.is_over() || closed) {
            return Poll::Ready(());
        }
        let due = self.due();
        if self.deadline.has_come(due, cx) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn due(&self) -> Instant {
        let (up, down, patience) = (&self.up, &self.down, self.patience);
        let moved = up.moved.max(down.moved);
        let mut due = moved + patience.idle;
        if down.is_stalled() {
            due = due.min(down.moved + patience.client);
        }
        if up.is_stalled() {
            due = due.min(up.moved + patience.idle);
        }
        if self.closing.is_some() && down.is_over() {
            due = due.min(moved + LAST_WORDS);
        }
        due
    }

    /// The client's connection comes back; the backend's ends.
    pub(crate) fn close(self) -> (C, Carried) {
        let (received, sent) = (self.up.read, self.down.written);
        let closed = self.closing.and_then(|closing| closing.closed());
        (self.client, Carried { received, sent, closed })
    }
}
