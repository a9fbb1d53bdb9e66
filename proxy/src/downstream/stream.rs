//! The client's stream as a lane sees it: one request at a time, already checked.
//!
//! Between requests the connection reads the head through [`ClientStream::fill`] and judges it;
//! then it hands the lane this stream, which replays the head, cuts out the body, and shows
//! nothing of what follows. It keeps the time of everything that a client can make slow, and
//! gathers small writes so that a head and a short body leave in one call.

mod digests;

use crate::downstream::http1::body::{Body, Cut};
use crate::downstream::http1::connection::ClientConnection;
use crate::downstream::http2::account::Account;
use crate::downstream::http2::frames::{FrameWatch, POISON};
use crate::downstream::signals::{Signals, StreamFault};
use crate::downstream::timing::{Alarm, BodyPace};
use crate::ingress::client_info::ClientInfo;
use crate::ingress::transport::Transport;
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;

/// What is read at once, on the stack, so that a connection that waits holds no buffer.
const READ: usize = 16 * 1024;
/// Requests that a client may send ahead; past it, the socket is left unread.
const AHEAD: usize = 64 * 1024;
/// Small writes are gathered up to here.
const GATHER: usize = 16 * 1024;

/// How long a client whose connection ends is listened to, so that it can read what it was told.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// How long a tunnel outlives its client's last byte while the backend says nothing.
const HALF_OPEN: Duration = Duration::from_secs(5);

#[derive(Debug)]
enum Mode {
    /// One HTTP/1 request: its head, then its body.
    Request(Body),
    /// HTTP/2: every byte, with an eye on the frames.
    Frames(Box<FrameWatch>),
}

#[derive(Debug)]
pub(crate) struct ClientStream {
    transport: Transport,
    /// Read, and not yet looked at.
    pub(crate) input: BytesMut,
    /// Checked, and not yet given to the lane.
    output: BytesMut,
    gathered: BytesMut,
    mode: Mode,
    /// The client sent its last byte.
    pub(crate) ended: bool,
    info: Arc<ClientInfo>,
    signals: Arc<Signals>,
    pace: BodyPace,
    alarm: Alarm,
    stall: Alarm,
    attempt: (u64, Instant),
    moved: Instant,
    /// Who ends the connection when this is dropped, unless that is to happen here.
    back: Option<oneshot::Sender<Transport>>,
}

impl ClientStream {
    /// A client connection becomes a stream for one request of the full lane.
    pub(crate) fn of(client: ClientConnection) -> Self {
        let ClientConnection { transport, input, ended, info, .. } = client;
        let mut stream = Self::new(transport, BytesMut::from(input.bytes()), info);
        stream.ended = ended;
        stream
    }

    /// What the client connection needs for the next one.
    pub(crate) fn into_link(mut self) -> ClientConnection {
        let transport = std::mem::replace(&mut self.transport, Transport::Gone);
        let mut client = ClientConnection::new(transport, &self.input, self.info.clone());
        client.ended = self.ended;
        // Nothing is left behind that dropping would have to read.
        self.input.clear();
        client
    }

    pub(crate) fn new(transport: Transport, input: BytesMut, info: Arc<ClientInfo>) -> Self {
        let now = Instant::now();
        Self {
            transport,
            input,
            output: BytesMut::new(),
            gathered: BytesMut::new(),
            mode: Mode::Request(Body::Done),
            ended: false,
            info,
            signals: Arc::default(),
            pace: BodyPace::default(),
            alarm: Alarm::default(),
            stall: Alarm::default(),
            attempt: (0, now),
            moved: now,
            back: None,
        }
    }

    pub(crate) fn info(&self) -> &Arc<ClientInfo> {
        &self.info
    }

