//! What of a request's body goes out, kept for as long as it may have to go out again.
//!
//! What was read is kept until it has left, and for as long as all of it is still there the request
//! can be sent again. Of one that must not be, it goes as soon as it has left: the next piece is read
//! into memory that is still in the processor's cache.

use crate::buffer::Buffer;
use crate::exchange::downstream::Downstream;
use crate::exchange::framing;
use http::HeaderMap;

/// Read at once, at most,
const PIECE: usize = 64 * 1024;
/// and for an endpoint whose protocol frames by itself: one that opens no window leaves it here.
const BARE_PIECE: usize = 16 * 1024;
/// What is kept of a body, to be sent again, while its client is waited for.
const MAX_REPLAYED: usize = 16 * 1024;
/// What is longer gives its memory back early.
const WORTH_FORGETTING: usize = 2 * 1024;

#[derive(Debug)]
pub(crate) struct ReplayBuffer {
    /// So much came with the head and goes out as it is. The client keeps it: [`Downstream::early`].
    early: usize,
    /// What goes out after it, from the first byte that is still there.
    framed: Buffer,
    /// So much of both has left.
    sent: usize,
    /// The first of it is gone from memory.
    overwritten: bool,
    /// The body's length is not named: in HTTP/1 it goes out in chunks.
    is_unsized: bool,
    /// The endpoint's protocol frames by itself, so that what goes out is the body as it is.
    bare: bool,
    /// The request may be sent again after it was sent.
    repeatable: bool,
}

impl ReplayBuffer {
    pub(crate) fn new(early: usize, is_unsized: bool, repeatable: bool) -> Self {
        Self {
            early,
            framed: Buffer::default(),
            sent: 0,
            overwritten: false,
            is_unsized,
            bare: false,
            repeatable,
        }
    }

    pub(crate) fn is_replayable(&self) -> bool {
        !self.overwritten
    }

    pub(crate) fn has_left(&self) -> bool {
        self.sent == self.early + self.framed.len()
    }

    /// To be sent from its beginning, to an endpoint whose protocol frames by itself or does not. `end` says
    /// that the body was read to its end, and what stands there.
    pub(crate) fn rewind(&mut self, bare: bool, end: Option<Option<&HeaderMap>>) {
        self.sent = 0;
        if self.bare != bare {
            self.bare = bare;
            self.reframe(end);
        }
    }

    /// Another attempt may speak another protocol than the one before.
    #[cold]
    fn reframe(&mut self, end: Option<Option<&HeaderMap>>) {
        if !self.is_unsized {
            return;
        }
        let before = std::mem::take(&mut self.framed);
        if self.bare {
            self.framed = framing::unframed(before);
            return;
        }
        if !before.is_empty() {
            framing::push_chunk(&mut self.framed, before.bytes());
        }
        if let Some(trailers) = end {
            framing::push_end(&mut self.framed, trailers);
        }
    }

    /// What can leave next, in one piece.
    pub(crate) fn pending<'a>(&'a self, client: &'a impl Downstream) -> &'a [u8] {
        match self.sent < self.early {
            true => &client.early()[self.sent..],
            false => &self.framed.bytes()[self.sent - self.early..],
        }
    }

    /// So much of it has left. `read` says that all of the body was read.
    pub(crate) fn left(&mut self, count: usize, read: bool, client: &mut impl Downstream) {
        self.sent += count;
        if !self.repeatable && read && self.has_left() {
            self.forget(client);
        }
    }

    /// A small body stays where its head is needed, and a larger one where the endpoint may say that it
    /// has not looked at it.
    fn forget(&mut self, client: &mut impl Downstream) {
        let worth = if self.bare { MAX_REPLAYED } else { WORTH_FORGETTING };
        if self.early > worth {
            client.forget_early();
            self.early = 0;
            self.overwritten = true;
        }
        if self.framed.len() > worth {
            self.framed.clear();
            self.framed.rest();
            self.overwritten = true;
        }
        self.sent = self.early + self.framed.len();
    }

    /// As many may wait in the middle of their bodies as there are connections.
    pub(crate) fn wait_small(&mut self, client: &mut impl Downstream) {
        let kept = self.early + self.framed.len();
        let repeatable = self.repeatable || self.bare;
        if self.has_left() && self.sent > 0 && (!repeatable || kept > MAX_REPLAYED) {
            self.forget(client);
        }
        self.fit();
    }

    /// The endpoint takes nothing now.
    pub(crate) fn fit(&mut self) {
        self.framed.fit(0);
    }

    /// So much is read at once.
    pub(crate) fn piece(&self) -> usize {
        if self.bare { BARE_PIECE } else { PIECE }
    }

    /// Whether another piece may come in before some of it has left.
    pub(crate) fn has_room(&self) -> bool {
        self.framed.len() < 2 * self.piece()
    }

    /// What has left makes room when there is none.
    pub(crate) fn recycle(&mut self) {
        if self.framed.len() >= self.piece() && self.has_left() {
            self.framed.clear();
            self.sent = self.early;
            self.overwritten = true;
        }
    }

    /// Where a body whose length is named is read into: at most `limit` bytes more.
    pub(crate) fn place(&mut self, limit: usize) -> &mut Buffer {
        if self.framed.room() == 0 {
            // With what is kept of it no more than a piece.
            self.framed.reserve(limit.min(self.piece() - self.framed.len()));
        }
        &mut self.framed
    }

    pub(crate) fn push(&mut self, data: &[u8]) {
        match self.is_unsized && !self.bare {
            true if data.is_empty() => {}
            true => framing::push_chunk(&mut self.framed, data),
            false => self.framed.push(data),
        }
    }

    /// Nothing more comes, but for these.
    pub(crate) fn end(&mut self, trailers: Option<&HeaderMap>) {
        if self.is_unsized && !self.bare {
            framing::push_end(&mut self.framed, trailers);
        }
    }

    /// The last `count` bytes of what came in.
    pub(crate) fn latest(&self, count: usize) -> &[u8] {
        &self.framed.bytes()[self.framed.len() - count..]
    }
}
