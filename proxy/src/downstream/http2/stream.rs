//! A stream of HTTP/2, as an exchange reads from it and writes to it.
//!
//! It never decides what is said, and holds no more of an answer than its client has room for: what
//! the connection's account has no room for stays with whoever has it.

use crate::downstream::http2::account::Account;
use crate::ingress::ClientInfo;
use crate::request::hop;
use crate::route::Fields;
use crate::wheel::Deadline;
use crate::wire::sieve::Malformed;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode, request, response};
use pingora_core::protocols::http::date::get_cached_date;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Of one connection of HTTP/1, and without a meaning on a stream (RFC 9113, section 8.2.2).
const OF_CONNECTIONS: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

pub(crate) struct Stream {
    id: u32,
    request: RecvStream,
    respond: SendResponse<Bytes>,
    /// Once the head of the answer has left, and until the answer is whole.
    answer: Option<SendStream<Bytes>>,
    answered: bool,
    /// How much of the answer's body is still to come, where that is known.
    left: Option<u64>,
    /// An interim answer that waits for room, and what it takes.
    interim: Option<Box<(Response<()>, usize)>>,
    pub(crate) info: Arc<ClientInfo>,
    account: Arc<Account>,
    malformed: Malformed,
    pub(crate) deadline: Deadline,
}

