//! Watches an HTTP/2 connection for frames that cost the server work and the client nothing:
//! PING, SETTINGS, PRIORITY, RST_STREAM, CONTINUATION and empty DATA floods.
//!
//! It reads frame headers, window updates and settings, and understands nothing else of the protocol.
//! A connection has a stock of costly frames that refills with time and with every answer; window
//! updates are free as far as frames or bytes were sent for them. What it sees of windows and of
//! answers that leave goes into the connection's account. Pure: time is an argument.

use crate::downstream::http2::account::Account;
use crate::downstream::http2::ledger::Ledger;
use crate::wire::frames::{DATA, Frame, FrameReader, HEADERS, Seen, WINDOW_UPDATE};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a connection may send at once, and again per second.
const STOCK: u32 = 1_000;
const REFILL_PER_SECOND: u32 = 100;
/// A client that reads acknowledges at least this much at a time,
const BYTES_PER_UPDATE: usize = 1024;
/// or each frame that it gets, for its stream and for the connection.
const UPDATES_PER_FRAME: usize = 2;
/// Window updates that a client can have earned.
const MAX_EARNED: usize = 1 << 20;

pub(crate) const PREFACE: usize = 24;

const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// A frame that no client may send: SETTINGS on a stream. The HTTP/2 code that reads it answers
/// with GOAWAY and PROTOCOL_ERROR.
pub(crate) const POISON: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 1];

#[derive(Debug)]
pub(crate) struct FrameWatch {
    stock: u32,
    refilled: Instant,
    /// Window updates that were paid for by what was sent.
    earned: usize,
    sent: usize,
    incoming: FrameReader,
    outgoing: FrameReader,
    flooded: bool,
    account: Arc<Account>,
}

