//! A request's body on its way to the endpoint, as it comes: how much of it may come, how fast it has to, and who
//! else is told of it.

use crate::buffer::{Buffer, Readable};
use crate::exchange::body_pace::BodyPace;
use crate::exchange::downstream::Downstream;
use crate::exchange::replay::ReplayBuffer;
use crate::request::arrived::Arrived;
use crate::request::trailers;
use crate::route::Route;
use crate::shadow::RequestTap;
use crate::upstream::conn::Conn;
use bytes::Bytes;
use http::HeaderMap;
use serin_config::model::ListenerLimits;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct RequestBody {
    /// What goes out of it.
    out: ReplayBuffer,
    /// All of it was read.
    read: bool,
    /// So much has left over the whole body, and over every attempt: it grows while the body moves.
    pub(crate) gone: u64,
    /// Bytes of the body, without framing.
    pub(crate) received: u64,
    most: Option<u64>,
    pace: BodyPace,
    /// A call of gRPC may be silent for as long as it likes.
    paced: bool,
    /// What stands after it, and the route that says what may.
    trailers: Option<HeaderMap>,
    route: Option<Arc<Route>>,
    /// The endpoint takes nothing more.
    pub(crate) refused: bool,
    /// The client waits for leave to send it, and for nothing else.
    pub(crate) waits: bool,
    /// What is told of the bodies, of this one as it is read, while an attempt is under way.
    pub(crate) tap: RequestTap,
    /// It was told of what came with the head.
    told: bool,
}

/// What a request's head says of its body.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BodyKind {
    None,
    /// Its length is named, and nothing stands after it. So much of it came with the head and goes out as it is;
    /// `whole`: that is all.
    Sized {
        early: usize,
        whole: bool,
    },
    /// It says by itself where it ends, and fields may stand there.
    Framed {
        is_unsized: bool,
    },
}

/// What is wrong with the client's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientError {
    Gone,
    Invalid,
    TooLarge,
    TooSlow,
    /// HTTP/2 has no place for the target, and the endpoint speaks no other.
    Unsayable,
}

impl RequestBody {
    pub(crate) fn new(kind: BodyKind, request: &Arrived, route: Option<&Arc<Route>>) -> Self {
        let (limits, paced) = (&request.info.listener.limits, !request.grpc);
        let (early, read, is_unsized, route_of_trailers) = match kind {
            BodyKind::None => (0, true, false, None),
            BodyKind::Sized { early, whole } => (early, whole, false, None),
            BodyKind::Framed { is_unsized } => (0, false, is_unsized, route.cloned()),
        };
        Self {
            out: ReplayBuffer::new(early, is_unsized, request.idempotent),
            read,
            gone: 0,
            received: early as u64,
            most: route.and_then(|route| route.max_body),
            pace: if paced { BodyPace::begin(limits) } else { BodyPace::default() },
            paced,
            trailers: None,
            route: route_of_trailers,
            refused: false,
            waits: false,
            tap: RequestTap::default(),
            told: false,
        }
    }

    /// A head has left; the tap is told what comes of the body from here on, each byte once.
    pub(crate) fn tell(&mut self, tap: RequestTap, client: &impl Downstream) {
        self.tap = tap;
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        self.tap.body_piece(client.early());
        if self.read {
            self.tap.ended(Instant::now);
        }
    }

    /// A client that expects to be told when it may begin, and has not begun, is not slow.
    pub(crate) fn expect(&mut self) {
        self.waits = !self.read && self.received == 0;
    }

    /// It was told, and is waited for from now on.
    pub(crate) fn may_come(&mut self, limits: &ListenerLimits) {
        if std::mem::take(&mut self.waits) && self.paced {
            self.pace = BodyPace::begin(limits);
        }
    }

    /// All of it was read and has left.
    pub(crate) fn is_done(&self) -> bool {
        self.refused || self.read && self.out.has_left()
    }

    /// All of it was read.
    pub(crate) fn is_read(&self) -> bool {
        self.read
    }

