//! What the streams of one HTTP/2 connection may make Serin hold: decoded heads, and answers that the
//! client does not take.
//!
//! The HTTP/2 library bounds each stream by itself, and a client opens a hundred of them. Here they
//! share one allowance. A head that does not fit is refused; an answer is read from its backend when
//! the client has room for it and what was read before has left; a stream waits for its turn when many
//! have begun that have hardly a window; and one of the full lane, which reads ahead of its client by
//! far more, begins when the client has shown that it reads.
//!
//! [`Ledger`] decides and is pure: time is an argument. It never holds a byte itself, and never ends
//! a stream that has begun.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Of a connection, in what they take here.
const MAX_HEADS: usize = 448 * 1024;
/// What a field takes besides its name and value.
const FIELD: usize = 112;
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
const GROWS_EACH: Duration = Duration::from_millis(100);
const MAX_GROWN: usize = 1024;
/// Streams whose windows are followed. No listener allows as many, but a client may open them.
const MAX_FOLLOWED: usize = 16 * 1024;
/// Until a client says otherwise.
const INITIAL_WINDOW: i64 = 65_535;

#[derive(Debug, Default)]
pub(crate) struct Account {
    ledger: Mutex<Ledger>,
    /// A stream of the full lane that waits to begin may look again.
    changed: Notify,
    /// And so may those that wait for their turn.
    turn: Notify,
}

impl Account {
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut ledger);
        let changed = std::mem::take(&mut ledger.changed);
        let (waiting, queued) = (changed && ledger.waiting > 0, changed && ledger.queued);
        let woken = ledger.woken();
        drop(ledger);
        woken.into_iter().for_each(Waker::wake);
        if waiting {
            self.changed.notify_waiters();
        }
        if queued {
            self.turn.notify_one();
        }
        outcome
    }

    /// Room for more of a stream's answer.
    pub(crate) fn poll_room(&self, stream: u32, cx: &Context<'_>) -> Poll<()> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if ledger.unsent < MAX_UNSENT {
            return Poll::Ready(());
        }
        ledger.waits_for_room(stream, cx.waker());
        Poll::Pending
    }

    /// So much of a stream's answer was handed to the HTTP/2 library.
    pub(crate) fn handed(&self, stream: u32, bytes: usize) {
        self.note(|ledger| ledger.handed(stream, bytes));
    }

    /// A head was handed to it, which is sent before any other of its stream.
    pub(crate) fn handed_head(&self, stream: u32, cost: usize) {
        self.note(|ledger| ledger.handed_head(stream, cost));
    }

    /// What a decoded head takes.
    pub(crate) fn cost_of(fields: &http::HeaderMap) -> usize {
        let fields = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD);
        fields.sum()
    }

    /// Waits until one more stream of the full lane may begin.
    pub(crate) async fn may_begin(self: &Arc<Self>) -> Begun {
        self.note(|ledger| ledger.waiting += 1);
        let _waiting = Waits(self);
        loop {
            // From here on a change is not missed.
            let changed = self.changed.notified();
            match self.note(|ledger| ledger.begin(Instant::now())) {
                Verdict::Begins => return Begun(Arc::clone(self)),

                Verdict::Full => {
                    let _more = tokio::time::timeout(GROWS_EACH, changed).await;
                }
                Verdict::Closed => changed.await,
            }
        }
    }

    /// Waits until something has changed for streams that wait for their turn.
    pub(crate) async fn turned(&self) {
        self.turn.notified().await;
    }
}

struct Waits<'a>(&'a Account);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.note(|ledger| ledger.waiting -= 1);
    }
}