impl FrameWatch {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            stock: STOCK,
            refilled: now,
            earned: STOCK as usize,
            sent: 0,
            incoming: FrameReader::after(PREFACE),
            outgoing: FrameReader::default(),
            flooded: false,
            account: Arc::default(),
        }
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Takes note of bytes that left.
    pub(crate) fn note_sent(&mut self, mut bytes: &[u8]) {
        self.sent += bytes.len();
        self.earned += self.sent / BYTES_PER_UPDATE;
        self.sent %= BYTES_PER_UPDATE;
        let account = Arc::clone(&self.account);
        account.note(|ledger| {
            while let Some(seen) = self.outgoing.next(&mut bytes) {
                if let Seen::Frame(frame) = seen {
                    self.answered(frame, ledger);
                }
            }
        });
        self.earned = self.earned.min(MAX_EARNED);
    }

    fn answered(&mut self, frame: Frame, ledger: &mut Ledger) {
        let ends = frame.ends_stream();
        match frame.kind {
            HEADERS => {
                ledger.head_left(frame.stream);
                // A client may cancel, or ask whether we are there, as often as it is answered.
                self.stock = STOCK.min(self.stock + 1);
            }
            DATA => ledger.data_left(frame.stream, frame.length),
            RST_STREAM => ledger.closed(frame.stream),
            _ => return,
        }
        self.earned += UPDATES_PER_FRAME;
        if ends && frame.kind != RST_STREAM {
            ledger.answer_ended(frame.stream);
        }
    }

    /// Takes note of bytes that came. `Some(n)` says that the stock is used up, and that the
    /// frame which did it ends after `n` of them.
    pub(crate) fn note(&mut self, mut bytes: &[u8], now: Instant) -> Option<usize> {
        let whole = bytes.len();
        let account = Arc::clone(&self.account);
        account.note(|ledger| {
            while !self.flooded
                && let Some(seen) = self.incoming.next(&mut bytes)
            {
                match seen {
                    Seen::Frame(frame) => self.frame(frame, ledger, now),
                    Seen::Increment { stream, by } => ledger.granted(stream, by),
                    Seen::Setting { id: INITIAL_WINDOW_SIZE, value } => ledger.initial(value),
                    Seen::Setting { .. } => {}
                }
            }
        });
        if !self.flooded {
            return None;
        }
        self.incoming.pass_payload(&mut bytes).then(|| whole - bytes.len())
    }

    fn frame(&mut self, frame: Frame, ledger: &mut Ledger, now: Instant) {
        let Frame { kind, stream, .. } = frame;
        let ends = frame.ends_stream();
        let costs = match kind {
            HEADERS => {
                ledger.opened(stream);
                false
            }
            PUSH_PROMISE | GOAWAY => false,
            DATA => frame.is_empty_data(),
            WINDOW_UPDATE if self.earned > 0 => {
                self.earned -= 1;
                false
            }
            RST_STREAM => {
                ledger.closed(stream);
                true
            }
            _ => true,
        };
        if ends && matches!(kind, HEADERS | DATA) {
            ledger.request_ended(stream);
        }
        if costs {
            self.refill(now);
            match self.stock.checked_sub(1) {
                Some(left) => self.stock = left,
                None => self.flooded = true,
            }
        }
    }

    fn refill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.refilled);
        if since >= Duration::from_millis(100) {
            let more = since.as_millis() * u128::from(REFILL_PER_SECOND) / 1000;
            self.stock = STOCK.min(self.stock + u32::try_from(more).unwrap_or(STOCK).min(STOCK));
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
    }

    fn connection(frames: &[u8]) -> Vec<u8> {
        [&[b'x'; PREFACE][..], frames].concat()
    }

    #[test]
    fn a_flood_of_pings_ends_at_a_frames_boundary() {
        let now = Instant::now();
        let pings = connection(&frame(6, &[0; 8]).repeat(STOCK as usize + 10));
        for size in [1, 7, 1000, pings.len()] {
            let (mut watch, mut passed) = (FrameWatch::new(now), 0);
            let end = pings.chunks(size).find_map(|part| {
                let found = watch.note(part, now).map(|n| passed + n);
                passed += part.len();
                found
            });
            assert_eq!(end, Some(PREFACE + 17 * (STOCK as usize + 1)));
        }
    }

    #[test]
    fn requests_data_and_acknowledgements_of_what_was_sent_are_free() {
        let now = Instant::now();
        let mut watch = FrameWatch::new(now);
        assert_eq!(watch.note(&connection(&[]), now), None);
        for _ in 0..5 * STOCK {
            watch.note_sent(&frame(0, &[0; 32 * 1024]));
            let update = frame(8, &[0; 4]);
            assert_eq!(watch.note(&update, now), None);
            assert_eq!(watch.note(&frame(1, b"block"), now), None);
            assert_eq!(watch.note(&frame(0, b"data"), now), None);
        }
    }

    #[test]
    fn a_steady_trickle_of_pings_lives() {
        let mut now = Instant::now();
        let mut watch = FrameWatch::new(now);
        assert_eq!(watch.note(&connection(&[]), now), None);
        for _ in 0..5 * STOCK {
            now += Duration::from_millis(20);
            assert_eq!(watch.note(&frame(6, &[0; 8]), now), None);
        }
    }

    /// As HAProxy does it, for as many requests a second as there are.
    #[test]
    fn each_small_answer_earns_the_updates_that_a_client_sends_for_it() {
        let now = Instant::now();
        let mut watch = FrameWatch::new(now);
        assert_eq!(watch.note(&connection(&[]), now), None);
        for _ in 0..20 * STOCK {
            assert_eq!(watch.note(&frame(1, b"block"), now), None);
            watch.note_sent(&[frame(1, b"head"), frame(0, b"ok")].concat());
            assert_eq!(watch.note(&frame(8, &[0, 0, 0, 2]).repeat(2), now), None);
        }
    }

    #[test]
    fn windows_are_read_however_the_bytes_come() {
        let now = Instant::now();
        let mut settings = frame(4, &[0, 3, 0, 0, 0, 100, 0, 4, 0, 0, 0, 7]);
        settings[8] = 0;
        let bytes = [settings, frame(1, b"block"), frame(8, &[0, 0, 0, 5])].concat();
        for size in 1..40 {
            let mut watch = FrameWatch::new(now);
            connection(&bytes).chunks(size).for_each(|part| {
                assert_eq!(watch.note(part, now), None);
            });
            assert_eq!(watch.account().note(|ledger| ledger.room(1)), Some(12), "{size}");
            for part in [frame(1, b"head"), frame(0, b"body")].concat().chunks(size) {
                watch.note_sent(part);
            }
            assert_eq!(watch.account().note(|ledger| ledger.room(1)), Some(8), "{size}");
        }
    }
}
