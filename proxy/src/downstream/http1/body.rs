//! The body of a request of HTTP/1, read from its connection.

use crate::buffer::Buffer;
use crate::downstream::http1::connection::ClientConnection;
use crate::exchange::request_body::{BodyKind, ClientError, RequestBody};
use crate::wire::chunks::{Chunks, Piece};
use crate::wire::head::{Framing, Head, Span};
use crate::wire::http2::trailers as trailers_of;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Room for what the client says after a body that is waited for.
const AHEAD: usize = 512;

#[derive(Debug)]
pub(super) struct IncomingBody {
    rest: Rest,
    /// What came with the head and goes out as it is: where it stands in the connection's input,
    /// which keeps it.
    early: Span,
    /// Of chunks, as they came.
    raw: Buffer,
    /// So much of the connection's input belongs to this request.
    taken: usize,
}

#[derive(Debug)]
enum Rest {
    Done,
    Length(u64),
    Chunked(Chunks),
}

impl IncomingBody {
    /// `input` is the connection's, of which the head is the beginning.
    pub(super) fn begin(head: &Head, input: &[u8]) -> (Self, BodyKind) {
        let (taken, early) = (head.length, Span::default());
        let mut body = Self { rest: Rest::Done, early, raw: Buffer::default(), taken };
        let here = &input[head.length..];
        let kind = match head.framing {
            Framing::None => BodyKind::None,
            Framing::Length(length) => {
                let early = here.len().min(usize::try_from(length).unwrap_or(usize::MAX));
                body.early = Span { from: head.length, to: head.length + early };
                body.taken += early;
                let left = length - early as u64;
                if left > 0 {
                    body.rest = Rest::Length(left);
                }
                BodyKind::Sized { early, whole: left == 0 }
            }
            Framing::Chunked => {
                body.raw.push(here);
                body.taken += here.len();
                body.rest = Rest::Chunked(Chunks::default());
                BodyKind::Framed { is_unsized: true }
            }
        };
        (body, kind)
    }

    /// Nothing of it has come.
    pub(super) fn is_untouched(&self) -> bool {
        self.early.is_empty() && self.raw.is_empty()
    }

    pub(super) fn early<'a>(&self, connection: &'a ClientConnection) -> &'a [u8] {
        self.early.of(connection.input.bytes())
    }

    pub(super) fn forget_early(&mut self, connection: &mut ClientConnection) {
        connection.input.cut(self.early.from..self.early.to);
        self.taken -= self.early.len();
        self.early = Span::default();
    }

    /// The end of the connection is not the end of a body.
    pub(super) fn poll(
        &mut self,
        connection: &mut ClientConnection,
        body: &mut RequestBody,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ClientError>> {
        match &mut self.rest {
            Rest::Done => body.end(None),
            Rest::Length(left) => {
                ready!(connection.poll_readable(cx)).map_err(|_| ClientError::Gone)?;
                let limit = usize::try_from(*left).unwrap_or(usize::MAX);
                let read = ready!(body.poll_fill(Pin::new(&mut connection.transport), limit, cx));
                *left -= connection.note_read(read)? as u64;
                if *left == 0 {
                    body.end(None);
                }
            }
            Rest::Chunked(chunks) => {
                while !unframe(chunks, &mut self.raw, connection, body)? {
                    let (raw, most) = (&mut self.raw, body.piece());
                    let read = ready!(raw.poll_fill(Pin::new(&mut connection.transport), most, cx));
                    body.came(connection.note_read(read)?);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes this request off the connection's input. What was left of it stands in less than the next
    /// request may need, where some of it was `forgotten`.
    pub(super) fn finish(&self, connection: &mut ClientConnection, forgotten: bool) {
        connection.input.advance(self.taken);
        if forgotten {
            connection.input.rest();
        }
    }
}

pub(super) fn wait_small(connection: &mut ClientConnection) {
    connection.input.fit(AHEAD);
}

/// Takes out of their frames what has come of chunks. Says whether that was something, or their end.
fn unframe(
    chunks: &mut Chunks,
    raw: &mut Buffer,
    connection: &mut ClientConnection,
    body: &mut RequestBody,
) -> Result<bool, ClientError> {
    let mut any = false;
    while !raw.is_empty() && body.has_room() {
        match chunks.step(raw.bytes()).map_err(|_| ClientError::Invalid)? {
            Piece::Framing(count) => raw.advance(count),
            Piece::Data(count) => {
                body.push(&raw.bytes()[..count]);
                raw.advance(count);
                any = true;
            }
            Piece::End(count) => {
                raw.advance(count);
                let lines = chunks.trailers();
                let trailers = if lines.is_empty() { None } else { trailers_of(lines) };
                // What follows is the next request.
                connection.input.push(raw.bytes());
                raw.clear();
                body.end(trailers);
                return Ok(true);
            }
        }
    }
    Ok(any)
}
