//! What a raw origin does with a connection, act by act.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The acts for one connection. When they are over, the connection stays open and records
/// until the peer ends it, unless the last act ended it.
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub(crate) acts: Vec<Act>,
    pub(crate) deaf: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    ReadRequest,
    ReadBytes(usize),
    ReadUntil(Vec<u8>),
    ReadToEnd,
    Write(Vec<u8>),
    Trickle { bytes: Vec<u8>, piece: usize, every: Duration },
    Wait(Duration),
    WaitFor(Latch),
    HalfClose,
    Close,
    Reset,
    Repeat,
}

impl Script {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads each request and answers it with these exact bytes, for ever.
    pub fn answering(bytes: impl AsRef<[u8]>) -> Self {
        Self::new().read_request().write(bytes).repeat()
    }

    /// Takes everything, answers nothing.
    pub fn never_answering() -> Self {
        Self::new()
    }

    /// Never reads from the socket, so that its buffers fill up. Acts that wait for bytes would
    /// wait for ever.
    #[must_use]
    pub fn deaf(mut self) -> Self {
        self.deaf = true;
        self
    }

    /// Waits for the next whole request: its head, and a body by `content-length` or chunks.
    #[must_use]
    pub fn read_request(self) -> Self {
        self.act(Act::ReadRequest)
    }

    /// Waits until so many more bytes have come.
    #[must_use]
    pub fn read_bytes(self, count: usize) -> Self {
        self.act(Act::ReadBytes(count))
    }

    /// Waits until these bytes have come.
    #[must_use]
    pub fn read_until(self, bytes: impl AsRef<[u8]>) -> Self {
        self.act(Act::ReadUntil(bytes.as_ref().to_vec()))
    }

    /// Waits until the peer has ended its side.
    #[must_use]
    pub fn read_to_end(self) -> Self {
        self.act(Act::ReadToEnd)
    }

    #[must_use]
    pub fn write(self, bytes: impl AsRef<[u8]>) -> Self {
        self.act(Act::Write(bytes.as_ref().to_vec()))
    }

    /// Writes in pieces with a pause before each.
    #[must_use]
    pub fn trickle(self, bytes: impl AsRef<[u8]>, piece: usize, every: Duration) -> Self {
        self.act(Act::Trickle { bytes: bytes.as_ref().to_vec(), piece, every })
    }

    #[must_use]
    pub fn wait(self, time: Duration) -> Self {
        self.act(Act::Wait(time))
    }

    /// Goes on when the test opens the latch.
    #[must_use]
    pub fn wait_for(self, latch: &Latch) -> Self {
        self.act(Act::WaitFor(latch.clone()))
    }

    /// Sends FIN and goes on reading.
    #[must_use]
    pub fn half_close(self) -> Self {
        self.act(Act::HalfClose)
    }

    /// Closes in both directions.
    #[must_use]
    pub fn close(self) -> Self {
        self.act(Act::Close)
    }

    /// Ends the connection with a RST.
    #[must_use]
    pub fn reset(self) -> Self {
        self.act(Act::Reset)
    }

    /// Begins again with the first act.
    #[must_use]
    pub fn repeat(self) -> Self {
        self.act(Act::Repeat)
    }

    fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }
}

/// Closed at first; whoever waits for it goes on once it is open, and it stays open.
#[derive(Debug, Clone, Default)]
pub struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Blocks until the latch is open, or `give_up` says so.
    pub(crate) fn wait(&self, give_up: impl Fn() -> bool) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open && !give_up() {
            let pause = Duration::from_millis(20);
            let (guard, _) =
                self.0.1.wait_timeout(open, pause).unwrap_or_else(PoisonError::into_inner);
            open = guard;
        }
    }
}
