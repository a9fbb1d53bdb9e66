//! A request's body on its way to the endpoint, as it comes.
//!
//! What was read is kept until it has left, and for as long as all of it is still there the request
//! can be sent again. Of one that must not be, it goes as soon as it has left: the next body is read
//! into memory that is still in the processor's cache.

use crate::buffer::Buffer;
use crate::downstream::client::Client;
use crate::downstream::http1::connection::ClientConnection;
use crate::exchange::body_pace::BodyPace;
use crate::exchange::framing;
use crate::request::context::RequestContext;
use crate::request::head::Translated;
use crate::request::trailers;
use crate::route::Route;
use crate::shadow::RequestTap;
use crate::upstream::conn::Conn;
use crate::wire::chunks::{Chunks, Piece};
use crate::wire::head::{Framing, Head, Span};
use crate::wire::http2::trailers as trailers_of;
use http::HeaderMap;
use serin_config::model::ListenerLimits;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// Read at once, at most,
const PIECE: usize = 64 * 1024;
/// and for an endpoint whose protocol frames by itself: one that opens no window leaves it here.
const BARE_PIECE: usize = 16 * 1024;
/// What is kept of a body, to be sent again, while its client is waited for.
const MAX_REPLAYED: usize = 16 * 1024;
/// Room for what the client says after a body that is waited for.
const AHEAD: usize = 512;
/// What is longer gives its memory back early.
const WORTH_FORGETTING: usize = 2 * 1024;

#[derive(Debug)]
pub(crate) struct RequestBody {
    rest: Rest,
    /// What came with the head and goes out as it is: where it stands in the connection's input,
    /// which keeps it.
    with_head: Span,
    /// What goes out after it, from the first byte that is still there.
    framed: Buffer,
    /// So much of both has left.
    sent: usize,
    /// The same over the whole body, and over every attempt: it grows while the body moves.
    pub(crate) gone: u64,
    /// The first of it is gone from memory.
    overwritten: bool,
    /// Of chunks, as they came.
    raw: Buffer,
    /// So much of the connection's input belongs to this request.
    taken: usize,
    /// Bytes of the body, without framing.
    pub(crate) received: u64,
    most: Option<u64>,
    pace: BodyPace,
    /// A call of gRPC may be silent for as long as it likes.
    paced: bool,
    /// Its length is not named: in HTTP/1 it goes out in chunks.
    is_unsized: bool,
    /// The endpoint's protocol frames by itself, so that what goes out is the body as it is.
    bare: bool,
    /// What stands after it, and the route that says what may.
    trailers: Option<HeaderMap>,
    route: Option<Arc<Route>>,
    /// The endpoint takes nothing more.
    pub(crate) refused: bool,
    /// The request may be sent again after it was sent.
    repeatable: bool,
    /// The client waits for leave to send it, and for nothing else.
    pub(crate) waits: bool,
    /// What is told of the bodies, of this one as it is read, while an attempt is under way.
    pub(crate) tap: RequestTap,
    /// It was told of what came with the head.
    told: bool,
}

#[derive(Debug)]
enum Rest {
    Done,
    Length(u64),
    Chunked(Chunks),
    /// Of HTTP/2, which frames by itself.
    Stream,
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
    fn new(rest: Rest, limits: &ListenerLimits, context: &RequestContext) -> Self {
        let paced = !context.asked.grpc;
        Self {
            rest,
            with_head: Span::default(),
            framed: Buffer::default(),
            sent: 0,
            gone: 0,
            overwritten: false,
            raw: Buffer::default(),
            taken: 0,
            received: 0,
            most: context.route.as_ref().and_then(|route| route.max_body),
            pace: if paced { BodyPace::begin(limits) } else { BodyPace::default() },
            paced,
            is_unsized: false,
            bare: false,
            trailers: None,
            route: None,
            refused: false,
            repeatable: context.asked.idempotent,
            waits: false,
            tap: RequestTap::default(),
            told: false,
        }
    }

    /// Of a stream; `None` when no body follows.
    pub(crate) fn stream(
        body: Option<Translated>,
        limits: &ListenerLimits,
        context: &RequestContext,
    ) -> Self {
        let Some(Translated { chunked }) = body else {
            return Self::new(Rest::Done, limits, context);
        };
        let mut body = Self::new(Rest::Stream, limits, context);
        body.is_unsized = chunked;
        body.route = context.route.clone();
        body
    }

    pub(crate) fn begin(head: &Head, client: &ClientConnection, context: &RequestContext) -> Self {
        let mut body = Self::new(Rest::Done, &client.info.listener.limits, context);
        body.taken = head.length;
        let here = &client.input.bytes()[head.length..];
        match head.framing {
            Framing::None => {}
            Framing::Length(length) => {
                let count = here.len().min(usize::try_from(length).unwrap_or(usize::MAX));
                body.with_head = Span { from: head.length, to: head.length + count };
                body.note(count);
                let left = length - count as u64;
                body.rest = if left == 0 { Rest::Done } else { Rest::Length(left) };
                body.taken += count;
            }
            Framing::Chunked => {
                body.is_unsized = true;
                body.route = context.route.clone();
                body.raw.push(here);
                body.rest = Rest::Chunked(Chunks::default());
                body.taken += here.len();
            }
        }
        body
    }

