//! Bytes between client and endpoint, in both directions at once.
//!
//! Every wait here moves the request's body along, looks out for the client's end, and has a
//! deadline. Nothing waits for a socket that has said that it is not ready: a read is made once it
//! has something.

use crate::buffer::Buffer;
use crate::downstream::client::Client;
use crate::exchange::framing::{push_chunk, push_end};
use crate::exchange::request_body::{self, RequestBody};
use crate::pieces::rest_of;
use crate::request::context::RequestContext;
use crate::request::{answer as meaning, trailers};
use crate::upstream::conn::{Conn, Refused};
use crate::wire::answer::{self as wire, Body, Read, ResponseHead};
use crate::wire::chunks::{Chunks, Piece};
use crate::wire::head::Field;
use crate::wire::http2::trailers as trailers_of;
use crate::wire::view::View;
use http::HeaderMap;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// So much of a body is copied to stand behind its head: two pieces cost more to write than that.
const COPIED: usize = 2 * 1024;
/// A body that is longer gets more room to come in.
const LONG: usize = 16 * 1024;
const CHUNKS_AT_ONCE: usize = 32 * 1024;

/// Why an exchange ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelayError {
    Client(request_body::ClientError),
    /// The connection takes no request any more: nothing was sent.
    Closed,
    /// The endpoint broke off.
    Reset(Reset),
    Invalid,
    Late,
    Stalled,
    /// The candidate was rolled back while it was waited for.
    Withdrawn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reset {
    /// Its connection ended, and never said a byte.
    pub(crate) silent: bool,
    /// It says that it has not looked at the request.
    pub(crate) unseen: bool,
    /// Some answer on its connection, perhaps another's, could not be read.
    pub(crate) unreadable: bool,
    /// The code with which it broke off, where the protocol has one.
    pub(crate) code: Option<u32>,
}

impl Reset {
    fn http1(silent: bool) -> RelayError {
        RelayError::Reset(Self { silent, unseen: false, unreadable: false, code: None })
    }
}

impl From<request_body::ClientError> for RelayError {
    fn from(fault: request_body::ClientError) -> Self {
        Self::Client(fault)
    }
}

pub(crate) struct Relay<'a> {
    pub(crate) client: Client<'a>,
    pub(crate) upstream: Conn,
    pub(crate) body: &'a mut RequestBody,
    /// Towards the client.
    pub(crate) down: &'a mut Buffer,
    /// The fields of the head that came last.
    pub(crate) fields: &'a mut Vec<Field>,
    pub(crate) response: Duration,
    pub(crate) idle: Duration,
    /// When bytes last came from the endpoint, or left for one side or the other.
    pub(crate) moved: Instant,
    /// When the last of the request left: the answer is due from then on, whatever comes before it.
    asked: Instant,
}

/// What a wait ended with.
enum Came {
    Bytes,
    End,
}

impl<'a> Relay<'a> {
    pub(crate) fn new(
        client: Client<'a>,
        upstream: Conn,
        body: &'a mut RequestBody,
        down: &'a mut Buffer,
        fields: &'a mut Vec<Field>,
        (response, idle): (Duration, Duration),
    ) -> Self {
        let moved = Instant::now();
        let asked = moved;
        Self { client, upstream, body, down, fields, response, idle, moved, asked }
    }

