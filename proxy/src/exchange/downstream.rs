//! Whom an exchange is for, as the exchange sees it: one request's client, whichever protocol it speaks.
//!
//! Each protocol has its own, in `downstream/`. Nothing here or in what uses it asks which protocol that is, but
//! for what the protocol can and cannot do.

use crate::buffer::Buffer;
use crate::exchange::relay::RelayError;
use crate::exchange::request_body::{ClientError, RequestBody};
use crate::ingress::ClientInfo;
use crate::pieces::rest_of;
use crate::request::attempts::Answering;
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

pub(crate) trait Downstream: Send {
    /// The protocol says where a body ends, and how much of it the client takes.
    const FRAMES_ITSELF: bool;
    /// How much is read of an endpoint whose head is awaited. It may answer whoever takes nothing.
    const FIRST_READ: usize;

    fn info(&self) -> &Arc<ClientInfo>;

    /// Finds out where the client has connected to, for an endpoint that is told so.
    fn learn_server(&self);

    fn deadline(&mut self) -> &mut Deadline;

    /// What its listener allows.
    fn limits(&self) -> &ListenerLimits {
        &self.info().listener.limits
    }

    /// How long it may take nothing of what is meant for it.
    fn patience(&self) -> Duration {
        self.limits().idle_timeout
    }

    /// What is sent to it is framed by chunks where no length is named.
    fn takes_chunks(&self) -> bool;

    /// It gets what stands after a body, where it has `asked` for it or the protocol lets it.
    fn takes_trailers(&self, asked: bool) -> bool;

    /// What came of the request's body with the head, and goes out as it is.
    fn early(&self) -> &[u8] {
        &[]
    }

    /// That has left, and is not sent again.
    fn forget_early(&mut self) {}

    /// Reads more of the request's body. Ready when something of it has come, or its end.
    fn poll_body(
        &mut self,
        body: &mut RequestBody,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ClientError>>;

    /// Its body is waited for, perhaps for long: it holds no more memory than it needs.
    fn wait_small(&mut self) {}

    /// Looks out for its end while it has nothing to say. An error means that it is gone.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()>;

    /// An interim answer, to leave with what is written next. `down` is what waits for the client.
    fn interim(&mut self, status: u16, reason: &[u8], fields: &dyn Fields, down: &mut Buffer);

    /// The head of a backend's answer, to leave with what is written next. Gives the status that the client is
    /// told.
    fn head(
        &mut self,
        head: &ResponseHead,
        view: &View<'_>,
        by: Answering<'_>,
        towards: Towards,
        down: &mut Buffer,
    ) -> Result<u16, RelayError>;

    /// How much of an answer may be read for it. Less than it wants, and at least something to find
    /// the end by: what it has no room for waits at the endpoint.
    fn room(&mut self, _: &mut Context<'_>) -> io::Result<usize> {
        Ok(usize::MAX)
    }

    /// An answer to it is as good as not read, for now.
    fn has_hardly_a_window(&self) -> bool {
        false
    }

    /// That room is for others meanwhile.
    fn give_room_up(&mut self) {}

    /// The next `count` bytes are the last of the answer, and nothing stands after them.
    fn ends_after(&mut self, _count: usize) {}

    /// Whether there is something to leave that no buffer holds.
    fn owes(&self) -> bool {
        false
    }

    /// Sends that. Ready when it is on its way.
    fn poll_owed(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Writes once, of two pieces as much as is taken.
    fn poll_write(&mut self, pieces: [&[u8]; 2], cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// Sends what was written and is still here.
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Writes the rest of two pieces. Ready when all of it is on its way.
    fn poll_write_all(
        &mut self,
        pieces: [&[u8]; 2],
        written: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_owed(cx))?;
        while *written < pieces[0].len() + pieces[1].len() {
            match ready!(self.poll_write(rest_of(pieces, *written), cx))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *written += count,
            }
        }
        self.poll_flush(cx)
    }

    /// The answer was whole, and these stand after its body, unless they were written with its chunks.
    fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), RelayError>;

    /// It was not, and is not to be taken for it. Who reads how it ended after a body is told there.
    fn abort(&mut self, trailers: Option<HeaderMap>);
}

/// How an answer goes on to the client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Towards {
    /// Its connection goes on.
    pub(crate) keeps: bool,
    /// It can read chunks, which HTTP/1.0 cannot.
    pub(crate) chunks: bool,
    /// It gets what stands after the body.
    pub(crate) trailers: bool,
}
