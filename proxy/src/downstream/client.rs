//! Whom an exchange is for: a connection of HTTP/1, or a stream of HTTP/2.

use crate::buffer::Buffer;
use crate::downstream::http1::connection::ClientConnection;
use crate::downstream::http2::stream::Stream;
use crate::downstream::response::{self, Towards};
use crate::exchange::relay::RelayError;
use crate::exchange::request_body::ClientError;
use crate::ingress::ClientInfo;
use crate::pieces::rest_of;
use crate::request::context::RequestContext;
use crate::route::Fields;
use crate::wheel::Deadline;
use crate::wire::answer::ResponseHead;
use crate::wire::view::View;
use http::HeaderMap;
use serin_config::model::ListenerLimits;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What is read at once for a stream of HTTP/2,
const MAX_READ: usize = 64 * 1024;
/// with its head,
const FIRST: usize = 1024;
/// and while its client has no room.
const LOOK: usize = 64;

pub(crate) enum Client<'a> {
    Http1(&'a mut ClientConnection),
    Http2(&'a mut Stream),
}

impl Client<'_> {
    /// For one more attempt.
    pub(crate) fn again(&mut self) -> Client<'_> {
        match self {
            Self::Http1(client) => Client::Http1(client),
            Self::Http2(stream) => Client::Http2(stream),
        }
    }

    /// The head of a backend's answer, to leave with what is written next. `down` is what waits for the
    /// client.
    pub(crate) fn answer(
        &mut self,
        head: &ResponseHead,
        view: &View<'_>,
        context: &mut RequestContext,
        towards: Towards,
        down: &mut Buffer,
    ) -> Result<(), RelayError> {
        match self {
            Self::Http1(client) => {
                let is_whole = head.body.is_within(view.bytes.len() - head.length);
                client.is_last = !towards.keeps && is_whole && head.status != 101;
                response::write(head, view, context, towards, down);
                Ok(())
            }
            Self::Http2(stream) => {
                let answer = response::head_of(head, view, context, towards.trailers)
                    .ok_or(RelayError::Invalid)?;
                // What trailers may follow has no last byte.
                let length = match head.status {
                    101 => Some(None),
                    _ => head.body.length().map(|length| length.filter(|_| !towards.trailers)),
                };
                context.status = answer.status.as_u16();
                stream.answer(answer, length).map_err(|_| RelayError::Client(ClientError::Gone))
            }
        }
    }

    /// The answer was whole, and these stand after its body. HTTP/1 has written them with its chunks.
    pub(crate) fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), RelayError> {
        match self {
            Self::Http1(_) => Ok(()),
            Self::Http2(stream) => {
                let finished = match trailers {
                    Some(trailers) => stream.trailers(trailers),
                    None => stream.finish(),
                };
                finished.map_err(|_| RelayError::Client(ClientError::Gone))
            }
        }
    }

    /// An interim answer, to leave with what is written next. `down` is what waits for the client.
    pub(crate) fn interim(
        &mut self,
        status: u16,
        reason: &[u8],
        fields: &dyn Fields,
        down: &mut Buffer,
    ) {
        match self {
            // It would take it for the answer.
            Self::Http1(client) if client.is_http10 => {}
            Self::Http1(_) => response::write_interim(status, reason, fields, down),
            Self::Http2(stream) => stream.interim(status, fields),
        }
    }

    /// Whether there is something to leave that no buffer holds.
    pub(crate) fn owes(&self) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Http2(stream) => stream.has_interim(),
        }
    }

    /// The next `count` bytes are the last, and nothing stands after them.
    pub(crate) fn ends_after(&mut self, count: usize) {
        match self {
            Self::Http1(_) => {}
            Self::Http2(stream) => stream.ends_after(count),
        }
    }

    /// It gets what stands after a body, where it has `asked` for it or the protocol lets it.
    pub(crate) fn takes_trailers(&self, asked: bool) -> bool {
        match self {
            Self::Http1(client) => asked && !client.is_http10,
            Self::Http2(_) => true,
        }
    }

    /// It was not, and is not to be taken for it. Who reads how it ended after a body is told there.
    pub(crate) fn break_off(&mut self, trailers: Option<HeaderMap>) {
        match self {
            Self::Http1(_) => {}
            Self::Http2(stream) => {
                let told = trailers.is_some_and(|trailers| stream.trailers(trailers).is_ok());
                if !told {
                    stream.cut();
                }
            }
        }
    }

    pub(crate) fn deadline(&mut self) -> &mut Deadline {
        match self {
            Self::Http1(client) => &mut client.deadline,
            Self::Http2(stream) => &mut stream.deadline,
        }
    }

    /// How long it may take nothing of what is meant for it.
    pub(crate) fn patience(&self) -> Duration {
        self.limits().idle_timeout
    }

    pub(crate) fn info(&self) -> &Arc<ClientInfo> {
        match self {
            Self::Http1(client) => &client.info,
            Self::Http2(stream) => &stream.info,
        }
    }

    /// What its listener allows.
    pub(crate) fn limits(&self) -> &ListenerLimits {
        &self.info().listener.limits
    }

    /// Looks out for its end. An error means that it is gone.
    pub(crate) fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self {
            Self::Http1(client) => client.watch(cx),
            Self::Http2(stream) => stream.watch(cx),
        }
    }

    /// How much of an answer may be read for it. Less than it wants, and at least something to find
    /// the end by: what it has no room for waits at the endpoint.
    pub(crate) fn room(&mut self, cx: &mut Context<'_>) -> io::Result<usize> {
        match self {
            Self::Http1(_) => Ok(usize::MAX),
            Self::Http2(stream) => match stream.poll_room(MAX_READ, cx) {
                Poll::Ready(room) => room,
                Poll::Pending => Ok(LOOK),
            },
        }
    }

    /// Its protocol says where a body ends, and how much of it the client takes.
    pub(crate) fn frames_itself(&self) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Http2(_) => true,
        }
    }

    pub(crate) fn give_room_up(&mut self) {
        match self {
            Self::Http1(_) => {}
            Self::Http2(stream) => stream.give_room_up(),
        }
    }

    /// How much is read of an endpoint whose head is awaited. It may answer whoever takes nothing.
    pub(crate) fn first_read(&self) -> usize {
        match self {
            Self::Http1(_) => usize::MAX,
            Self::Http2(_) => FIRST,
        }
    }

    /// What is sent to it is framed by chunks where no length is named: HTTP/1.1. HTTP/2 frames by
    /// itself.
    pub(crate) fn takes_chunks(&self) -> bool {
        match self {
            Self::Http1(client) => !client.is_http10,
            Self::Http2(_) => false,
        }
    }

    /// Writes the rest of two pieces. Ready when all of it is on its way.
    pub(crate) fn poll_write_all(
        &mut self,
        pieces: [&[u8]; 2],
        written: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Self::Http2(stream) = self {
            ready!(stream.poll_interim(cx))?;
        }
        while *written < pieces[0].len() + pieces[1].len() {
            let rest = rest_of(pieces, *written);
            let count = match self {
                Self::Http1(client) => client.poll_write(rest, cx),
                Self::Http2(stream) if rest[0].is_empty() => stream.poll_write(rest[1], cx),
                Self::Http2(stream) => stream.poll_write(rest[0], cx),
            };
            match count {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => *written += count,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
        }
        match self {
            Self::Http1(client) => client.poll_flush(cx),
            Self::Http2(_) => Poll::Ready(Ok(())),
        }
    }

    /// The input that is read ahead of its request, where there is one.
    pub(crate) fn keep(&mut self, ahead: &Buffer) {
        match self {
            Self::Http1(client) => client.input.push(ahead.bytes()),
            Self::Http2(_) => {}
        }
    }
}
