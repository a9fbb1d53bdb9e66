//! Reads in passing how one side of a WebSocket closes it.
//!
//! It looks at frame headers and at close frames only, and gives up for good on anything that is
//! not a WebSocket: it never holds a byte back.

#[derive(Debug)]
pub(crate) struct CloseCode {
    from: Sender,
    /// Of the header, and then of a close frame's code.
    seen: Vec<u8>,
    /// Payload that is of no interest.
    skip: u64,
    /// A message has begun and is not whole.
    within: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// It masks what it sends, so that of its close frame no more is read than that there is one.
    Client,
    Backend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Close,
    Closed(u16),
    /// What came is no frame.
    Broken,
}

/// A close frame without a code, as RFC 6455 names it.
const NO_CODE: u16 = 1005;

impl CloseCode {
    pub(super) fn of(from: Sender) -> Self {
        Self { from, seen: Vec::new(), skip: 0, within: false, state: State::Header }
    }

    pub(crate) fn watch(&mut self, mut bytes: &[u8]) {
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = &bytes[skipped..];
            let Some((byte, rest)) = bytes.split_first() else { return };
            match self.state {
                State::Closed(_) | State::Broken => return,
                State::Header | State::Close => {
                    self.seen.push(*byte);
                    bytes = rest;
                    self.advance();
                }
            }
        }
    }

    pub(crate) fn seen(&self) -> Option<u16> {
        match self.state {
            State::Closed(code) => Some(code),
            State::Header | State::Close | State::Broken => None,
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    fn advance(&mut self) {
        if self.state == State::Close {
            if let [high, low] = self.seen[..] {
                self.state = State::Closed(u16::from_be_bytes([high, low]));
            }
            return;
        }
        let [first, second, extended @ ..] = &self.seen[..] else { return };
        let length = match (second & 0x7f, extended) {
            (126, [a, b, ..]) => u64::from(u16::from_be_bytes([*a, *b])),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])
            }
            (126 | 127, _) => return,
            (short, _) => u64::from(short),
        };
        let (first, masked) = (*first, second & 0x80 != 0);
        self.seen.clear();
        if !self.is_sound(first, masked, length) {
            self.state = State::Broken;
            return;
        }
        match (first & 0x0f, self.from) {
            (8, Sender::Backend) if length >= 2 => self.state = State::Close,
            (8, _) => self.state = State::Closed(NO_CODE),
            (_, Sender::Backend) => self.skip = length,
            // Behind the mask.
            (_, Sender::Client) => self.skip = length.saturating_add(4),
        }
    }

    /// Whether it can be the next frame of a WebSocket.
    fn is_sound(&mut self, first: u8, masked: bool, length: u64) -> bool {
        let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
        // No extension that there is uses the other two bits.
        let reserved = first & 0x30 != 0;
        if reserved || masked != (self.from == Sender::Client) {
            return false;
        }
        match opcode {
            0..=2 => {
                let fits = self.within == (opcode == 0);
                self.within = !last;
                fits
            }
            8..=10 => last && length <= 125,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(from: Sender, bytes: &[u8], size: usize) -> Option<u16> {
        let mut code = CloseCode::of(from);
        bytes.chunks(size).for_each(|part| code.watch(part));
        code.seen()
    }

    #[test]
    fn the_code_is_found_however_the_frames_arrive() {
        let mut wire = vec![0x81, 5, b'h', b'e', b'l', b'l', b'o', 0x02, 126, 1, 0];
        wire.extend_from_slice(&[7; 256]);
        wire.extend_from_slice(&[0x80, 127, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]);
        wire.extend_from_slice(&[0x88, 4, 0x03, 0xf3, b'n', b'o']);
        for size in [1, 2, 3, 7, wire.len()] {
            assert_eq!(code(Sender::Backend, &wire, size), Some(1011));
        }
    }

    #[test]
    fn a_client_that_closes_is_seen_behind_its_masks() {
        let mut wire = vec![0x81, 0x82, 1, 2, 3, 4, b'x', b'y', 0xc2, 0xfe, 1, 0, 1, 2, 3, 4];
        wire.extend_from_slice(&[7; 256]);
        wire.extend_from_slice(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf3]);
        for size in [1, 2, 3, 7, wire.len()] {
            assert_eq!(code(Sender::Client, &wire, size), Some(NO_CODE));
        }
    }

    #[test]
    fn a_tunnel_that_just_ends_has_no_code() {
        assert_eq!(code(Sender::Backend, &[0x81, 1, b'x'], 3), None);
        assert_eq!(code(Sender::Backend, &[0x88, 0], 2), Some(NO_CODE));
        assert_eq!(code(Sender::Backend, &[8; 100], 8), None);
    }

    #[test]
    fn what_is_no_frame_is_not_read_on() {
        for (from, bytes) in [
            (Sender::Backend, &[0x88, 0x82, 1, 2, 3, 4, 5, 6][..]),
            (Sender::Client, &[0x81, 1, b'x']),
            (Sender::Client, b"hello"),
            (Sender::Client, &[0x83, 0x80, 1, 2, 3, 4]),
            (Sender::Client, &[0x80, 0x80, 1, 2, 3, 4]),
            (Sender::Client, &[0x08, 0x80, 1, 2, 3, 4]),
        ] {
            let mut code = CloseCode::of(from);
            code.watch(bytes);
            assert!(code.is_broken(), "{bytes:?}");
        }
    }
}