    /// Sends the head, and what is there of the body with it. `trailers`: the client reads them.
    pub(crate) async fn send(&mut self, head: &[u8], trailers: bool) -> Result<(), RelayError> {
        if let Some(stream) = self.upstream.stream() {
            return stream.ask(head, trailers, self.body.is_done()).map_err(
                |refused| match refused {
                    Refused::Closed => RelayError::Closed,
                    Refused::Unsayable => RelayError::Client(request_body::ClientError::Unsayable),
                },
            );
        }
        let mut sent = 0;
        poll_fn(|cx| {
            while sent < head.len() {
                let both = rest_of([head, self.body.pending(&self.client)], sent);
                match self.upstream.poll_write(both, false, cx) {
                    Poll::Ready(Ok(count @ 1..)) => sent += count,
                    Poll::Ready(Ok(0) | Err(_)) => {
                        return Poll::Ready(Err(Reset::http1(true)));
                    }
                    Poll::Pending => {
                        return self.late(self.moved + self.idle, RelayError::Stalled, cx);
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        self.body.left(sent - head.len(), &mut self.client);
        Ok(())
    }

    fn late<T>(
        &mut self,
        due: Instant,
        otherwise: RelayError,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, RelayError>> {
        if !self.client.deadline().has_come(due, cx) {
            return Poll::Pending;
        }
        if matches!(otherwise, RelayError::Late | RelayError::Stalled) {
            self.upstream.doubt();
        }
        Poll::Ready(Err(otherwise))
    }

    /// Waits for the final head, or for one that changes the protocol. Interim answers go to the
    /// client at once.
    pub(crate) async fn head(&mut self, asked_head: bool) -> Result<ResponseHead, RelayError> {
        let mut judged = 0;
        loop {
            let bytes = self.upstream.input.bytes();
            if bytes.len() > judged {
                judged = bytes.len();
                match wire::parse(bytes, asked_head, self.fields) {
                    Read::Whole(head) if head.status < 200 && head.status != 101 => {
                        let view = View::of(bytes, self.fields);
                        if head.status == 100 {
                            self.body.may_come(self.client.limits());
                        }
                        let reason = head.reason.of(bytes);
                        self.client.interim(head.status, reason, &view, self.down);
                        self.upstream.input.advance(head.length);
                        judged = 0;
                        self.flush().await?;
                        continue;
                    }
                    Read::Whole(mut head) => {
                        self.note_end(asked_head, &mut head);
                        return Ok(head);
                    }
                    Read::Invalid => return Err(RelayError::Invalid),
                    Read::Partial => {}
                }
            }
            match self.more(true).await? {
                Came::Bytes => {}
                Came::End => return Err(Reset::http1(self.upstream.input.is_empty())),
            }
        }
    }

    /// HTTP/2 says with the head whether anything follows it, and trailers may follow an empty body.
    fn note_end(&mut self, asked_head: bool, head: &mut ResponseHead) {
        let Some(stream) = self.upstream.stream() else { return };
        let bodiless = asked_head || matches!(head.status, 204 | 304);
        match head.body {
            Body::UntilEnd if stream.has_ended() => {
                head.body = Body::None;
                // Where no protocol says it an answer without a length is one without an end.
                head.length_once = (!self.client.frames_itself()).then_some(0);
            }
            Body::None if self.client.frames_itself() && !bodiless && !stream.has_ended() => {
                head.body = Body::UntilEnd;
            }
            Body::None | Body::Length(_) | Body::Chunked | Body::UntilEnd => {}
        }
    }

    /// The endpoint broke off.
    fn reset(&mut self) -> RelayError {
        let silent = self.upstream.input.is_empty();
        let Some(stream) = self.upstream.stream() else { return Reset::http1(silent) };
        if stream.was_malformed() {
            return RelayError::Invalid;
        }
        RelayError::Reset(Reset {
            silent: silent && stream.lost_its_connection(),
            unseen: stream.was_unseen(),
            unreadable: stream.was_unreadable(),
            code: stream.reset_code(),
        })
    }

    /// Waits until the endpoint says something.
    async fn more(&mut self, awaiting_head: bool) -> Result<Came, RelayError> {
        poll_fn(|cx| self.poll_more(awaiting_head, cx)).await
    }

    fn poll_more(
        &mut self,
        awaiting_head: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Came, RelayError>> {
        // Of a request that is with the endpoint only the client's end can still be seen, and that
        // only matters while there is no answer.
        let mut slow = Ok(None);
        if !self.body.is_done() {
            slow = self.drive(cx);
        }
        let limit = match awaiting_head {
            true => self.client.first_read(),
            false => self.limit(cx)?,
        };
        match self.upstream.poll_fill(limit, cx) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Came::End)),
            Poll::Ready(Ok(_)) => {
                self.moved = Instant::now();
                return Poll::Ready(Ok(Came::Bytes));
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Err(self.reset())),
            Poll::Pending if !awaiting_head => self.client.give_room_up(),
            Poll::Pending => {}
        }
        if self.body.is_done() {
            slow = self.drive(cx);
        }
        let slow = match slow {
            Ok(slow) => slow,
            Err(fault) => return Poll::Ready(Err(fault.into())),
        };
        let (due, otherwise) = match (slow, awaiting_head) {
            // The client is being waited for.
            (Some(due), _) => (due, RelayError::Client(request_body::ClientError::TooSlow)),
            // The endpoint is to answer, or to say that the body may come.
            (None, true) if self.body.is_done() || self.body.waits => {
                (self.asked + self.response, RelayError::Late)
            }
            // The endpoint takes the body, or does not.
            (None, _) => (self.moved + self.idle, RelayError::Stalled),
        };
        self.late(due, otherwise, cx)
    }

    /// How much of the answer may be read now.
    fn limit(&mut self, cx: &mut Context<'_>) -> Result<usize, request_body::ClientError> {
        // Room that is set apart is no other stream's: only once there is something to read.
        if !self.client.frames_itself() || self.upstream.poll_readable(cx).is_pending() {
            return Ok(usize::MAX);
        }
        self.client.room(cx).map_err(|_| request_body::ClientError::Gone)
    }

    /// Moves the request's body along, or looks out for the client's end. Gives the moment when the
    /// client is too slow, if it is the one that is waited for.
    fn drive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Result<Option<Instant>, request_body::ClientError> {
        if let Poll::Ready(Err(_)) = self.upstream.poll_flush(cx) {
            self.body.refused = true;
        }
        if self.body.is_done() {
            self.client.watch(cx).map_err(|_| request_body::ClientError::Gone)?;
            return Ok(None);
        }
        let (mut due, gone) = (None, self.body.gone);
        let polled = self.body.poll(&mut self.client, &mut self.upstream, &mut due, cx);
        if polled.is_ready() || self.body.gone > gone {
            self.moved = Instant::now();
            self.asked = self.moved;
        }
        match polled {
            Poll::Ready(done) => done.map(|()| None),
            Poll::Pending => Ok(due),
        }
    }

    /// Passes the body on, and gives what stands after it. `sent` counts what the client got of it.
    pub(crate) async fn body(
        &mut self,
        body: Body,
        sent: &mut u64,
        context: &mut RequestContext,
    ) -> Result<Option<HeaderMap>, RelayError> {
        match body {
            Body::None => self.flush().await.map(|()| None),
            Body::Length(length) if !self.upstream.frames_itself() => {
                self.length(length, sent).await.map(|()| None)
            }
            Body::Chunked => self.chunks(sent, context).await,
            Body::Length(_) | Body::UntilEnd => {
                let framed = body == Body::UntilEnd && self.client.takes_chunks();
                self.until_end(framed, sent, context).await
            }
        }
    }

    /// What the client gets of what stands after the body.
    fn following(
        &self,
        came: Option<HeaderMap>,
        context: &mut RequestContext,
    ) -> Option<HeaderMap> {
        let came = came?;
        meaning::trailers_came(&came, context);
        let takes = self.client.takes_trailers(context.asked.trailers);
        let edits = context.route.as_ref().map(|route| &route.response);
        trailers::passing(came, edits).filter(|_| takes)
    }

    async fn length(&mut self, mut left: u64, sent: &mut u64) -> Result<(), RelayError> {
        loop {
            let here = self.upstream.input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.body.tap.answer_piece(&self.upstream.input.bytes()[..here]);
            self.pass(here).await?;
            *sent += here as u64;
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            if left > LONG as u64 {
                self.upstream.input.enlarge();
            }
            if let Came::End = self.more(false).await? {
                return Err(Reset::http1(false));
            }
        }
    }

    /// Where no length is named a client of HTTP/1 gets it in chunks, so that it can tell the end from an
    /// accident.
    async fn until_end(
        &mut self,
        framed: bool,
        sent: &mut u64,
        context: &mut RequestContext,
    ) -> Result<Option<HeaderMap>, RelayError> {
        loop {
            let here = self.upstream.input.len();
            self.body.tap.answer_piece(self.upstream.input.bytes());
            // Then no trailers follow either.
            let last = here > 0 && self.upstream.stream().is_some_and(|stream| stream.has_ended());
            if last {
                self.client.ends_after(here);
            }
            if framed && here > 0 {
                push_chunk(self.down, self.upstream.input.bytes());
                self.upstream.input.clear();
                if last {
                    push_end(self.down, None);
                }
                self.flush().await?;
            } else {
                self.pass(here).await?;
            }
            *sent += here as u64;
            // A client that has all of it has no room for more, and must not be taken for gone.
            if last {
                return Ok(None);
            }
            if let Came::End = self.more(false).await? {
                let came = self.upstream.stream().and_then(|stream| stream.take_trailers());
                let following = self.following(came, context);
                if framed {
                    push_end(self.down, following.as_ref());
                }
                return self.flush().await.map(|()| following);
            }
        }
    }

    async fn chunks(
        &mut self,
        sent: &mut u64,
        context: &mut RequestContext,
    ) -> Result<Option<HeaderMap>, RelayError> {
        let mut chunks = Chunks::default();
        loop {
            while !self.upstream.input.is_empty() && self.down.len() < CHUNKS_AT_ONCE {
                let input = &mut self.upstream.input;
                match chunks.step(input.bytes()).map_err(|_| Reset::http1(false))? {
                    Piece::Framing(count) => input.advance(count),
                    Piece::Data(count) => {
                        self.body.tap.answer_piece(&input.bytes()[..count]);
                        match self.client.takes_chunks() {
                            true => push_chunk(self.down, &input.bytes()[..count]),
                            false => self.down.push(&input.bytes()[..count]),
                        }
                        input.advance(count);
                        *sent += count as u64;
                    }
                    Piece::End(count) => {
                        input.advance(count);
                        let lines = chunks.trailers();
                        let came = if lines.is_empty() { None } else { trailers_of(lines) };
                        let following = self.following(came, context);
                        if self.client.takes_chunks() {
                            push_end(self.down, following.as_ref());
                        }
                        return self.flush().await.map(|()| following);
                    }
                }
            }
            self.flush().await?;
            if self.upstream.input.is_empty()
                && let Came::End = self.more(false).await?
            {
                return Err(Reset::http1(false));
            }
        }
    }

    /// The next `count` bytes of the endpoint go to the client, with what waits for it.
    async fn pass(&mut self, count: usize) -> Result<(), RelayError> {
        if count <= COPIED {
            self.down.push(&self.upstream.input.bytes()[..count]);
            self.upstream.input.advance(count);
            return self.flush().await;
        }
        let (mut count, mut written) = (count, 0);
        poll_fn(|cx| {
            let pieces = [self.down.bytes(), &self.upstream.input.bytes()[..count]];
            let done = self.client.poll_write_all(pieces, &mut written, cx);
            if done.is_pending() {
                let of_down = written.min(self.down.len());
                self.down.advance(of_down);
                self.upstream.input.advance(written - of_down);
                count -= written - of_down;
                written = 0;
                self.wait_small();
            }
            self.stalled(done, cx)
        })
        .await?;
        self.down.clear();
        self.upstream.input.advance(count);
        self.moved = Instant::now();
        Ok(())
    }

    /// What waits for the client leaves.
    pub(crate) async fn flush(&mut self) -> Result<(), RelayError> {
        if self.down.is_empty() && !self.client.owes() {
            return Ok(());
        }
        let mut written = 0;
        poll_fn(|cx| {
            let done = self.client.poll_write_all([self.down.bytes(), &[]], &mut written, cx);
            if done.is_pending() {
                self.down.advance(std::mem::take(&mut written));
                self.wait_small();
            }
            self.stalled(done, cx)
        })
        .await?;
        self.down.clear();
        Ok(())
    }

    /// It may be long until the client takes the rest.
    fn wait_small(&mut self) {
        self.down.fit(0);
        self.upstream.input.fit(0);
    }

    /// A client that does not read is waited for as long as a connection may idle. Its own body
    /// goes on meanwhile.
    fn stalled(
        &mut self,
        written: Poll<io::Result<()>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), RelayError>> {
        match written {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => {
                Poll::Ready(Err(RelayError::Client(request_body::ClientError::Gone)))
            }
            Poll::Pending => {
                if !self.body.is_done() || self.upstream.is_behind() {
                    self.drive(cx)?;
                }
                let patience = self.client.patience();
                self.late(
                    self.moved + patience,
                    RelayError::Client(request_body::ClientError::Gone),
                    cx,
                )
            }
        }
    }
}
