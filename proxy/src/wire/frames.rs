//! The frames of HTTP/2, as far as somebody has to look at them who does not read the protocol.

const HEADER: usize = 9;
const SETTING: usize = 6;
const INCREMENT: usize = 4;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
pub(crate) const WINDOW_UPDATE: u8 = 8;
/// No version of HTTP/2 knows it, so that whoever reads it passes it by.
const UNKNOWN: u8 = 0xe5;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
/// Where in a frame's head its type stands.
const KIND: usize = 3;

/// Cuts one direction of a connection into what is of interest of its frames.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    /// Of the preface or the payload of the frame in hand.
    skip: usize,
    part: [u8; HEADER],
    have: usize,
    next: Part,
}

#[derive(Debug, Default, Clone, Copy)]
enum Part {
    #[default]
    Header,
    Increment {
        stream: u32,
    },
    Settings {
        left: usize,
    },
}

pub(crate) enum Seen {
    Frame(Frame),
    Increment { stream: u32, by: u32 },
    Setting { id: u16, value: u32 },
}

#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) length: usize,
    pub(crate) kind: u8,
    flags: u8,
    pub(crate) stream: u32,
}

impl Frame {
    pub(crate) fn ends_stream(self) -> bool {
        self.flags & END_STREAM != 0
    }

    /// Of a body, of which it says nothing.
    pub(crate) fn is_empty_data(self) -> bool {
        self.kind == DATA && self.length == 0 && !self.ends_stream()
    }
}

impl FrameReader {
    /// So many bytes come before the first frame.
    pub(crate) fn after(skip: usize) -> Self {
        Self { skip, ..Self::default() }
    }

    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Option<Seen> {
        self.pass_skipped(bytes);
        let size = match self.next {
            Part::Header => HEADER,
            Part::Increment { .. } => INCREMENT,
            Part::Settings { .. } => SETTING,
        };
        let taken = (size - self.have).min(bytes.len());
        self.part[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
        self.have += taken;
        *bytes = &bytes[taken..];
        if self.have < size {
            return None;
        }
        self.have = 0;
        let [a, b, c, d, e, f, g, h, i] = self.part;
        let (seen, next) = match self.next {
            Part::Header => {
                let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                let stream = u32::from_be_bytes([f & 0x7f, g, h, i]);
                let next = match d {
                    WINDOW_UPDATE if length == INCREMENT => Part::Increment { stream },
                    SETTINGS if e & ACK == 0 && length > 0 && length % SETTING == 0 => {
                        Part::Settings { left: length }
                    }
                    _ => {
                        self.skip = length;
                        Part::Header
                    }
                };
                (Seen::Frame(Frame { length, kind: d, flags: e, stream }), next)
            }
            Part::Increment { stream } => {
                let by = u32::from_be_bytes([a & 0x7f, b, c, d]);
                (Seen::Increment { stream, by }, Part::Header)
            }
            Part::Settings { left } => {
                let setting = Seen::Setting {
                    id: u16::from_be_bytes([a, b]),
                    value: u32::from_be_bytes([c, d, e, f]),
                };
                let left = left - SETTING;
                (setting, if left > 0 { Part::Settings { left } } else { Part::Header })
            }
        };
        self.next = next;
        Some(seen)
    }

    fn pass_skipped(&mut self, bytes: &mut &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        *bytes = &bytes[skipped..];
    }

    /// Passes what is left of the frame in hand. Says whether that was all of it.
    pub(crate) fn pass_payload(&mut self, bytes: &mut &[u8]) -> bool {
        self.skip += match self.next {
            Part::Header => 0,
            Part::Increment { .. } => INCREMENT - self.have,
            Part::Settings { left } => left - self.have,
        };
        (self.next, self.have) = (Part::Header, 0);
        self.pass_skipped(bytes);
        self.skip == 0
    }
}

/// Where in bytes that came frames of data are that carry nothing and end nothing. The HTTP/2 library
/// bears a hundred of them in all the life of a connection and then ends it with every stream on it,
/// while honest senders make one whenever they flush nothing. Hidden, they are frames of an unknown type.
#[derive(Debug, Default)]
pub(crate) struct EmptyData(Vec<usize>);

impl EmptyData {
    /// Takes note of a frame whose head ends after so many bytes. One whose head came in two pieces
    /// stays as it is.
    pub(crate) fn note(&mut self, frame: Frame, end: usize) {
        if frame.is_empty_data()
            && frame.stream != 0
            && let Some(begin) = end.checked_sub(HEADER)
        {
            self.0.push(begin + KIND);
        }
    }

    pub(crate) fn hide(&mut self, bytes: &mut [u8]) {
        for kind in std::mem::take(&mut self.0) {
            bytes[kind] = UNKNOWN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn only_data_that_is_empty_and_ends_nothing_is_hidden() {
        let frames = [
            frame(HEADERS, 4, b"block"),
            frame(DATA, 0, b""),
            frame(DATA, 0, b"data"),
            frame(DATA, 0, b""),
            frame(DATA, END_STREAM, b""),
        ];
        let whole = frames.concat();
        for size in [HEADER, 10, 23, whole.len()] {
            let (mut reader, mut empty) = (FrameReader::default(), EmptyData::default());
            let mut came = whole.clone();
            for part in came.chunks_mut(size) {
                let (length, mut rest) = (part.len(), &*part);
                while let Some(seen) = reader.next(&mut rest) {
                    if let Seen::Frame(frame) = seen {
                        empty.note(frame, length - rest.len());
                    }
                }
                empty.hide(part);
            }
            let changed: Vec<usize> =
                (0..whole.len()).filter(|at| whole[*at] != came[*at]).collect();
            let first = frames[0].len() + KIND;
            let all = [first, first + HEADER + frames[2].len()];
            assert!(changed.iter().all(|at| all.contains(at)), "{size}: {changed:?}");
            assert!(size < whole.len() || changed == all, "{changed:?}");
        }
    }
}
