//! Bytes on their way, in memory that a thread uses again and again.
//!
//! A buffer takes memory from its thread when bytes are about to come and gives it back when it is
//! empty and at rest, so that a connection which waits holds none.

use crate::free_list::FreeList;
use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Enough for most heads, and for what is kept of a request or an answer that waits for its client.
const TINY: usize = 1024;
/// Enough for a long head on its way out.
const HEAD: usize = 4 * 1024;
/// Enough for a head and a small body, or a piece of one: 16 KiB are a record of TLS.
const SMALL: usize = 20 * 1024;
/// For bodies that go on and on.
const LARGE: usize = 64 * 1024;
const SIZES: [usize; 4] = [TINY, HEAD, SMALL, LARGE];
/// Pieces of each size that a thread keeps.
const KEPT: [usize; 4] = [1024, 512, 128, 128];

thread_local! {
    /// Of each size.
    static FREE: RefCell<[FreeList<Vec<u8>>; 4]> = const { RefCell::new([FreeList::NEW; 4]) };
}

/// Gives back what the thread has not needed since the last sweep.
pub(crate) fn sweep() {
    FREE.with_borrow_mut(|free| {
        for size in free {
            size.sweep();
        }
    });
}

/// What can be asked whether there is something to read.
pub(crate) trait Readable: AsyncRead {
    /// Ready also when that turns out to be wrong.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Readable for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }
}

/// Whether a socket had nothing to say when it was last heard of. Asks without waiting, and wakes
/// nobody later.
pub(crate) fn has_nothing(socket: &TcpStream) -> bool {
    socket.try_io(Interest::READABLE, || Ok(())).is_err()
}

#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// All of it is initialised, so that it can be read into again without clearing it.
    memory: Vec<u8>,
    from: usize,
    to: usize,
}

impl Buffer {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.memory.get(self.from..self.to).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.to - self.from
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// The first `count` bytes are done with.
    pub(crate) fn advance(&mut self, count: usize) {
        self.from = (self.from + count).min(self.to);
        if self.is_empty() {
            self.clear();
        }
    }

    /// Takes a part out. What is left moves to memory of its own size.
    pub(crate) fn cut(&mut self, part: Range<usize>) {
        let (Some(before), Some(after)) =
            (self.bytes().get(..part.start), self.bytes().get(part.end..))
        else {
            return;
        };
        let mut left = Self::default();
        left.push_all([before, after]);
        *self = left;
    }

    pub(crate) fn clear(&mut self) {
        (self.from, self.to) = (0, 0);
    }

    /// Bytes that fit behind those that are there.
    pub(crate) fn room(&self) -> usize {
        self.memory.len() - self.to
    }