    pub(crate) fn is_replayable(&self) -> bool {
        self.out.is_replayable()
    }

    /// To be sent from its beginning, to an endpoint whose protocol frames by itself or does not.
    pub(crate) fn rewind(&mut self, bare: bool) {
        self.refused = false;
        self.out.rewind(bare, self.read.then_some(self.trailers.as_ref()));
    }

    /// What can leave next, in one piece.
    pub(crate) fn pending<'a>(&'a self, client: &'a impl Downstream) -> &'a [u8] {
        self.out.pending(client)
    }

    pub(crate) fn left(&mut self, count: usize, client: &mut impl Downstream) {
        self.gone += count as u64;
        self.out.left(count, self.read, client);
    }

    /// Moves what can be moved. Ready when all has left; `due` is when the client is too slow.
    pub(crate) fn poll(
        &mut self,
        client: &mut impl Downstream,
        upstream: &mut Conn,
        due: &mut Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ClientError>> {
        loop {
            if self.refused {
                return Poll::Ready(Ok(()));
            }
            if !self.out.has_left() {
                let last = self.read && self.trailers.is_none();
                match upstream.poll_write([self.out.pending(client), &[]], last, cx) {
                    Poll::Ready(Ok(count @ 1..)) => self.left(count, client),
                    // It may have answered before it closed: that is for the reader to find out.
                    Poll::Ready(Ok(0) | Err(_)) => self.refused = true,
                    Poll::Pending => {
                        self.out.fit();
                        return Poll::Pending;
                    }
                }
                continue;
            }
            if self.read {
                upstream.end(self.trailers.as_ref());
                return Poll::Ready(Ok(()));
            }
            self.out.recycle();
            match client.poll_body(self, cx) {
                Poll::Ready(Ok(())) => self.within()?,
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => {
                    self.out.wait_small(client);
                    client.wait_small();
                    if self.waits {
                        return Poll::Pending;
                    }
                    let now = Instant::now();
                    *due = self.pace.waiting(now);
                    if due.is_some_and(|due| now >= due) {
                        return Poll::Ready(Err(ClientError::TooSlow));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn within(&self) -> Result<(), ClientError> {
        match self.most {
            Some(most) if self.received > most => Err(ClientError::TooLarge),
            Some(_) | None => Ok(()),
        }
    }
}

/// What whoever reads it from the client says of it.
impl RequestBody {
    /// So much is read at once.
    pub(crate) fn piece(&self) -> usize {
        self.out.piece()
    }

    /// Whether more may be pushed before some of it has left.
    pub(crate) fn has_room(&self) -> bool {
        self.out.has_room()
    }

    /// Bytes have come, of the body or its framing.
    pub(crate) fn came(&mut self, count: usize) {
        self.waits = false;
        self.pace.received(count);
    }

    /// Reads at most `limit` bytes of it, which go out as they are.
    pub(crate) fn poll_fill(
        &mut self,
        io: Pin<&mut impl Readable>,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let place: &mut Buffer = self.out.place(limit);
        let count = ready!(place.poll_fill(io, limit, cx))?;
        self.came(count);
        self.received += count as u64;
        self.tap.body_piece(self.out.latest(count));
        Poll::Ready(Ok(count))
    }

    /// A piece of it.
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.tap.body_piece(data);
        self.received += data.len() as u64;
        self.out.push(data);
    }

    /// The same, in memory that whoever is told of it can share.
    pub(crate) fn push_shared(&mut self, data: &Bytes) {
        self.tap.body(data);
        self.received += data.len() as u64;
        self.out.push(data);
    }

    /// All of it was read, and these stand after it.
    pub(crate) fn end(&mut self, trailers: Option<HeaderMap>) {
        self.read = true;
        self.tap.ended(Instant::now);
        let edits = self.route.as_ref().map(|route| &route.request);
        self.trailers = trailers.and_then(|came| trailers::passing(came, edits));
        self.out.end(self.trailers.as_ref());
    }
}
