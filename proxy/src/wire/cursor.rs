//! Reads a head byte by byte: what requests and answers have in common.

use super::fields;
use super::head::{Field, Span};
use super::names::Kind;

/// What may stand where a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// CR and LF, and nothing else.
    Strict,
    /// An LF alone, too, as some backends send it. Nobody behind Serin reads an answer's framing
    /// a second time: it is written anew.
    Lenient,
}

/// Why it goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Every byte so far is right.
    Partial,
    Name,
    Value,
    LineEnd,
}

pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    lines: Lines,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], lines: Lines) -> Self {
        Self { bytes, at: 0, lines }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Result<u8, Wrong> {
        self.peek_after(0)
    }

    pub(super) fn peek_after(&self, ahead: usize) -> Result<u8, Wrong> {
        self.bytes.get(self.at + ahead).copied().ok_or(Wrong::Partial)
    }

    /// How many of the next bytes are of a kind, at most `most`.
    pub(super) fn run_of(&self, kind: fn(u8) -> bool, most: usize) -> usize {
        let rest = self.rest();
        let rest = &rest[..rest.len().min(most)];
        rest.iter().position(|byte| !kind(*byte)).unwrap_or(rest.len())
    }

    pub(super) fn line_end(&mut self) -> Result<(), Wrong> {
        match self.peek()? {
            b'\r' if self.peek_after(1)? == b'\n' => self.at += 2,
            b'\n' if self.lines == Lines::Lenient => self.at += 1,
            _ => return Err(Wrong::LineEnd),
        }
        Ok(())
    }

    fn is_at_line_end(&self) -> Result<bool, Wrong> {
        let byte = self.peek()?;
        Ok(byte == b'\r' || byte == b'\n' && self.lines == Lines::Lenient)
    }

    /// The next field, or `None` past the empty line.
    #[inline]
    pub(super) fn field(&mut self) -> Result<Option<Field>, Wrong> {
        if self.is_at_line_end()? {
            self.line_end()?;
            return Ok(None);
        }
        let (bytes, from) = (self.bytes, self.at);
        let (length, underscored) = fields::name_run(&bytes[from..]);
        let name = Span { from, to: from + length };
        match bytes.get(name.to) {
            Some(b':') if length > 0 => {}
            Some(_) => return Err(Wrong::Name),
            None => return Err(Wrong::Partial),
        }
        let mut at = name.to + 1;
        while matches!(bytes.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        let run = fields::value_run(&bytes[at..]);
        let mut value = Span { from: at, to: at + run };
        self.at = value.to;
        let crlf = bytes.get(value.to..value.to + 2) == Some(b"\r\n");
        if crlf {
            self.at += 2;
        } else if self.is_at_line_end()? {
            self.line_end()?;
        } else {
            return Err(Wrong::Value);
        }
        let mut plain = crlf && value.from == name.to + 2 && bytes[name.to + 1] == b' ';
        if let Some(b' ' | b'\t') = value.of(bytes).last() {
            value.to = value.from + value.of(bytes).trim_ascii_end().len();
            plain = false;
        }
        let kind = Kind::of(name.of(bytes), underscored);
        Ok(Some(Field { name, value, kind, plain }))
    }
}
