//! Decides what the streams of one HTTP/2 connection may do. Pure: time is an argument.
//!
//! It never holds a byte itself, and never ends a stream that has begun. Whatever lets somebody go on who
//! waits says that something has `changed`.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Of a connection, in what they take here.
const MAX_HEADS: usize = 448 * 1024;
/// Of all answers of a connection: handed to the HTTP/2 library, and not yet with the client.
const MAX_UNSENT: usize = 64 * 1024;
/// What one stream is likely to add to it.
const PIECE: usize = 16 * 1024;
/// Answers that a client leaves no window for, until no other stream of the full lane begins.
const MAX_BLOCKED: usize = 8;
/// Streams that have begun with hardly a window, until no other of that kind does. A client may well wait
/// for an answer's head before it grants anything.
const MAX_SHUT: usize = 8;
/// With less of a window an answer is as good as not read.
const WIDE: i64 = 1024;
/// Streams of the full lane that a connection begins with, and that it gets more each time.
const FIRST_STREAMS: usize = 8;
pub(crate) const GROWS_EACH: Duration = Duration::from_millis(100);
const MAX_GROWN: usize = 1024;
/// Streams whose windows are followed. No listener allows as many, but a client may open them.
const MAX_FOLLOWED: usize = 16 * 1024;
/// Until a client says otherwise.
const INITIAL_WINDOW: i64 = 65_535;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Begins,
    /// As many are under way as the client has earned; it earns more with time.
    Full,
    /// The client takes nothing, or has stopped taking.
    Closed,
}

/// Of a stream that neither lane has yet.
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
    /// What the client still takes on the connection, and on a stream that it has said nothing of.
    connection: i64,
    initial: i64,
    streams: HashMap<u32, Stream>,
    last: u32,
    heads: usize,
    unsent: usize,
    /// Those that wait for room, by their streams.
    writers: VecDeque<(u32, Waker)>,
    /// The client's socket takes nothing.
    stalled: bool,
    /// Of the full lane.
    running: usize,
    allowed: usize,
    grown: Option<Instant>,
    pub(crate) waiting: usize,
    /// Some stream waits for its turn.
    pub(crate) queued: bool,
    pub(crate) changed: bool,
}

#[derive(Debug, Default)]
struct Stream {
    /// Granted beyond the initial window, less what was sent.
    moved: i64,
    answered: bool,
    /// Interim heads that are yet to leave, and what they take. They are in `unsent`, too.
    interim: usize,
    interim_cost: usize,
    /// The client has taken the beginning of the answer, and left room for more.
    begun: bool,
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
            connection: INITIAL_WINDOW,
            initial: INITIAL_WINDOW,
            streams: HashMap::new(),
            last: 0,
            heads: 0,
            unsent: 0,
            writers: VecDeque::new(),
            stalled: false,
            running: 0,
            allowed: FIRST_STREAMS,
            grown: None,
            waiting: 0,
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
            stream.answered = true;
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
        if stream == 0 {
            self.connection = self.connection.saturating_add(i64::from(by));
        } else if let Some(stream) = self.streams.get_mut(&stream) {
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
        self.connection = self.connection.saturating_sub(bytes as i64);
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.moved = stream.moved.saturating_sub(bytes as i64);
            // Who has taken the beginning of an answer and has room for more is a reader.
            if !stream.begun && bytes > 0 && self.initial + stream.moved > 0 {
                stream.begun = true;
                self.allowed = MAX_GROWN.min(self.allowed + 1);
                self.changed = true;
            }
            let left = bytes.min(stream.unsent);
            stream.unsent -= left;
            self.unsent -= left;
        }
    }

    pub(crate) fn stalled(&mut self, stalled: bool) {
        self.changed |= self.stalled && !stalled;
        self.stalled = stalled;
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

    pub(crate) fn begin(&mut self, now: Instant) -> Verdict {
        let (mut blocked, mut open) = (0, 0);
        for stream in self.streams.values() {
            if self.is_open(stream) {
                open += 1;
            } else if stream.answered {
                blocked += 1;
            }
        }
        if self.stalled
            || self.connection <= 0
            || blocked >= MAX_BLOCKED
            || self.running >= open + blocked
        {
            return Verdict::Closed;
        }
        if self.running >= self.allowed {
            let since = *self.grown.get_or_insert(now);
            if now.saturating_duration_since(since) < GROWS_EACH {
                return Verdict::Full;
            }
            self.allowed = MAX_GROWN.min(self.allowed + FIRST_STREAMS);
            self.grown = Some(now);
        }
        self.running += 1;
        Verdict::Begins
    }

    fn is_open(&self, stream: &Stream) -> bool {
        stream.answer_ended || self.initial + stream.moved > 0
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
        self.went(stream, true);
        Turn::Goes
    }

    fn is_wide(&self, stream: &Stream) -> bool {
        stream.answer_ended || self.initial + stream.moved >= WIDE
    }

    /// Whether it takes a place of those that have begun.
    pub(crate) fn went(&mut self, stream: u32, went: bool) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.went = went;
            self.changed |= !went;
        }
    }

    pub(crate) fn ended(&mut self) {
        self.running -= 1;
        self.allowed = MAX_GROWN.min(self.allowed + 1);
        self.changed = true;
    }
}

#[cfg(test)]
mod tests;
