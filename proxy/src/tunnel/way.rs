//! One direction of a tunnel.
//!
//! More is read only when all that was read before has left, so a reader that is slow slows its sender,
//! and a direction holds one buffer at most. While nothing moves it holds none.

use super::side::Side;
use crate::buffer::Buffer;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// Reads and writes in one turn; the other direction has its turn in between.
const STEPS_PER_TURN: usize = 32;

#[derive(Debug)]
pub(super) struct Way {
    /// Read, and not yet written.
    buffer: Buffer,
    state: State,
    ended: bool,
    /// The receiving side may still hold some of what it has taken.
    unflushed: bool,
    /// The receiving side took nothing when it was last asked.
    refused: bool,
    /// Bytes that came from the one side, and that the other has taken.
    pub(super) read: u64,
    pub(super) written: u64,
    /// When bytes were last read or written.
    pub(super) moved: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The sender's last byte was read; the receiver is to be told.
    Ending,
    /// It was told, or takes nothing any more.
    Over,
}

impl Way {
    /// `early` is what was read before there was a tunnel.
    pub(super) fn new(early: Buffer, now: Instant) -> Self {
        Self {
            read: early.len() as u64,
            buffer: early,
            state: State::Open,
            ended: false,
            unflushed: false,
            refused: false,
            written: 0,
            moved: now,
        }
    }

    /// The sender has said its last byte.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// The receiver has not taken all that was meant for it.
    pub(super) fn is_stalled(&self) -> bool {
        self.refused || self.unflushed
    }

    /// Moves what can be moved. `see` is shown each piece once, as it is read. An error means that the
    /// sender's connection broke.
    pub(super) fn poll(
        &mut self,
        from: &mut impl Side,
        to: &mut impl Side,
        see: &mut impl FnMut(&[u8]),
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        for _ in 0..STEPS_PER_TURN {
            if self.is_over() {
                return Ok(());
            }
            match self.step(from, to, see, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(e)) => return Err(e),
                Poll::Pending => return Ok(()),
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn step(
        &mut self,
        from: &mut impl Side,
        to: &mut impl Side,
        see: &mut impl FnMut(&[u8]),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.buffer.is_empty() {
            ready!(self.write(to, cx));
            return Poll::Ready(Ok(()));
        }
        if self.unflushed {
            match ready!(to.poll_flush(cx)) {
                Ok(()) => self.unflushed = false,
                Err(_) => self.give_up(),
            }
            return Poll::Ready(Ok(()));
        }
        match self.state {
            State::Open => {
                let count = ready!(from.poll_read(&mut self.buffer, cx))?;
                see(self.buffer.bytes());
                self.read += count as u64;
                self.moved = Instant::now();
                if count == 0 {
                    self.buffer.rest();
                    (self.state, self.ended) = (State::Ending, true);
                }
            }
            State::Ending => {
                // A receiver that cannot be told has ended by itself.
                let _ = ready!(to.poll_end(cx));
                self.state = State::Over;
            }
            State::Over => {}
        }
        Poll::Ready(Ok(()))
    }

    /// One that takes nothing more may still have something to say, which its own direction brings.
    fn write(&mut self, to: &mut impl Side, cx: &mut Context<'_>) -> Poll<()> {
        match to.poll_write(self.buffer.bytes(), cx) {
            Poll::Ready(Ok(count @ 1..)) => {
                self.buffer.advance(count);
                self.written += count as u64;
                self.moved = Instant::now();
                self.unflushed = true;
                if std::mem::take(&mut self.refused) {
                    // What was left stood in memory of its own size.
                    self.buffer.rest();
                }
                Poll::Ready(())
            }
            Poll::Ready(Ok(0) | Err(_)) => {
                self.give_up();
                Poll::Ready(())
            }
            Poll::Pending => {
                self.refused = true;
                self.buffer.fit(0);
                Poll::Pending
            }
        }
    }

    fn give_up(&mut self) {
        self.state = State::Over;
        self.buffer.clear();
        self.buffer.rest();
        (self.refused, self.unflushed) = (false, false);
    }
}