/// Counts a stream of the full lane out, however it ends.
pub(crate) struct Begun(Arc<Account>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.note(Ledger::ended);
    }
}

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
    waiting: usize,
    /// Some stream waits for its turn.
    pub(crate) queued: bool,
    changed: bool,
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
            return;
        }
        let left = stream.interim_cost / stream.interim;
        stream.interim -= 1;
        stream.interim_cost -= left;
        stream.unsent -= left;
        self.unsent -= left;
    }

    fn handed_head(&mut self, stream: u32, cost: usize) {
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

    fn handed(&mut self, stream: u32, bytes: usize) {
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

    fn waits_for_room(&mut self, stream: u32, waker: &Waker) {
        match self.writers.iter_mut().find(|(known, _)| *known == stream) {
            Some((_, known)) => known.clone_from(waker),
            None => self.writers.push_back((stream, waker.clone())),
        }
    }

    /// Those that may hand on more of their answers. Each is likely to take a piece.
    fn woken(&mut self) -> Vec<Waker> {
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

    fn ended(&mut self) {
        self.running -= 1;
        self.allowed = MAX_GROWN.min(self.allowed + 1);
        self.changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(streams: u32) -> Ledger {
        let mut ledger = Ledger::default();
        (0..streams).for_each(|n| ledger.opened(2 * n + 1));
        ledger
    }

    fn begun(ledger: &mut Ledger, now: Instant) -> usize {
        (0..1000).take_while(|_| ledger.begin(now) == Verdict::Begins).count()
    }

    #[test]
    fn nothing_begins_for_a_client_that_takes_nothing() {
        let (mut ledger, now) = (opened(100), Instant::now());
        ledger.initial(0);
        assert_eq!(ledger.begin(now), Verdict::Closed);
        ledger.granted(3, 10);
        ledger.granted(7, 10);
        assert_eq!(begun(&mut ledger, now), 2);
        assert_eq!(ledger.begin(now), Verdict::Closed);
        ledger.initial(100);
        assert_eq!(begun(&mut ledger, now), FIRST_STREAMS - 2);
        assert_eq!(ledger.begin(now), Verdict::Full);
    }

    #[test]
    fn a_client_that_stops_taking_gets_no_more_begun() {
        let (mut ledger, now) = (opened(100), Instant::now());
        assert_eq!(begun(&mut ledger, now), FIRST_STREAMS);
        for n in 0..FIRST_STREAMS as u32 {
            ledger.head_left(2 * n + 1);
            ledger.data_left(2 * n + 1, 8 * 1024);
        }
        assert_eq!(ledger.begin(now + GROWS_EACH), Verdict::Closed, "of the connection's window");
        ledger.granted(0, 1 << 20);
        (0..FIRST_STREAMS as u32).for_each(|n| ledger.data_left(2 * n + 1, 60_000));
        assert_eq!(ledger.begin(now + GROWS_EACH), Verdict::Closed, "of its streams' windows");
        ledger.granted(1, 1 << 20);
        assert_eq!(ledger.begin(now + GROWS_EACH), Verdict::Begins);
        ledger.stalled(true);
        assert_eq!(ledger.begin(now + 2 * GROWS_EACH), Verdict::Closed, "of its socket");
    }

    #[test]
    fn an_upload_that_goes_on_after_its_answer_keeps_no_other_stream_from_beginning() {
        let (mut ledger, now) = (opened(1), Instant::now());
        ledger.initial(2);
        assert_eq!(begun(&mut ledger, now), 1);
        ledger.head_left(1);
        ledger.handed(1, 2);
        ledger.data_left(1, 2);
        ledger.answer_ended(1);
        for stream in [3, 5, 7] {
            ledger.opened(stream);
            ledger.request_ended(stream);
            assert_eq!(begun(&mut ledger, now), 1);
            ledger.answer_ended(stream);
            ledger.ended();
        }
        assert_eq!((ledger.streams.len(), ledger.running), (1, 1));
        ledger.request_ended(1);
        ledger.ended();
        assert_eq!((ledger.streams.len(), ledger.running), (0, 0));
    }

    /// How many of those that ask get their turn.
    fn gone(ledger: &mut Ledger, asking: impl Iterator<Item = u32>) -> usize {
        let mut places = None;
        asking.filter(|n| ledger.go(2 * n + 1, &mut places) == Turn::Goes).count()
    }

    #[test]
    fn few_streams_begin_that_have_hardly_a_window() {
        for window in [0, 1, WIDE as u32 - 1] {
            let mut ledger = opened(200);
            assert_eq!(gone(&mut ledger, 0..50), 50);
            ledger.initial(window);
            assert_eq!(gone(&mut ledger, 50..100), 0, "as many have begun");
            (0..50).for_each(|n| ledger.closed(2 * n + 1));
            assert_eq!(gone(&mut ledger, 50..100), MAX_SHUT);
            // One that is granted some makes place for another, and one that asks needs none.
            ledger.granted(101, WIDE as u32);
            assert_eq!(gone(&mut ledger, 80..100), 1);
            ledger.granted(199, WIDE as u32);
            assert_eq!(gone(&mut ledger, 99..100), 1);
            // Those that are cancelled keep nobody back, and do not begin.
            (50..60).for_each(|n| ledger.closed(2 * n + 1));
            assert_eq!(ledger.go(101, &mut None), Turn::Gone);
            assert_eq!(gone(&mut ledger, 100..200), MAX_SHUT - 1);
        }
    }

    #[test]
    fn streams_that_live_long_and_are_read_all_begin() {
        let (mut ledger, mut now) = (opened(100), Instant::now());
        let mut all = 0;
        for _ in 0..20 {
            all += begun(&mut ledger, now);
            now += GROWS_EACH;
        }
        assert_eq!(all, 100);
    }

    #[test]
    fn what_a_stream_held_goes_with_it() {
        let mut ledger = opened(3);
        ledger.handed(1, 40_000);
        ledger.handed(3, 30_000);
        assert_eq!(ledger.unsent, 70_000);
        ledger.data_left(1, 10_000);
        ledger.closed(3);
        assert_eq!(ledger.unsent, 30_000);
        ledger.closed(1);
        ledger.closed(1);
        assert_eq!(ledger.unsent, 0);
        assert!(ledger.take_head(MAX_HEADS) && !ledger.take_head(1));
        ledger.head_gone(MAX_HEADS);
        assert!(ledger.take_head(1));
    }

    #[test]
    fn those_that_wait_for_room_are_woken_as_it_comes_and_none_is_forgotten() {
        let mut ledger = opened(1);
        ledger.handed(1, MAX_UNSENT);
        (0..20).for_each(|n| ledger.waits_for_room(n % 10, Waker::noop()));
        assert_eq!(ledger.writers.len(), 10, "each once");
        assert_eq!(ledger.woken().len(), 0);
        ledger.data_left(1, PIECE);
        assert_eq!(ledger.woken().len(), 1);
        ledger.closed(1);
        assert_eq!(ledger.woken().len(), 9);
    }
}