    /// Makes room for `more` bytes at the end.
    #[cold]
    pub(crate) fn reserve(&mut self, more: usize) {
        if self.memory.is_empty() {
            self.memory = take(more);
        }
        if self.room() < more && self.from > 0 {
            self.memory.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        if self.room() < more {
            let mut larger = take(self.to + more);
            larger[..self.to].copy_from_slice(&self.memory[..self.to]);
            give(std::mem::replace(&mut self.memory, larger));
        }
    }

    /// Room for a long body, if nothing stands in the way.
    pub(crate) fn enlarge(&mut self) {
        if self.is_empty() && self.memory.len() < LARGE {
            give(std::mem::replace(&mut self.memory, take(LARGE)));
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.room() < bytes.len() || self.memory.is_empty() {
            self.reserve(bytes.len());
        }
        self.memory[self.to..self.to + bytes.len()].copy_from_slice(bytes);
        self.to += bytes.len();
    }

    /// Adds pieces one after the other.
    #[inline]
    pub(crate) fn push_all<const N: usize>(&mut self, pieces: [&[u8]; N]) {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        if self.room() < length || self.memory.is_empty() {
            self.reserve(length);
        }
        let mut rest = &mut self.memory[self.to..self.to + length];
        for piece in pieces {
            let (place, after) = rest.split_at_mut(piece.len());
            place.copy_from_slice(piece);
            rest = after;
        }
        self.to += length;
    }

    /// Adds the line of a field.
    pub(crate) fn push_line(&mut self, name: &[u8], value: &[u8]) {
        self.push_all([name, b": ", value, b"\r\n"]);
    }

    /// Puts bytes in the place of as many others.
    pub(crate) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let from = self.from + at;
        if let Some(place) = self.memory.get_mut(from..from + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// Moves what is there to memory of its size, with so much room behind it: a peer is waited for.
    pub(crate) fn fit(&mut self, room: usize) {
        if self.memory.len() > 2 * (self.len() + room.max(TINY)) {
            let wanted = self.len() + room;
            let mut less = match room {
                0 => vec![0; wanted],
                _ => take(wanted),
            };
            less[..self.len()].copy_from_slice(self.bytes());
            (self.from, self.to) = (0, self.len());
            give(std::mem::replace(&mut self.memory, less));
        }
    }

    /// Reads once, at most `limit` bytes, behind those that are there. `Ok(0)` is the end. Memory is
    /// taken when there is something to read.
    pub(crate) fn poll_fill(
        &mut self,
        io: Pin<&mut impl Readable>,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        // A connection that waits holds none.
        let Poll::Ready(readable) = io.poll_readable(cx) else {
            self.rest();
            return Poll::Pending;
        };
        readable?;
        if self.room() == 0 {
            self.reserve(limit.min(SMALL));
        }
        let end = self.memory.len().min(self.to.saturating_add(limit));
        let mut room = ReadBuf::new(&mut self.memory[self.to..end]);
        let read = io.poll_read(cx, &mut room);
        let count = room.filled().len();
        if read.is_pending() {
            self.rest();
        }
        ready!(read)?;
        self.to += count;
        Poll::Ready(Ok(count))
    }

    /// Gives its memory back if there is nothing in it.
    pub(crate) fn rest(&mut self) {
        if self.is_empty() {
            self.clear();
            give(std::mem::take(&mut self.memory));
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        give(std::mem::take(&mut self.memory));
    }
}

fn take(least: usize) -> Vec<u8> {
    let Some(place) = SIZES.iter().position(|size| *size >= least) else {
        return vec![0; least.next_power_of_two()];
    };
    let kept = FREE.with_borrow_mut(|free| free[place].pop());
    kept.unwrap_or_else(|| vec![0; SIZES[place]])
}

fn give(memory: Vec<u8>) {
    let Some(place) = SIZES.iter().position(|size| *size == memory.len()) else { return };
    // A thread that ends has nothing to keep.
    let _ = FREE.try_with(|free| {
        if let Ok(mut free) = free.try_borrow_mut()
            && free[place].len() < KEPT[place]
        {
            free[place].push(memory);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_comes_out_in_order_however_it_grows() {
        let mut buffer = Buffer::default();
        let all: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        for part in all.chunks(7_777) {
            buffer.push(part);
        }
        assert_eq!(buffer.bytes(), all);
        buffer.advance(100_000);
        buffer.cut(10..99_990);
        assert_eq!(buffer.bytes(), [&all[100_000..100_010], &all[199_990..]].concat());
        buffer.clear();
        buffer.push(&all[100_000..]);
        buffer.push(b"end");
        assert_eq!(buffer.bytes(), [&all[100_000..], b"end"].concat());
        buffer.advance(usize::MAX / 2);
        assert!(buffer.is_empty());
        buffer.rest();
        assert_eq!(buffer.memory.len(), 0);
    }

    #[test]
    fn what_waits_takes_little_and_loses_nothing() {
        let mut buffer = Buffer::default();
        buffer.push(&[b'a'; 60_000]);
        buffer.advance(59_000);
        buffer.fit(0);
        assert_eq!((buffer.bytes(), buffer.room()), (&[b'a'; 1000][..], 0));
        buffer.push(b"end");
        buffer.fit(1);
        assert_eq!(buffer.bytes(), [&[b'a'; 1000], &b"end"[..]].concat());
        assert!(buffer.memory.len() <= HEAD);
    }

    #[test]
    fn memory_that_nobody_needs_is_given_back() {
        let kept = || FREE.with_borrow(|free| free.iter().map(FreeList::len).sum::<usize>());
        let filled = || {
            let mut buffer = Buffer::default();
            buffer.push(b"x");
            buffer
        };
        drop((0..100).map(|_| filled()).collect::<Vec<_>>());
        assert_eq!(kept(), 100);
        sweep();
        drop((0..10).map(|_| filled()).collect::<Vec<_>>());
        sweep();
        assert_eq!(kept(), 10);
        sweep();
        assert_eq!(kept(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_waits_holds_no_memory() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = Buffer::default();
        tokio::io::AsyncWriteExt::write_all(&mut client, b"hello").await.unwrap();
        let read = std::future::poll_fn(|cx| buffer.poll_fill(Pin::new(&mut socket), 99, cx)).await;
        assert_eq!((read.unwrap(), buffer.bytes()), (5, &b"hello"[..]));
        buffer.advance(5);
        let mut nobody = Context::from_waker(std::task::Waker::noop());
        assert!(buffer.poll_fill(Pin::new(&mut socket), 99, &mut nobody).is_pending());
        assert_eq!(buffer.memory.len(), 0);
    }
}
