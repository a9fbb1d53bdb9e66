//! One request and its answer on a connection of HTTP/2.
//!
//! Heads are text on this side, bodies are bytes without framing, and the end is the end. A stream that
//! is dropped before its end is cancelled, and its endpoint is told so at once.

use super::owed;
use super::shared::{Share, Shared};
use crate::buffer::Buffer;
use crate::wire::http2 as heads;
use bytes::{Buf, Bytes};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, TE};
use http::{HeaderMap, HeaderValue};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

#[derive(Debug)]
pub(crate) struct Stream {
    share: Share,
    /// Once it was asked.
    id: u32,
    /// Until the end of the request has left.
    request: Option<SendStream<Bytes>>,
    answer: Answer,
    /// Of the body, what has come and was not taken yet.
    piece: Bytes,
    /// Was taken, and may be sent anew once more is asked for: until then whoever took it may still have it.
    taken: usize,
    /// What is still to come of the body, where the head says it.
    left: Option<u64>,
    /// Its client takes nothing.
    stalled: bool,
    /// What its connection counts for it.
    owed: u64,
    trailers: Option<HeaderMap>,
    /// How much had been heard on the connection when it was asked.
    heard: u64,
    broke: Option<Broke>,
}

#[derive(Debug)]
enum Answer {
    Unasked,
    Awaited(ResponseFuture),
    Body(RecvStream),
    Ended,
}

/// How the endpoint broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broke {
    /// It has not looked at the request: that may be sent again, whatever it is.
    Unseen,
    /// The stream alone.
    Reset(Reason),
    /// Its answer has a field that is malformed.
    Malformed,
    /// This side has ended the connection over an answer that it could not read, and does not know
    /// which: one malformed field is enough.
    Unreadable,
    Connection,
}

/// Why a request could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// HTTP/2 has no place for it.
    Unsayable,
    /// The connection takes no more.
    Closed,
}

impl Stream {
    pub(super) fn new(share: Share) -> Self {
        Self {
            share,
            id: 0,
            request: None,
            answer: Answer::Unasked,
            piece: Bytes::new(),
            taken: 0,
            left: None,
            stalled: false,
            owed: 0,
            trailers: None,
            heard: 0,
            broke: None,
        }
    }

    /// The only one on its connection.
    pub(in super::super) fn alone(shared: &Arc<Shared>) -> Self {
        Self::new(Share::alone(shared))
    }

    /// The connection had carried an answer, and nothing since.
    pub(crate) fn had_rested(&self) -> bool {
        self.share.rested
    }

    /// Sends the request's head, whose body ends with it if it is `whole`. `trailers` says that somebody
    /// reads what stands after the answer's body.
    pub(crate) fn ask(&mut self, head: &[u8], trailers: bool, whole: bool) -> Result<(), Refused> {
        let tls = self.share.shared.tls;
        let mut request = heads::request(head, tls).ok_or(Refused::Unsayable)?;
        if trailers {
            request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        }
        self.heard = self.share.shared.heard.count();
        match self.share.client.send_request(request, whole) {
            Ok((answer, body)) => {
                self.id = answer.stream_id().as_u32();
                self.answer = Answer::Awaited(answer);
                self.request = (!whole).then_some(body);
                Ok(())
            }
            Err(_) => {
                self.share.shared.retire();
                self.broke = Some(Broke::Unseen);
                Err(Refused::Closed)
            }
        }
    }

