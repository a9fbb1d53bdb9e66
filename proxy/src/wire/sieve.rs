//! What is put right in the bytes of a connection of HTTP/2 before the HTTP/2 library reads them.
//!
//! The library ends a connection, and every stream on it, over two things that an honest peer may send:
//! frames of data that carry nothing and end nothing, of which it bears a hundred in all the life of a
//! connection, and one malformed field. The first become frames of an unknown type; of the second see
//! [`super::hpack`].
//!
//! What is whole is looked at where it stands. A block of fields that came in part is kept until the rest of
//! it is there, as the library would have done. Pure.

use super::frames::{CONTINUATION, Frame, HEADER, HEADERS, KIND, STREAM, UNKNOWN};
use super::hpack::{Block, Table};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::ReadBuf;

/// Of one block with the heads of its frames. Of more the library makes an end.
const LONGEST_BLOCK: usize = 64 * 1024;
/// Frames of one block.
const MOST_FRAMES: usize = 32;
/// Refers to a field that there never is, which ends a connection.
const NO_FIELD: u8 = 0x80;
/// Streams that nobody has come to ask about.
const MOST_MALFORMED: usize = 64;

/// The streams of one connection of which something malformed has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Malformed(Arc<Streams>);

#[derive(Debug, Default)]
struct Streams {
    count: AtomicUsize,
    ids: Mutex<Vec<u32>>,
}

impl Malformed {
    pub(crate) fn is(&self, stream: u32) -> bool {
        self.0.count.load(Relaxed) > 0 && self.change(|ids| ids.contains(&stream))
    }

    /// The stream has ended.
    pub(crate) fn forget(&self, stream: u32) {
        if self.0.count.load(Relaxed) > 0 {
            self.change(|ids| ids.retain(|known| *known != stream));
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<u32>) -> T) -> T {
        let mut ids = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut ids);
        self.0.count.store(ids.len(), Relaxed);
        changed
    }

    /// Says whether there was room for it.
    fn note(&self, stream: u32) -> bool {
        self.change(|ids| {
            if ids.len() < MOST_MALFORMED && !ids.contains(&stream) {
                ids.push(stream);
            }
            ids.contains(&stream)
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Sieve {
    /// Of what comes next, so much is of no interest.
    skip: usize,
    /// What came of a block, or of a frame's head, that is not whole yet.
    held: Vec<u8>,
    /// What was held, is whole, and was not given yet.
    ready: Vec<u8>,
    table: Table,
    /// Settings of ours that the peer has acknowledged.
    acknowledged: u32,
    /// The library is made to end the connection.
    over: bool,
    malformed: Malformed,
}

/// A block of fields in the frames that carry it.
enum Whole {
    /// So many octets.
    Yes(usize),
    NotYet,
    /// It cannot be read.
    Never,
}

impl Sieve {
    /// So many bytes come before the first frame.
    pub(crate) fn after(skip: usize) -> Self {
        Self { skip, ..Self::default() }
    }

    pub(crate) fn malformed(&self) -> &Malformed {
        &self.malformed
    }

    pub(crate) fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// Gives what was held and has become whole. Says whether there was any.
    pub(crate) fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.ready.is_empty() {
            return false;
        }
        let count = self.ready.len().min(buf.remaining());
        buf.put_slice(&self.ready[..count]);
        self.ready.drain(..count);
        if self.ready.is_empty() {
            self.ready = Vec::new();
        }
        true
    }

    /// Looks at what was read behind the first `before` bytes. Says whether there is something to give.
    pub(crate) fn sift(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> bool {
        let came = &mut buf.filled_mut()[before..];
        if self.held.is_empty() {
            let whole = self.frames(came);
            self.held.extend_from_slice(&came[whole..]);
            buf.set_filled(before + whole);
            return whole > 0;
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(came);
        buf.set_filled(before);
        let whole = self.frames(&mut held);
        if whole == 0 {
            self.held = held;
            return false;
        }
        self.held = held[whole..].to_vec();
        held.truncate(whole);
        self.ready = held;
        self.give(buf)
    }

    /// How much of it may be given: the rest is not whole.
    fn frames(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        loop {
            let skipped = self.skip.min(bytes.len() - at);
            self.skip -= skipped;
            at += skipped;
            let Some(head) = bytes[at..].first_chunk() else { return at };
            let frame = Frame::read(head);
            if frame.is_empty_data() && frame.stream != 0 {
                bytes[at + KIND] = UNKNOWN;
            } else if frame.kind == HEADERS && !self.over {
                match self.block(&mut bytes[at..], frame) {
                    Whole::Yes(length) => {
                        at += length;
                        continue;
                    }
                    Whole::NotYet => return at,
                    Whole::Never => {
                        // No block is of the connection itself: that ends it.
                        bytes[at + STREAM..at + HEADER].fill(0);
                        self.over = true;
                    }
                }
            }
            self.acknowledged += u32::from(frame.acknowledges());
            at += HEADER;
            self.skip = frame.length;
        }
    }

    /// Looks at the block that begins here.
    fn block(&mut self, bytes: &mut [u8], frame: Frame) -> Whole {
        let end = HEADER + frame.length;
        if bytes.len() < end {
            return not_yet(end);
        }
        let Some((from, to)) = frame.block(bytes.get(HEADER)) else { return Whole::Never };
        if !frame.ends_block() {
            return self.pieces(bytes, frame, (from, to));
        }
        self.look(&mut bytes[from..to], frame.stream);
        Whole::Yes(end)
    }

    fn look(&mut self, block: &mut [u8], stream: u32) {
        let noted = match self.table.look(block) {
            Block::Sound => true,
            Block::Malformed => self.malformed.note(stream),
            Block::Unreadable => false,
        };
        if !noted && let Some(first) = block.first_mut() {
            *first = NO_FIELD;
            self.over = true;
        }
    }

    /// The same of one that goes on in other frames.
    #[cold]
    fn pieces(&mut self, bytes: &mut [u8], first: Frame, piece: (usize, usize)) -> Whole {
        let (mut pieces, mut end) = (vec![piece], HEADER + first.length);
        loop {
            let Some(head) = bytes[end..].first_chunk() else { return not_yet(end + HEADER) };
            let frame = Frame::read(head);
            let follows = frame.kind == CONTINUATION && frame.stream == first.stream;
            if !follows || pieces.len() >= MOST_FRAMES {
                return Whole::Never;
            }
            let from = end + HEADER;
            end = from + frame.length;
            if bytes.len() < end {
                return not_yet(end);
            }
            pieces.push((from, end));
            if frame.ends_block() {
                break;
            }
        }
        let copied = pieces.iter().flat_map(|(from, to)| &bytes[*from..*to]);
        let mut block: Vec<u8> = copied.copied().collect();
        self.look(&mut block, first.stream);
        let mut rest = &*block;
        for (from, to) in pieces {
            let (piece, after) = rest.split_at(to - from);
            bytes[from..to].copy_from_slice(piece);
            rest = after;
        }
        Whole::Yes(end)
    }
}

fn not_yet(needed: usize) -> Whole {
    if needed > LONGEST_BLOCK { Whole::Never } else { Whole::NotYet }
}

#[cfg(test)]
mod tests;
