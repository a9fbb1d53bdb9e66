//! A request of HTTP/1 and its connection, as an exchange sees them.

use crate::buffer::Buffer;
use crate::downstream::http1::body::{self, IncomingBody};
use crate::downstream::http1::connection::ClientConnection;
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
use std::task::{Context, Poll};

pub(super) struct Http1<'a> {
    pub(super) connection: &'a mut ClientConnection,
    pub(super) body: IncomingBody,
    /// Of HTTP/1.0, which knows neither chunks nor interim answers.
    pub(super) is_http10: bool,
}

impl Downstream for Http1<'_> {
    const FRAMES_ITSELF: bool = false;
    const FIRST_READ: usize = usize::MAX;

    fn info(&self) -> &Arc<ClientInfo> {
        &self.connection.info
    }

    fn learn_server(&self) {
        self.connection.info.learn_server(|| self.connection.transport.local_address());
    }

    fn deadline(&mut self) -> &mut Deadline {
        &mut self.connection.deadline
    }

    fn takes_chunks(&self) -> bool {
        !self.is_http10
    }

    fn takes_trailers(&self, asked: bool) -> bool {
        asked && !self.is_http10
    }

    fn early(&self) -> &[u8] {
        self.body.early(self.connection)
    }

    fn forget_early(&mut self) {
        self.body.forget_early(self.connection);
    }

    fn poll_body(
        &mut self,
        body: &mut RequestBody,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ClientError>> {
        self.body.poll(self.connection, body, cx)
    }

    fn wait_small(&mut self) {
        body::wait_small(self.connection);
    }

    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.connection.watch(cx)
    }

    fn interim(&mut self, status: u16, reason: &[u8], fields: &dyn Fields, down: &mut Buffer) {
        // HTTP/1.0 would take it for the answer.
        if !self.is_http10 {
            response::write_interim(status, reason, fields, down);
        }
    }

    fn head(
        &mut self,
        head: &ResponseHead,
        view: &View<'_>,
        by: Answering<'_>,
        towards: Towards,
        down: &mut Buffer,
    ) -> Result<u16, RelayError> {
        let is_whole = head.body.is_within(view.bytes.len() - head.length);
        self.connection.is_last = !towards.keeps && is_whole && head.status != 101;
        response::write(head, view, by, towards, down);
        Ok(head.status)
    }

    fn poll_write(&mut self, pieces: [&[u8]; 2], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.connection.poll_write(pieces, cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.poll_flush(cx)
    }

    /// They were written with the last chunk.
    fn finish(&mut self, _: Option<HeaderMap>) -> Result<(), RelayError> {
        Ok(())
    }

    /// The connection's end tells.
    fn abort(&mut self, _: Option<HeaderMap>) {}
}