    /// Hands over of two pieces of the body as much as the endpoint's windows take. `last` says that
    /// nothing follows.
    pub(in super::super) fn poll_write(
        &mut self,
        pieces: [&[u8]; 2],
        last: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Some(body) = &mut self.request else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let [first, second] = pieces;
        let (piece, rest) = if first.is_empty() { (second, first) } else { (first, second) };
        body.reserve_capacity(piece.len());
        let mut room = body.capacity();
        while room == 0 {
            room = match ready!(body.poll_capacity(cx)) {
                Some(Ok(room)) => room,
                Some(Err(e)) => return Poll::Ready(Err(io::Error::other(e))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let count = room.min(piece.len());
        let last = last && count == piece.len() && rest.is_empty();
        let sent = body.send_data(Bytes::copy_from_slice(&piece[..count]), last);
        if last {
            self.request = None;
        }
        Poll::Ready(sent.map(|()| count).map_err(io::Error::other))
    }

    /// Nothing more of the request follows but its trailers, if it has any.
    pub(in super::super) fn end(&mut self, trailers: Option<&HeaderMap>) {
        let Some(mut body) = self.request.take() else { return };
        // Who is gone is met by whoever reads the answer.
        let _ = match trailers {
            Some(trailers) => body.send_trailers(trailers.clone()),
            None => body.send_data(Bytes::new(), true),
        };
    }

    /// Whether there may be something to read.
    pub(in super::super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.answer {
            Answer::Body(body) if self.piece.is_empty() && self.broke.is_none() => {
                if let Some(piece) = ready!(body.poll_data(cx)) {
                    match piece {
                        Ok(piece) => self.piece = piece,
                        Err(error) => self.broke = Some(Broke::of(&error)),
                    }
                }
                Poll::Ready(())
            }
            Answer::Unasked | Answer::Awaited(_) | Answer::Body(_) | Answer::Ended => {
                Poll::Ready(())
            }
        }
    }

    /// Reads the text of a head, or of the body at most `limit` bytes, which the endpoint may send anew once
    /// more is asked for. `Ok(0)` is the end. An endpoint that says that it is too much for it gets nothing
    /// else over this connection.
    pub(in super::super) fn poll_fill(
        &mut self,
        input: &mut Buffer,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.stall(false);
        if self.broke.is_none() {
            match ready!(self.poll_next(input, limit, cx)) {
                Ok(_) if self.share.shared.malformed.is(self.id) => {
                    self.broke = Some(Broke::Malformed);
                }
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) if self.is_answered(&error) => {
                    self.answer = Answer::Ended;
                    return Poll::Ready(Ok(0));
                }
                Err(error) => {
                    if error.is_remote() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
                        self.share.shared.retire();
                    }
                    self.broke = Some(Broke::of(&error));
                }
            }
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    fn poll_next(
        &mut self,
        input: &mut Buffer,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, h2::Error>> {
        loop {
            match &mut self.answer {
                Answer::Awaited(answer) => {
                    let before = input.len();
                    if let Poll::Ready(Some(interim)) = answer.poll_informational(cx) {
                        let interim = interim?;
                        heads::write_answer(interim.status(), interim.headers(), input);
                    } else {
                        let (head, body) = ready!(Pin::new(answer).poll(cx))?.into_parts();
                        heads::write_answer(head.status, &head.headers, input);
                        // To HEAD it is said, and does not come.
                        let whole = body.is_end_stream();
                        self.left = if whole { Some(0) } else { length_of(&head.headers) };
                        self.answer = Answer::Body(body);
                        self.count();
                    }
                    return Poll::Ready(Ok(input.len() - before));
                }
                Answer::Body(body) if self.taken > 0 => {
                    body.flow_control().release_capacity(std::mem::take(&mut self.taken))?;
                }
                Answer::Body(body) if self.piece.is_empty() => {
                    if let Some(piece) = ready!(body.poll_data(cx)) {
                        self.piece = piece?;
                    } else {
                        self.trailers = ready!(body.poll_trailers(cx))?;
                        self.answer = Answer::Ended;
                    }
                }
                Answer::Body(_) => {
                    let count = limit.min(self.piece.len());
                    input.push(&self.piece[..count]);
                    self.piece.advance(count);
                    self.taken = count;
                    self.left = self.left.map(|left| left.saturating_sub(count as u64));
                    return Poll::Ready(Ok(count));
                }
                Answer::Ended | Answer::Unasked => return Poll::Ready(Ok(0)),
            }
        }
    }

    /// Its client takes nothing, or something again.
    pub(in super::super) fn stall(&mut self, stalled: bool) {
        self.stalled = stalled;
        self.count();
    }

    fn count(&mut self) {
        self.owes(owed::by(self.left, self.stalled));
    }

    fn owes(&mut self, now: u64) {
        let before = std::mem::replace(&mut self.owed, now);
        if now != before {
            self.share.shared.owes(now, before);
        }
    }

    /// An endpoint that has answered and wants no more of the request says so with a reset that is no
    /// error.
    fn is_answered(&self, error: &h2::Error) -> bool {
        matches!(self.answer, Answer::Body(_))
            && self.request.is_some()
            && error.is_reset()
            && error.is_remote()
            && error.reason() == Some(Reason::NO_ERROR)
    }

    /// All of the answer was read but its trailers, of which there are none either.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.answer {
            Answer::Body(body) => self.piece.is_empty() && body.is_end_stream(),
            Answer::Ended => self.trailers.is_none(),
            Answer::Unasked | Answer::Awaited(_) => false,
        }
    }

    /// What came after the answer's body.
    pub(crate) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    /// The endpoint says that it has not looked at the request.
    pub(crate) fn was_unseen(&self) -> bool {
        self.broke == Some(Broke::Unseen)
    }

    /// Some answer on the connection could not be read, and all others ended with it.
    pub(crate) fn was_unreadable(&self) -> bool {
        self.broke == Some(Broke::Unreadable)
    }

    /// A field of its answer is malformed.
    pub(crate) fn was_malformed(&self) -> bool {
        self.broke == Some(Broke::Malformed)
    }

    /// With it everything else on the connection has ended.
    pub(crate) fn lost_its_connection(&self) -> bool {
        self.broke == Some(Broke::Connection)
    }

    /// The code with which the endpoint has broken off.
    pub(crate) fn reset_code(&self) -> Option<u32> {
        match self.broke {
            Some(Broke::Reset(reason)) => Some(reason.into()),
            Some(Broke::Unseen | Broke::Malformed | Broke::Unreadable | Broke::Connection)
            | None => None,
        }
    }

    /// It was waited for in vain. A connection on which nothing came meanwhile may be dead.
    pub(in super::super) fn doubt(&self) {
        if self.share.shared.heard.count() == self.heard {
            self.share.shared.retire();
        }
    }

    pub(in super::super) fn shared(&self) -> &Arc<Shared> {
        &self.share.shared
    }
}

/// Of a body, as its head says it.
fn length_of(head: &HeaderMap) -> Option<u64> {
    head.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.owes(0);
        self.share.shared.malformed.forget(self.id);
    }
}

impl Broke {
    fn of(error: &h2::Error) -> Self {
        let reason = error.reason().filter(|_| error.is_reset());
        match reason {
            Some(Reason::REFUSED_STREAM) if error.is_remote() => Self::Unseen,
            // The library has found it to be so.
            Some(_) if error.is_library() => Self::Malformed,
            Some(reason) => Self::Reset(reason),
            // Streams that were looked at are not among those that are told of it.
            None if error.is_go_away() && error.is_remote() => Self::Unseen,
            None if error.is_go_away() && error.is_library() => Self::Unreadable,
            None => Self::Connection,
        }
    }
}