    /// A head has left; the tap is told what comes of the body from here on, each byte once.
    pub(crate) fn tell(&mut self, tap: RequestTap, client: &Client<'_>) {
        self.tap = tap;
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        match client {
            Client::Http1(client) => self.tap.body_piece(self.with_head.of(client.input.bytes())),
            Client::Http2(_) => {}
        }
        if self.is_read() {
            self.tap.ended(Instant::now);
        }
    }

    /// A client that expects to be told when it may begin, and has not begun, is not slow.
    pub(crate) fn expect(&mut self) {
        self.waits = !self.is_read() && self.received == 0 && self.raw.is_empty();
    }

    /// It was told, and is waited for from now on.
    pub(crate) fn may_come(&mut self, limits: &ListenerLimits) {
        if std::mem::take(&mut self.waits) && self.paced {
            self.pace = BodyPace::begin(limits);
        }
    }

    fn note(&mut self, count: usize) {
        self.received += count as u64;
    }

    /// All of it was read and has left.
    pub(crate) fn is_done(&self) -> bool {
        self.refused || self.is_read() && self.has_left()
    }

    fn has_left(&self) -> bool {
        self.sent == self.with_head.len() + self.framed.len()
    }

    /// All of it was read.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.rest, Rest::Done)
    }

    pub(crate) fn is_replayable(&self) -> bool {
        !self.overwritten
    }

    /// To be sent from its beginning, to an endpoint whose protocol frames by itself or does not.
    pub(crate) fn rewind(&mut self, bare: bool) {
        self.sent = 0;
        self.refused = false;
        if self.bare != bare {
            self.bare = bare;
            self.reframe();
        }
    }

    /// Another attempt may speak another protocol than the one before.
    #[cold]
    fn reframe(&mut self) {
        if !self.is_unsized {
            return;
        }
        let before = std::mem::take(&mut self.framed);
        if self.bare {
            self.framed = framing::unframed(before);
            return;
        }
        if !before.is_empty() {
            framing::push_chunk(&mut self.framed, before.bytes());
        }
        if self.is_read() {
            framing::push_end(&mut self.framed, self.trailers.as_ref());
        }
    }

    /// What can leave next, in one piece.
    pub(crate) fn pending<'a>(&'a self, client: &'a Client<'_>) -> &'a [u8] {
        match client {
            Client::Http1(client) if self.sent < self.with_head.len() => {
                &self.with_head.of(client.input.bytes())[self.sent..]
            }
            Client::Http1(_) | Client::Http2(_) => {
                &self.framed.bytes()[self.sent - self.with_head.len()..]
            }
        }
    }

    pub(crate) fn left(&mut self, count: usize, client: &mut Client<'_>) {
        self.sent += count;
        self.gone += count as u64;
        if !self.repeatable && self.is_read() && self.has_left() {
            self.forget(client);
        }
    }

    /// A small body stays where its head is needed, and a larger one where the endpoint may say that it
    /// has not looked at it.
    fn forget(&mut self, client: &mut Client<'_>) {
        let worth = if self.bare { MAX_REPLAYED } else { WORTH_FORGETTING };
        if let Client::Http1(client) = client
            && self.with_head.len() > worth
        {
            client.input.cut(self.with_head.from..self.with_head.to);
            self.taken -= self.with_head.len();
            self.with_head = Span::default();
            self.overwritten = true;
        }
        if self.framed.len() > worth {
            self.framed.clear();
            self.framed.rest();
            self.overwritten = true;
        }
        self.sent = self.with_head.len() + self.framed.len();
    }

    /// Moves what can be moved. Ready when all has left; `due` is when the client is too slow.
    pub(crate) fn poll(
        &mut self,
        client: &mut Client<'_>,
        upstream: &mut Conn,
        due: &mut Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ClientError>> {
        loop {
            if self.refused {
                return Poll::Ready(Ok(()));
            }
            if !self.has_left() {
                let pending = self.pending(client);
                let last = self.is_read() && self.trailers.is_none();
                match upstream.poll_write([pending, &[]], last, cx) {
                    Poll::Ready(Ok(count @ 1..)) => self.left(count, client),
                    // It may have answered before it closed: that is for the reader to find out.
                    Poll::Ready(Ok(0) | Err(_)) => self.refused = true,
                    Poll::Pending => {
                        self.framed.fit(0);
                        return Poll::Pending;
                    }
                }
                continue;
            }
            if self.is_read() {
                upstream.end(self.trailers.as_ref());
                return Poll::Ready(Ok(()));
            }
            if self.frame(client)? {
                continue;
            }
            match self.poll_read(client, cx) {
                Poll::Ready(Ok(count)) => {
                    self.waits = false;
                    self.pace.received(count);
                }
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => {
                    self.wait_small(client);
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

    /// As many may wait in the middle of their bodies as there are connections.
    fn wait_small(&mut self, client: &mut Client<'_>) {
        let kept = self.with_head.len() + self.framed.len();
        let repeatable = self.repeatable || self.bare;
        if self.has_left() && self.sent > 0 && (!repeatable || kept > MAX_REPLAYED) {
            self.forget(client);
        }
        self.framed.fit(0);
        match client {
            Client::Http1(client) => client.input.fit(AHEAD),
            Client::Http2(_) => {}
        }
    }

    fn poll_read(
        &mut self,
        client: &mut Client<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, ClientError>> {
        self.recycle();
        let piece = self.piece();
        let read = match (&mut self.rest, client) {
            (Rest::Length(left), Client::Http1(client)) => {
                let limit = usize::try_from(*left).unwrap_or(usize::MAX);
                ready!(client.poll_readable(cx)).map_err(|_| ClientError::Gone)?;
                if self.framed.room() == 0 {
                    // With what is kept of it no more than a piece.
                    self.framed.reserve(limit.min(piece - self.framed.len()));
                }
                let read = ready!(client.poll_body(&mut self.framed, limit, cx));
                let count = read.as_ref().map_or(0, |count| *count);
                *left -= count as u64;
                let ends = *left == 0;
                self.tap.body_piece(&self.framed.bytes()[self.framed.len() - count..]);
                if ends {
                    self.end(None);
                }
                self.note(count);
                read
            }
            (Rest::Chunked(_), Client::Http1(client)) => {
                ready!(client.poll_body(&mut self.raw, piece, cx))
            }
            (Rest::Stream, Client::Http2(stream)) => {
                let Some(read) = ready!(stream.poll_body(cx)) else {
                    let trailers =
                        ready!(stream.poll_trailers(cx)).map_err(|_| ClientError::Gone)?;
                    self.end(trailers);
                    return Poll::Ready(Ok(0));
                };
                let data = read.map_err(|_| ClientError::Gone)?;
                self.tap.body(&data);
                match self.is_unsized && !self.bare {
                    true if data.is_empty() => {}
                    true => framing::push_chunk(&mut self.framed, &data),
                    false => self.framed.push(&data),
                }
                self.note(data.len());
                return Poll::Ready(self.within(true).map(|_| data.len()));
            }
            (Rest::Done | Rest::Length(_) | Rest::Chunked(_) | Rest::Stream, _) => {
                self.rest = Rest::Done;
                self.tap.ended(Instant::now);
                return Poll::Ready(Ok(0));
            }
        };
        // The end of the connection is not the end of a body.
        Poll::Ready(match read {
            Ok(count @ 1..) => Ok(count),
            Ok(0) | Err(_) => Err(ClientError::Gone),
        })
    }

    fn piece(&self) -> usize {
        if self.bare { BARE_PIECE } else { PIECE }
    }

    /// What has left makes room when there is none.
    fn recycle(&mut self) {
        if self.framed.len() >= self.piece() && self.has_left() {
            self.framed.clear();
            self.sent = self.with_head.len();
            self.overwritten = true;
        }
    }

    /// Frames anew what has come of chunks. Says whether there is something to send.
    fn frame(&mut self, client: &mut Client<'_>) -> Result<bool, ClientError> {
        let piece = self.piece();
        let Rest::Chunked(chunks) = &mut self.rest else { return self.within(false) };
        let mut any = false;
        while !self.raw.is_empty() && self.framed.len() < 2 * piece {
            match chunks.step(self.raw.bytes()).map_err(|_| ClientError::Invalid)? {
                Piece::Framing(count) => self.raw.advance(count),
                Piece::Data(count) => {
                    let data = &self.raw.bytes()[..count];
                    self.tap.body_piece(data);
                    match self.bare {
                        true => self.framed.push(data),
                        false => framing::push_chunk(&mut self.framed, data),
                    }
                    self.raw.advance(count);
                    self.received += count as u64;
                    any = true;
                }
                Piece::End(count) => {
                    self.raw.advance(count);
                    let lines = chunks.trailers();
                    let trailers = if lines.is_empty() { None } else { trailers_of(lines) };
                    // What follows is the next request.
                    client.keep(&self.raw);
                    self.raw.clear();
                    self.end(trailers);
                    return self.within(true);
                }
            }
        }
        self.within(any)
    }

    /// All of it was read, and these stand after it.
    fn end(&mut self, trailers: Option<HeaderMap>) {
        self.rest = Rest::Done;
        self.tap.ended(Instant::now);
        let edits = self.route.as_ref().map(|route| &route.request);
        self.trailers = trailers.and_then(|came| trailers::passing(came, edits));
        if self.is_unsized && !self.bare {
            framing::push_end(&mut self.framed, self.trailers.as_ref());
        }
    }

    fn within(&self, any: bool) -> Result<bool, ClientError> {
        match self.most {
            Some(most) if self.received > most => Err(ClientError::TooLarge),
            Some(_) | None => Ok(any),
        }
    }

    /// Takes this request off the connection's input.
    pub(crate) fn finish(&self, client: &mut ClientConnection) {
        client.input.advance(self.taken);
        if self.overwritten {
            // What was left of it stood in less than the next request may need.
            client.input.rest();
        }
    }
}