    pub(crate) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// From here on every byte belongs to HTTP/2. The connection comes back when the stream is
    /// dropped, to be ended by whoever waits for it.
    pub(crate) fn watch_frames(&mut self) -> (Arc<Account>, oneshot::Receiver<Transport>) {
        let watch = FrameWatch::new(Instant::now());
        let account = Arc::clone(watch.account());
        self.mode = Mode::Frames(Box::new(watch));
        let (back, left) = oneshot::channel();
        self.back = Some(back);
        (account, left)
    }

    /// The next request: `head` is what the lane shall read first.
    pub(crate) fn begin(&mut self, head: BytesMut, body: Body) {
        self.signals.reset();
        self.output = head;
        self.mode = Mode::Request(body);
        self.pace = BodyPace::begin(&self.info.listener.limits);
        self.moved = Instant::now();
        // Its first attempt has the number that the last request's had.
        self.attempt = (0, self.moved);
    }

    /// Whether all of the last request was read, so that what follows is the next.
    pub(crate) fn at_boundary(&self) -> bool {
        matches!(&self.mode, Mode::Request(body) if body.is_done()) && self.output.is_empty()
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut stack = [0u8; READ];
        let mut buf = ReadBuf::new(&mut stack);
        ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buf))?;
        self.input.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Sends a last answer, and lingers until the client has had a chance to read it.
    pub(crate) async fn close(mut self, answer: &[u8]) {
        let said = async {
            self.write_all(answer).await?;
            self.flush().await
        };
        let _ = tokio::time::timeout(LINGER, said).await;
        std::mem::replace(&mut self.transport, Transport::Gone).linger(LINGER).await;
    }

    fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.output.is_empty() {
                give(&mut self.output, buf);
                return Poll::Ready(Ok(()));
            }
            if self.signals.is_tunnel() {
                return self.poll_tunnel(cx, buf);
            }
            let Mode::Request(body) = &mut self.mode else {
                return Poll::Ready(Ok(()));
            };
            if body.is_done() {
                return self.poll_after_request(cx);
            }
            match body.cut(&mut self.input, &mut self.output) {
                Ok(Cut::Moved) => continue,
                Ok(Cut::NeedMore) if body.is_done() => continue,
                Ok(Cut::NeedMore) => {}
                Err(_) => return Poll::Ready(Err(self.fault(StreamFault::BodyInvalid))),
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(n)) => self.pace.received(n),
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => {
                    self.send_gathered(cx)?;
                    let due = self.pace.waiting(Instant::now());
                    if ready!(self.alarm.poll_due(due, cx)) {
                        return Poll::Ready(Err(self.fault(StreamFault::BodyTooSlow)));
                    }
                }
            }
        }
    }

    /// The request is whole, its answer is not: looks out for the client's end, keeps what it
    /// sends ahead, and watches the clock.
    fn poll_after_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended && self.input.len() < AHEAD {
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => break,
            }
        }
        self.send_gathered(cx)?;
        let (due, fault) = match self.signals.awaited() {
            Some((attempt, within)) => {
                if self.attempt.0 != attempt {
                    self.attempt = (attempt, Instant::now());
                }
                (Some(self.attempt.1 + within), StreamFault::ResponseOverdue)
            }
            None => (self.signals.idle().map(|idle| self.moved + idle), StreamFault::Idle),
        };
        if ready!(self.alarm.poll_due(due, cx)) {
            return Poll::Ready(Err(self.fault(fault)));
        }
        Poll::Pending
    }

    fn poll_tunnel(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.input.is_empty() {
            give(&mut self.input, buf);
            self.moved = Instant::now();
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if !self.ended
            && let Poll::Ready(done) = Pin::new(&mut self.transport).poll_read(cx, buf)
        {
            self.moved = Instant::now();
            self.ended = done.is_ok() && buf.filled().len() == before;
            if !self.ended {
                return Poll::Ready(done);
            }
        }
        self.send_gathered(cx)?;
        // To a lane the end of one side is the end of the tunnel, and the backend may still be
        // answering what came before it.
        let idle = self.signals.idle();
        let patience = match self.ended {
            true => Some(idle.map_or(HALF_OPEN, |idle| idle.min(HALF_OPEN))),
            false => idle,
        };
        let due = patience.map(|patience| self.moved + patience);
        if ready!(self.alarm.poll_due(due, cx)) {
            return Poll::Ready(match self.ended {
                true => Ok(()),
                false => Err(self.fault(StreamFault::Idle)),
            });
        }
        Poll::Pending
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.output.is_empty() {
            give(&mut self.output, buf);
            return Poll::Ready(Ok(()));
        }
        if self.ended {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if self.input.is_empty() {
            ready!(Pin::new(&mut self.transport).poll_read(cx, buf))?;
        } else {
            give(&mut self.input, buf);
        }
        if let Mode::Frames(watch) = &mut self.mode
            && let Some(end) = watch.note(&buf.filled()[before..], Instant::now())
        {
            buf.set_filled(before + end);
            self.output.extend_from_slice(&POISON);
            self.ended = true;
            self.info.listener.counters.floods.add();
            if end == 0 {
                give(&mut self.output, buf);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn fault(&self, fault: StreamFault) -> io::Error {
        self.signals.set_fault(fault);
        let kind = match fault {
            StreamFault::BodyInvalid => io::ErrorKind::InvalidData,
            StreamFault::BodyTooSlow
            | StreamFault::ResponseOverdue
            | StreamFault::Idle
            | StreamFault::WriteStalled => io::ErrorKind::TimedOut,
        };
        io::Error::new(kind, format!("{fault:?}"))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.transport).poll_write(cx, data) {
            Poll::Ready(Ok(n)) => {
                self.stall.clear();
                self.moved = Instant::now();
                if let Mode::Frames(watch) = &mut self.mode {
                    watch.note_sent(&data[..n]);
                }
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => {
                if let Mode::Frames(watch) = &self.mode {
                    watch.account().note(|ledger| ledger.stalled(true));
                }
                self.poll_stalled(cx)
            }
        }
    }

    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let patience = self.info.listener.limits.idle_timeout;
        if ready!(self.stall.poll_within(patience, cx)) {
            return Poll::Ready(Err(self.fault(StreamFault::WriteStalled)));
        }
        Poll::Pending
    }

    /// The lane has nothing more to write for now: what was gathered leaves.
    fn send_gathered(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.poll_gathered(cx) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let data = std::mem::take(&mut self.gathered);
            let sent = self.poll_send(cx, &data);
            self.gathered = data;
            match ready!(sent)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.gathered.advance(n),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A lane that gives up in the middle of a request leaves bytes behind that nobody will read.
impl Drop for ClientStream {
    fn drop(&mut self) {
        let unread =
            !self.input.is_empty() || matches!(&self.mode, Mode::Request(body) if !body.is_done());
        let transport = std::mem::replace(&mut self.transport, Transport::Gone);
        if let Some(back) = self.back.take() {
            // Nobody waits for it when all of its task is dropped.
            let _ = back.send(transport);
            return;
        }
        if unread
            && !self.ended
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(transport.linger(LINGER));
        }
    }
}

fn give(from: &mut BytesMut, to: &mut ReadBuf<'_>) {
    let n = from.len().min(to.remaining());
    to.put_slice(&from[..n]);
    from.advance(n);
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.mode {
            Mode::Request(_) => self.poll_request(cx, buf),
            Mode::Frames(_) => self.poll_frames(cx, buf),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.gathered.len() + data.len() <= GATHER {
            self.gathered.extend_from_slice(data);
            return Poll::Ready(Ok(data.len()));
        }
        ready!(self.poll_gathered(cx))?;
        self.poll_send(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(cx))?;
        match Pin::new(&mut self.transport).poll_flush(cx) {
            Poll::Pending => self.poll_stalled(cx),
            Poll::Ready(done) => {
                self.stall.clear();
                Poll::Ready(done)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
