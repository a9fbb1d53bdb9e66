//! The frames of HTTP/2, as far as somebody has to look at them who does not read the protocol.

pub(super) const HEADER: usize = 9;
const SETTING: usize = 6;
const INCREMENT: usize = 4;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
/// No version of HTTP/2 knows it, so that whoever reads it passes it by.
pub(super) const UNKNOWN: u8 = 0xe5;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// What says which stream another depends on.
const DEPENDENCY: usize = 5;
const ACK: u8 = 1;
/// Where in a frame's head its type stands, and its stream.
pub(super) const KIND: usize = 3;
pub(super) const STREAM: usize = 5;

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
    pub(super) fn read([a, b, c, kind, flags, stream @ ..]: &[u8; HEADER]) -> Self {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let stream = u32::from_be_bytes(*stream) & 0x7fff_ffff;
        Self { length, kind: *kind, flags: *flags, stream }
    }

    /// Where its part of a block of fields stands, from the frame's beginning on. `None` when there is no
    /// room for one. `padding` is the first octet of its payload.
    pub(super) fn block(self, padding: Option<&u8>) -> Option<(usize, usize)> {
        let has = |flag| self.flags & flag != 0;
        let padding = padding.filter(|_| has(PADDED)).map(|count| usize::from(*count));
        let from = HEADER + usize::from(has(PADDED)) + if has(PRIORITY) { DEPENDENCY } else { 0 };
        let to = (HEADER + self.length).checked_sub(padding.unwrap_or(0))?;
        (from <= to).then_some((from, to))
    }

    /// That settings were taken note of.
    pub(super) fn acknowledges(self) -> bool {
        self.kind == SETTINGS && self.flags & ACK != 0
    }

    pub(super) fn ends_block(self) -> bool {
        self.flags & END_HEADERS != 0
    }

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
        let [a, b, c, d, e, f, ..] = self.part;
        let (seen, next) = match self.next {
            Part::Header => {
                let frame = Frame::read(&self.part);
                let Frame { length, kind, flags, stream } = frame;
                let next = match kind {
                    WINDOW_UPDATE if length == INCREMENT => Part::Increment { stream },
                    SETTINGS if flags & ACK == 0 && length > 0 && length % SETTING == 0 => {
                        Part::Settings { left: length }
                    }
                    _ => {
                        self.skip = length;
                        Part::Header
                    }
                };
                (Seen::Frame(frame), next)
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
