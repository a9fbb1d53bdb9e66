//! A stream of HTTP/2, as an exchange sees it.

use crate::buffer::Buffer;
use crate::downstream::http2::stream::Stream;
use crate::downstream::response;
use crate::exchange::downstream::{Downstream, Towards};
use crate::exchange::relay::RelayError;
use crate::exchange::request_body::{ClientError, RequestBody};
use crate::ingress::ClientInfo;
use crate::request::attempts::Answering;
use crate::route::Fields;
use crate::wheel::Deadline;
use crate::wire::answer::ResponseHead;
use crate::wire::view::View;
use http::HeaderMap;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// What is read at once for a stream,
const MAX_READ: usize = 64 * 1024;
/// and while its client has no room.
const LOOK: usize = 64;

const GONE: RelayError = RelayError::Client(ClientError::Gone);

impl Downstream for Stream {
    const FRAMES_ITSELF: bool = true;
    const FIRST_READ: usize = 1024;

    fn info(&self) -> &Arc<ClientInfo> {
        &self.info
    }

    /// Its connection did, when it began: streams do not reach its socket.
    fn learn_server(&self) {}

    fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
    }

    fn takes_chunks(&self) -> bool {
        false
    }

    fn takes_trailers(&self, _: bool) -> bool {
        true
    }

    fn poll_body(
        &mut self,
        body: &mut RequestBody,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ClientError>> {
        match ready!(self.poll_data(cx)) {
            Some(data) => {
                let data = data.map_err(|_| ClientError::Gone)?;
                body.came(data.len());
                body.push_shared(&data);
            }
            None => {
                let trailers = ready!(self.poll_trailers(cx)).map_err(|_| ClientError::Gone)?;
                body.end(trailers);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        Stream::watch(self, cx)
    }

    fn interim(&mut self, status: u16, _: &[u8], fields: &dyn Fields, _: &mut Buffer) {
        Stream::interim(self, status, fields);
    }

    fn head(
        &mut self,
        head: &ResponseHead,
        view: &View<'_>,
        by: Answering<'_>,
        towards: Towards,
        _: &mut Buffer,
    ) -> Result<u16, RelayError> {
        let answer =
            response::head_of(head, view, by, towards.trailers).ok_or(RelayError::Invalid)?;
        // What trailers may follow has no last byte.
        let length = match head.status {
            101 => Some(None),
            _ => head.body.length().map(|length| length.filter(|_| !towards.trailers)),
        };
        let status = answer.status.as_u16();
        self.answer(answer, length).map(|()| status).map_err(|_| GONE)
    }

    fn room(&mut self, cx: &mut Context<'_>) -> io::Result<usize> {
        match self.poll_room(MAX_READ, cx) {
            Poll::Ready(room) => room,
            Poll::Pending => Ok(LOOK),
        }
    }

    fn has_hardly_a_window(&self) -> bool {
        Stream::has_hardly_a_window(self)
    }

    fn give_room_up(&mut self) {
        Stream::give_room_up(self);
    }

    fn ends_after(&mut self, count: usize) {
        Stream::ends_after(self, count);
    }

    fn owes(&self) -> bool {
        self.has_interim()
    }

    fn poll_owed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_interim(cx)
    }

    fn poll_write(
        &mut self,
        [first, second]: [&[u8]; 2],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        Stream::poll_write(self, if first.is_empty() { second } else { first }, cx)
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), RelayError> {
        let finished = match trailers {
            Some(trailers) => self.trailers(trailers),
            None => Stream::finish(self),
        };
        finished.map_err(|_| GONE)
    }

    fn abort(&mut self, trailers: Option<HeaderMap>) {
        let told = trailers.is_some_and(|trailers| self.trailers(trailers).is_ok());
        if !told {
            self.cut();
        }
    }
}