impl Stream {
    pub(crate) fn new(
        request: RecvStream,
        respond: SendResponse<Bytes>,
        info: Arc<ClientInfo>,
        account: Arc<Account>,
        malformed: Malformed,
    ) -> Self {
        Self {
            id: respond.stream_id().as_u32(),
            request,
            respond,
            answer: None,
            answered: false,
            left: None,
            interim: None,
            info,
            account,
            malformed,
            deadline: Deadline::default(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// No body belongs to the request, whose head this is.
    pub(crate) fn is_empty(&self, head: &request::Parts) -> bool {
        let length = head.headers.get(header::CONTENT_LENGTH);
        self.request.is_end_stream() || length.is_some_and(|length| length == "0")
    }

    /// More of the request's body. `None` is its end.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(data) = ready!(self.request.poll_data(cx)) else { return Poll::Ready(None) };
        let admitted = data.and_then(|data| {
            self.request.flow_control().release_capacity(data.len())?;
            Ok(data)
        });
        Poll::Ready(Some(admitted.map_err(io::Error::other)))
    }

    /// The fields that came after the request's body, once all of that was read. Pseudo-headers among
    /// them are dropped by the library, and nobody gets to know.
    pub(crate) fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<HeaderMap>>> {
        let trailers = ready!(self.request.poll_trailers(cx)).map_err(io::Error::other)?;
        if self.malformed.is(self.id) {
            self.malformed.forget(self.id);
            self.reset(Reason::PROTOCOL_ERROR);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(trailers))
    }

    /// An interim answer, which leaves once there is room: see [`Stream::poll_interim`].
    pub(crate) fn interim(&mut self, status: u16, fields: &dyn Fields) {
        let listed = hop::Listed::of(fields);
        let mut passed = HeaderMap::new();
        fields.each(&mut |name, value| {
            if !hop::response_ends_here(name, false, &listed)
                && let Ok(name) = HeaderName::from_bytes(name)
                && let Ok(value) = HeaderValue::from_bytes(value)
            {
                passed.append(name, value);
            }
        });
        strip(&mut passed);
        let status = StatusCode::from_u16(status).ok().filter(StatusCode::is_informational);
        let Some(status) = status.filter(|_| !self.answered) else { return };
        let cost = Account::cost_of(&passed);
        let mut interim = Response::new(());
        (*interim.status_mut(), *interim.headers_mut()) = (status, passed);
        self.interim = Some(Box::new((interim, cost)));
    }

    /// Whether an interim answer waits.
    pub(crate) fn has_interim(&self) -> bool {
        self.interim.is_some()
    }

    /// Sends the interim answer that waits. Backends may send as many as they like: each waits until
    /// what was sent before it has left.
    pub(crate) fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_none() {
            return Poll::Ready(Ok(()));
        }
        if self.account.poll_room(self.id, cx).is_pending() {
            self.watch(cx)?;
            return Poll::Pending;
        }
        if let Some(interim) = self.interim.take() {
            let (interim, cost) = *interim;
            self.respond.send_informational(interim).map_err(io::Error::other)?;
            self.account.handed_head(self.id, cost);
        }
        Poll::Ready(Ok(()))
    }

    /// `body` says whether one follows, and how long it is where that is known and nothing comes
    /// after it.
    pub(crate) fn answer(
        &mut self,
        mut head: response::Parts,
        body: Option<Option<u64>>,
    ) -> io::Result<()> {
        strip(&mut head.headers);
        head.headers.entry(header::DATE).or_insert_with(get_cached_date);
        self.interim = None;
        let whole = body.is_none();
        let head = Response::from_parts(head, ());
        let answer = self.respond.send_response(head, whole).map_err(io::Error::other)?;
        self.answered = true;
        self.answer = Some(answer).filter(|_| !whole);
        self.left = body.flatten();
        Ok(())
    }

    /// So much of its body is still to come, and nothing after it.
    pub(crate) fn ends_after(&mut self, left: usize) {
        self.left = Some(left as u64);
    }

    /// The answer was whole.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self.answer.take() {
            Some(mut answer) => answer.send_data(Bytes::new(), true).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    /// The answer was whole, and these fields end it.
    pub(crate) fn trailers(&mut self, mut fields: HeaderMap) -> io::Result<()> {
        strip(&mut fields);
        match self.answer.take() {
            Some(mut answer) => answer.send_trailers(fields).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    /// Gives up: what was sent is not to be taken for the whole.
    pub(crate) fn cut(&mut self) {
        if let Some(mut answer) = self.answer.take() {
            answer.send_reset(Reason::INTERNAL_ERROR);
        } else if !self.answered {
            self.reset(Reason::CANCEL);
        }
    }

    /// Breaks a tunnel off, unless its end was said.
    pub(super) fn hang_up(&mut self) {
        if let Some(mut answer) = self.answer.take() {
            answer.send_reset(Reason::CANCEL);
        }
    }

    /// Ends a stream that was not answered.
    pub(crate) fn reset(&mut self, why: Reason) {
        self.answered = true;
        self.respond.send_reset(why);
    }

    /// How much of `wanted` can be written: as far as the client's windows reach, and what was
    /// written on its connection before has left. It is set apart until it is written or given up.
    pub(crate) fn poll_room(
        &mut self,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if self.account.poll_room(self.id, cx).is_pending() {
            return match answer.poll_reset(cx) {
                Poll::Ready(_) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Poll::Pending => Poll::Pending,
            };
        }
        answer.reserve_capacity(wanted);
        let mut room = answer.capacity();
        while room == 0 {
            room = match ready!(answer.poll_capacity(cx)) {
                Some(Ok(room)) => room,
                Some(Err(e)) => return Poll::Ready(Err(io::Error::other(e))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        Poll::Ready(Ok(room.min(wanted)))
    }

    pub(crate) fn has_hardly_a_window(&self) -> bool {
        self.account.note(|ledger| ledger.is_shut(self.id))
    }

    /// Room is for the connection's other streams again.
    pub(crate) fn give_room_up(&mut self) {
        if let Some(answer) = &mut self.answer {
            answer.reserve_capacity(0);
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.poll_room(bytes.len(), cx))?;
        Poll::Ready(self.send(Bytes::copy_from_slice(&bytes[..count])).map(|()| count))
    }

    /// There must be room for it.
    fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        let Some(answer) = &mut self.answer else { return Err(io::ErrorKind::BrokenPipe.into()) };
        self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
        // The last of it says so itself: a frame less.
        let last = self.left == Some(0);
        self.account.handed(self.id, bytes.len());
        let sent = answer.send_data(bytes, last);
        if last {
            self.answer = None;
        }
        sent.map_err(io::Error::other)
    }

    /// Whether the client has given the stream up.
    pub(crate) fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let reset = match &mut self.answer {
            Some(answer) => answer.poll_reset(cx).is_ready(),
            None if self.answered => false,
            None => self.respond.poll_reset(cx).is_ready(),
        };
        if reset { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

fn strip(fields: &mut HeaderMap) {
    for name in &OF_CONNECTIONS {
        fields.remove(name);
    }
}
