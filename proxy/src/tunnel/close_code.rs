//! Reads the close code that a backend's WebSocket ends with, in passing.
//!
//! It looks at frame headers and at close frames only, and gives up for good on anything that is
//! not a WebSocket: it never holds a byte back.

#[derive(Debug, Default)]
pub(crate) struct CloseCode {
    /// Of the header, and then of a close frame's code.
    seen: Vec<u8>,
    /// Payload that is of no interest.
    skip: u64,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Header,
    Close,
    Done(Option<u16>),
}

impl CloseCode {
    pub(crate) fn watch(&mut self, mut bytes: &[u8]) {
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = &bytes[skipped..];
            let Some((byte, rest)) = bytes.split_first() else { return };
            match self.state {
                State::Done(_) => return,
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
            State::Done(code) => code,
            State::Header | State::Close => None,
        }
    }

    fn advance(&mut self) {
        if self.state == State::Close {
            if let [high, low] = self.seen[..] {
                self.state = State::Done(Some(u16::from_be_bytes([high, low])));
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
        // A backend never masks, and never splits a control frame; whatever does is not one.
        let is_control = first & 0x08 != 0;
        if second & 0x80 != 0 || is_control && (first & 0x80 == 0 || length > 125) {
            self.state = State::Done(None);
            return;
        }
        let (is_close, has_code) = (first & 0x0f == 8, length >= 2);
        self.seen.clear();
        match (is_close, has_code) {
            (true, true) => self.state = State::Close,
            (true, false) => self.state = State::Done(Some(1005)),
            (false, _) => self.skip = length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8], size: usize) -> Option<u16> {
        let mut code = CloseCode::default();
        bytes.chunks(size).for_each(|part| code.watch(part));
        code.seen()
    }

    #[test]
    fn the_code_is_found_however_the_frames_arrive() {
        let mut wire = vec![0x81, 5, b'h', b'e', b'l', b'l', b'o', 0x82, 126, 1, 0];
        wire.extend_from_slice(&[7; 256]);
        wire.extend_from_slice(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]);
        wire.extend_from_slice(&[0x88, 4, 0x03, 0xf3, b'n', b'o']);
        for size in [1, 2, 3, 7, wire.len()] {
            assert_eq!(code(&wire, size), Some(1011));
        }
    }

    #[test]
    fn a_tunnel_that_just_ends_has_no_code() {
        assert_eq!(code(&[0x81, 1, b'x'], 3), None);
        assert_eq!(code(&[0x88, 0], 2), Some(1005));
        assert_eq!(code(&[0x88, 0x82, 1, 2, 3, 4, 5, 6], 8), None);
        assert_eq!(code(&[8; 100], 8), None);
    }
}
