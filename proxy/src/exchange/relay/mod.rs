//! Bytes between client and endpoint, in both directions at once.
//!
//! Every wait here moves the request's body along, looks out for the client's end, and has a
//! deadline. Nothing waits for a socket that has said that it is not ready: a read is made once it
//! has something.

mod body;
mod head;

use crate::buffer::Buffer;
use crate::exchange::downstream::Downstream;
use crate::exchange::request_body::{ClientError, RequestBody};
use crate::upstream::conn::Conn;
use crate::wire::head::Field;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// So much of a body is copied to stand behind its head: two pieces cost more to write than that.
const COPIED: usize = 2 * 1024;

/// Why an exchange ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelayError {
    Client(ClientError),
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
    /// That connection was one of HTTP/2, which says what it has not looked at when it ends as it should.
    pub(crate) http2: bool,
    /// It says that it has not looked at the request.
    pub(crate) unseen: bool,
    /// Some answer on its connection, perhaps another's, could not be read.
    pub(crate) unreadable: bool,
    /// The code with which it broke off, where the protocol has one.
    pub(crate) code: Option<u32>,
}

impl Reset {
    fn http1(silent: bool) -> RelayError {
        RelayError::Reset(Self {
            silent,
            http2: false,
            unseen: false,
            unreadable: false,
            code: None,
        })
    }
}

impl From<ClientError> for RelayError {
    fn from(fault: ClientError) -> Self {
        Self::Client(fault)
    }
}

pub(crate) struct Relay<'a, D> {
    pub(crate) client: &'a mut D,
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

impl<'a, D: Downstream> Relay<'a, D> {
    pub(crate) fn new(
        client: &'a mut D,
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

    /// The endpoint broke off.
    fn reset(&mut self) -> RelayError {
        let silent = self.upstream.input.is_empty();
        let Some(stream) = self.upstream.stream() else { return Reset::http1(silent) };
        if stream.was_malformed() {
            return RelayError::Invalid;
        }
        RelayError::Reset(Reset {
            silent: silent && stream.lost_its_connection(),
            http2: true,
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
            true => D::FIRST_READ,
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
            (Some(due), _) => (due, RelayError::Client(ClientError::TooSlow)),
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
    fn limit(&mut self, cx: &mut Context<'_>) -> Result<usize, ClientError> {
        // Room that is set apart is no other stream's: only once there is something to read.
        if !D::FRAMES_ITSELF || self.upstream.poll_readable(cx).is_pending() {
            return Ok(usize::MAX);
        }
        self.client.room(cx).map_err(|_| ClientError::Gone)
    }

    /// Moves the request's body along, or looks out for the client's end. Gives the moment when the
    /// client is too slow, if it is the one that is waited for.
    fn drive(&mut self, cx: &mut Context<'_>) -> Result<Option<Instant>, ClientError> {
        if let Poll::Ready(Err(_)) = self.upstream.poll_flush(cx) {
            self.body.refused = true;
        }
        if self.body.is_done() {
            self.client.watch(cx).map_err(|_| ClientError::Gone)?;
            return Ok(None);
        }
        let (mut due, gone) = (None, self.body.gone);
        let polled = self.body.poll(self.client, &mut self.upstream, &mut due, cx);
        if polled.is_ready() || self.body.gone > gone {
            self.moved = Instant::now();
            self.asked = self.moved;
        }
        match polled {
            Poll::Ready(done) => done.map(|()| None),
            Poll::Pending => {
                // Whoever is not read from, because the endpoint takes nothing, may have left. Of a
                // connection only its reader can know.
                if D::FRAMES_ITSELF {
                    self.client.watch(cx).map_err(|_| ClientError::Gone)?;
                }
                Ok(due)
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
        self.upstream.stall();
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
            Poll::Ready(Err(_)) => Poll::Ready(Err(RelayError::Client(ClientError::Gone))),
            Poll::Pending => {
                if !self.body.is_done() || self.upstream.is_behind() {
                    self.drive(cx)?;
                }
                let patience = self.client.patience();
                self.late(self.moved + patience, RelayError::Client(ClientError::Gone), cx)
            }
        }
    }
}
