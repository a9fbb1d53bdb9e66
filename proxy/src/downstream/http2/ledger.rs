//! Decides what the streams of one HTTP/2 connection may do. Pure.
//!
//! It never holds a byte itself, and never ends a stream that has begun. Whatever lets somebody go on who
//! waits says that something has `changed`.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

/// Of a connection, in what they take here.
const MAX_HEADS: usize = 448 * 1024;
/// Of all answers of a connection: handed to the HTTP/2 library, and not yet with the client.
const MAX_UNSENT: usize = 64 * 1024;
/// What one stream is likely to add to it.
const PIECE: usize = 16 * 1024;
/// Streams that have begun with hardly a window, until no other of that kind does. A client may well wait
/// for an answer's head before it grants anything.
const MAX_SHUT: usize = 8;
/// With less of a window an answer is as good as not read.
const WIDE: i64 = 1024;
/// Streams whose windows are followed. No listener allows as many, but a client may open them.
const MAX_FOLLOWED: usize = 16 * 1024;
/// Until a client says otherwise.
const INITIAL_WINDOW: i64 = 65_535;

/// Of a stream that has not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Goes,
    /// It is in `queued` meanwhile.
    Waits,
    /// The client has given it up.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    /// What the client takes on a stream that it has said nothing of.
    initial: i64,
    streams: HashMap<u32, Stream>,
    last: u32,
    heads: usize,
    unsent: usize,
    /// Those that wait for room, by their streams.
    writers: VecDeque<(u32, Waker)>,
    /// Some stream waits for its turn.
    pub(crate) queued: bool,
    pub(crate) changed: bool,
}

#[derive(Debug, Default)]
struct Stream {
    /// Granted beyond the initial window, less what was sent.
    moved: i64,
    /// Interim heads that are yet to leave, and what they take. They are in `unsent`, too.
    interim: usize,
    interim_cost: usize,
    /// It had its turn.
    went: bool,
    unsent: usize,
    /// A stream is open until both have, and its exchange may go on until then.
    request_ended: bool,
    answer_ended: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            initial: INITIAL_WINDOW,
            streams: HashMap::new(),
            last: 0,
            heads: 0,
            unsent: 0,
            writers: VecDeque::new(),
            queued: false,
            changed: false,
        }
    }
}

impl Ledger {
    pub(crate) fn opened(&mut self, stream: u32) {
        // Trailers have the number of a stream that is known.
        if stream > self.last && self.streams.len() < MAX_FOLLOWED {
            self.last = stream;
            self.streams.insert(stream, Stream::default());
        }
    }

    pub(crate) fn closed(&mut self, stream: u32) {
        if let Some(gone) = self.streams.remove(&stream) {
            self.unsent -= gone.unsent;
            self.changed = true;
        }
    }

    pub(crate) fn request_ended(&mut self, stream: u32) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        known.request_ended = true;
        if known.answer_ended {
            self.closed(stream);
        }
    }

    /// The client has all of it, while its request may still go on.
    pub(crate) fn answer_ended(&mut self, stream: u32) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        known.answer_ended = true;
        if known.request_ended {
            self.closed(stream);
            return;
        }
        self.unsent -= std::mem::take(&mut known.unsent);
        self.changed = true;
    }

    /// A head of the answer is on its way to the client: the oldest that it was not sent yet.
    pub(crate) fn head_left(&mut self, stream: u32) {
        let Some(stream) = self.streams.get_mut(&stream) else { return };
        if stream.interim == 0 {
            self.changed = true;
            return;
        }
        let left = stream.interim_cost / stream.interim;
        stream.interim -= 1;
        stream.interim_cost -= left;
        stream.unsent -= left;
        self.unsent -= left;
    }

    pub(crate) fn handed_head(&mut self, stream: u32, cost: usize) {
        if let Some(known) = self.streams.get_mut(&stream) {
            known.interim += 1;
            known.interim_cost += cost;
            self.handed(stream, cost);
        }
    }

    pub(crate) fn granted(&mut self, stream: u32, by: u32) {
        // The connection's own window is 0.
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.moved = stream.moved.saturating_add(i64::from(by));
        }
        self.changed = true;
    }

    pub(crate) fn initial(&mut self, window: u32) {
        self.initial = i64::from(window);
        self.changed = true;
    }

    #[cfg(test)]
    pub(crate) fn room(&self, stream: u32) -> Option<i64> {
        self.streams.get(&stream).map(|stream| self.initial + stream.moved)
    }

    pub(crate) fn handed(&mut self, stream: u32, bytes: usize) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.unsent += bytes;
            self.unsent += bytes;
        }
    }

    /// A frame of an answer is on its way to the client.
    pub(crate) fn data_left(&mut self, stream: u32, bytes: usize) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.moved = stream.moved.saturating_sub(bytes as i64);
            let left = bytes.min(stream.unsent);
            stream.unsent -= left;
            self.unsent -= left;
        }
    }

    pub(crate) fn waits_for_room(&mut self, stream: u32, waker: &Waker) {
        match self.writers.iter_mut().find(|(known, _)| *known == stream) {
            Some((_, known)) => known.clone_from(waker),
            None => self.writers.push_back((stream, waker.clone())),
        }
    }

    /// For more of an answer.
    pub(crate) fn has_room(&self) -> bool {
        self.unsent < MAX_UNSENT
    }

    /// Those that may hand on more of their answers. Each is likely to take a piece.
    pub(crate) fn woken(&mut self) -> Vec<Waker> {
        let room = MAX_UNSENT.saturating_sub(self.unsent).div_ceil(PIECE);
        let count = if self.unsent == 0 { usize::MAX } else { room };
        self.writers.drain(..count.min(self.writers.len())).map(|(_, waker)| waker).collect()
    }

    /// Takes a head in, unless it is too much beside the others.
    pub(crate) fn take_head(&mut self, cost: usize) -> bool {
        let fits = self.heads + cost <= MAX_HEADS;
        if fits {
            self.heads += cost;
        }
        fits
    }

    pub(crate) fn head_gone(&mut self, cost: usize) {
        self.heads -= cost;
    }

    /// Lets a stream begin, unless many have begun that have hardly a window, and it has none either.
    /// `places` is how many more of that kind may, once somebody has counted.
    pub(crate) fn go(&mut self, stream: u32, places: &mut Option<usize>) -> Turn {
        let Some(asks) = self.streams.get(&stream) else { return Turn::Gone };
        if !self.is_wide(asks) {
            let places = places.get_or_insert_with(|| {
                let shut = |one: &&Stream| one.went && !self.is_wide(one);
                MAX_SHUT.saturating_sub(self.streams.values().filter(shut).count())
            });
            if *places == 0 {
                return Turn::Waits;
            }
            *places -= 1;
        }
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.went = true;
        }
        Turn::Goes
    }

    pub(crate) fn is_shut(&self, stream: u32) -> bool {
        self.streams.get(&stream).is_some_and(|stream| !self.is_wide(stream))
    }

    fn is_wide(&self, stream: &Stream) -> bool {
        stream.answer_ended || self.initial + stream.moved >= WIDE
    }
}

#[cfg(test)]
mod tests;
