//! Watches an HTTP/2 connection for frames that cost the server work and the client nothing:
//! PING, SETTINGS, PRIORITY, RST_STREAM, CONTINUATION and empty DATA floods.
//!
//! It reads frame headers only, and understands nothing else of the protocol. A connection has a
//! stock of such frames that refills with time; window updates are free as far as bytes were
//! sent for them. Pure: time is an argument.

use std::time::{Duration, Instant};

/// What a connection may send at once, and again per second.
const STOCK: u32 = 1_000;
const REFILL_PER_SECOND: u32 = 100;
/// A client that reads acknowledges at least this much at a time.
const BYTES_PER_UPDATE: usize = 1024;

const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// A frame that no client may send: SETTINGS on a stream. The HTTP/2 code that reads it answers
/// with GOAWAY and PROTOCOL_ERROR.
pub(super) const POISON: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 1];

#[derive(Debug)]
pub(super) struct FrameWatch {
    stock: u32,
    refilled: Instant,
    /// Window updates that were paid for by bytes sent.
    earned: usize,
    sent: usize,
    /// Of the preface or the payload of the frame in hand.
    skip: usize,
    header: [u8; 9],
    have: usize,
    flooded: bool,
}

impl FrameWatch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            stock: STOCK,
            refilled: now,
            earned: STOCK as usize,
            sent: 0,
            skip: PREFACE,
            header: [0; 9],
            have: 0,
            flooded: false,
        }
    }

    pub(super) fn note_sent(&mut self, bytes: usize) {
        self.sent += bytes;
        self.earned += self.sent / BYTES_PER_UPDATE;
        self.sent %= BYTES_PER_UPDATE;
        self.earned = self.earned.min(1 << 20);
    }

    /// Takes note of bytes that came. `Some(n)` says that the stock is used up, and that the
    /// frame which did it ends after `n` of them.
    pub(super) fn note(&mut self, mut bytes: &[u8], now: Instant) -> Option<usize> {
        let whole = bytes.len();
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.flooded && self.skip == 0 {
                return Some(whole - bytes.len());
            }
            if bytes.is_empty() {
                return None;
            }
            let taken = (9 - self.have).min(bytes.len());
            self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == 9 {
                self.have = 0;
                self.frame(now);
            }
        }
    }

    fn frame(&mut self, now: Instant) {
        let [a, b, c, kind, flags, ..] = self.header;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.skip = length;
        let costs = match kind {
            HEADERS | PUSH_PROMISE | GOAWAY => false,
            DATA => length == 0 && flags & 1 == 0,
            WINDOW_UPDATE if self.earned > 0 => {
                self.earned -= 1;
                false
            }
            _ => true,
        };
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
            watch.note_sent(32 * 1024);
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
}
