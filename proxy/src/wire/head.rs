//! The head of an HTTP/1 request, read strictly: bytes in, verdict out.
//!
//! Everything that two programs could read in two ways is refused here, before any other part
//! of Serin has looked at it: that is what makes request smuggling impossible, whatever stands
//! behind. The parser is pure and copies nothing, so that a fuzzer can
//! drive it. It never guesses what a client may have meant.

use super::authority;
use super::cursor::{Cursor, Lines, Wrong};
use super::fields::{self, Facts};
use super::names::Kind;
use super::refusal::Refusal;

/// Where something stands in the bytes that were parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub from: usize,
    pub to: usize,
}

impl Span {
    pub fn len(&self) -> usize {
        self.to.saturating_sub(self.from)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.from..self.to).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub name: Span,
    pub value: Span,
    pub kind: Kind,
    /// The line is written as Serin writes one: one space before the value, none after it, CR and
    /// LF.
    pub plain: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    pub max_bytes: usize,
    pub max_fields: usize,
    pub max_target: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_bytes: 32 * 1024, max_fields: 100, max_target: 8 * 1024 }
    }
}

/// Before a request.
const MAX_EMPTY_LINES: usize = 4;

/// How the body that follows a head is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// A head that has one meaning only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Where the head ends and the body begins.
    pub length: usize,
    /// Where the request line begins: past a few empty lines, which old clients send.
    pub begins: usize,
    pub method: Span,
    /// In origin-form or `*`; of an absolute-form target only what follows the authority. Empty
    /// stands for `/`.
    pub target: Span,
    /// The target as it came, which differs from `target` when it was in absolute-form.
    pub target_as_sent: Span,
    pub host: Span,
    /// HTTP/1.1, not 1.0.
    pub minor_one: bool,
    pub framing: Framing,
    /// The client asks to change the protocol, and says so in both fields.
    pub upgrade: bool,
    pub expects_continue: bool,
    /// What `Connection` says, or what the version stands for when it says nothing.
    pub keep_alive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every byte so far is right, and the head has not ended.
    Partial,
    Whole(Head),
    Refused(Refusal),
}

/// Parses what has been read of a connection since the last request ended. `into` is cleared
/// and receives the fields in order; it is the caller's so that it can be used again.
pub fn parse(bytes: &[u8], limits: &HeadLimits, into: &mut Vec<Field>) -> Verdict {
    into.clear();
    let parser = Parser { cursor: Cursor::new(bytes, Lines::Strict), limits };
    match parser.head(into) {
        Ok(head) => Verdict::Whole(head),
        Err(Stop::Partial) if bytes.len() >= limits.max_bytes => {
            Verdict::Refused(Refusal::HeadTooLarge)
        }
        Err(Stop::Partial) => Verdict::Partial,
        Err(Stop::Refused(refusal)) => Verdict::Refused(refusal),
    }
}

#[derive(Debug)]
enum Stop {
    Partial,
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Self {
        Self::Refused(match wrong {
            Wrong::Partial => return Self::Partial,
            Wrong::Name => Refusal::FieldName,
            Wrong::Value => Refusal::FieldValue,
            Wrong::LineEnd => Refusal::LineEnd,
        })
    }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    limits: &'a HeadLimits,
}

struct RequestLine {
    method: Span,
    target: Span,
    minor_one: bool,
}

impl Parser<'_> {
    fn head(mut self, into: &mut Vec<Field>) -> Result<Head, Stop> {
        let bytes = self.cursor.bytes;
        for _ in 0..MAX_EMPTY_LINES {
            match bytes.get(self.cursor.at..) {
                Some(b"\r") => return Err(Stop::Partial),
                Some([b'\r', b'\n', ..]) => self.cursor.at += 2,
                _ => break,
            }
        }
        let begins = self.cursor.at;
        let line = self.request_line()?;
        let mut facts = Facts::default();
        while let Some(field) = self.cursor.field()? {
            if into.len() >= self.limits.max_fields {
                return Err(Refusal::TooManyFields.into());
            }
            into.push(field);
            if field.kind != Kind::Other {
                facts.note(field.name.of(bytes), field.value.of(bytes), field.value)?;
            }
        }
        if self.cursor.at > self.limits.max_bytes {
            return Err(Refusal::HeadTooLarge.into());
        }
        Ok(self.whole(begins, &line, &facts)?)
    }

    fn request_line(&mut self) -> Result<RequestLine, Stop> {
        let method = self.method()?;
        let target = self.target()?;
        let minor_one = self.version()?;
        if method.of(self.cursor.bytes) == b"PRI" {
            // It begins connections of HTTP/2, and a backend may take it for that (RFC 9113, section 11.6).
            return Err(Refusal::Method.into());
        }
        Ok(RequestLine { method, target, minor_one })
    }

    /// A token of at most 32 bytes, and one space.
    fn method(&mut self) -> Result<Span, Stop> {
        let from = self.cursor.at;
        let length = self.cursor.run_of(fields::is_token, 32);
        self.cursor.at += length;
        match self.cursor.peek()? {
            b' ' if length > 0 => {}
            _ => return Err(Refusal::Method.into()),
        }
        let method = Span { from, to: self.cursor.at };
        self.cursor.at += 1;
        match method.of(self.cursor.bytes) {
            b"TRACE" | b"CONNECT" => Err(Refusal::MethodNotAllowed.into()),
            _ => Ok(method),
        }
    }

    /// Visible ASCII up to one space. A fragment has no place in a request.
    fn target(&mut self) -> Result<Span, Stop> {
        let from = self.cursor.at;
        let most = self.limits.max_target.saturating_add(1);
        let length = self.cursor.run_of(fields::is_target, most);
        self.cursor.at += length;
        if length > self.limits.max_target {
            return Err(Refusal::TargetTooLong.into());
        }
        match self.cursor.peek()? {
            b' ' if length > 0 => {}
            _ => return Err(Refusal::Target.into()),
        }
        let target = Span { from, to: self.cursor.at };
        self.cursor.at += 1;
        Ok(target)
    }

    fn version(&mut self) -> Result<bool, Stop> {
        const USUAL: &[u8] = b"HTTP/1.1\r\n";
        if self.cursor.rest().starts_with(USUAL) {
            self.cursor.at += USUAL.len();
            return Ok(true);
        }
        const NAME: &[u8] = b"HTTP/";
        let cursor = &mut self.cursor;
        for expected in NAME {
            if cursor.peek()? != *expected {
                return Err(Refusal::Version.into());
            }
            cursor.at += 1;
        }
        let (major, dot) = (cursor.peek()?, cursor.peek_after(1)?);
        let (minor, end) = (cursor.peek_after(2)?, cursor.peek_after(3)?);
        if dot != b'.' || !major.is_ascii_digit() || !minor.is_ascii_digit() || end != b'\r' {
            return Err(Refusal::Version.into());
        }
        if major != b'1' || minor > b'1' {
            return Err(Refusal::VersionNotSupported.into());
        }
        cursor.at += 3;
        cursor.line_end()?;
        Ok(minor == b'1')
    }

    fn whole(&self, begins: usize, line: &RequestLine, facts: &Facts) -> Result<Head, Refusal> {
        let host = facts.host.ok_or(Refusal::Host)?;
        if !authority::is_valid(host.of(self.cursor.bytes)) {
            return Err(Refusal::Host);
        }
        let framing = facts.framing(line.minor_one)?;
        Ok(Head {
            length: self.cursor.at,
            begins,
            method: line.method,
            target: self.origin_form(line, host)?,
            target_as_sent: line.target,
            host,
            minor_one: line.minor_one,
            framing,
            upgrade: line.minor_one && facts.upgrade && facts.connection_upgrade,
            expects_continue: facts.expects_continue && line.minor_one,
            keep_alive: facts.keep_alive(line.minor_one),
        })
    }

    fn origin_form(&self, line: &RequestLine, host: Span) -> Result<Span, Refusal> {
        let target = line.target.of(self.cursor.bytes);
        if target.first() == Some(&b'/') {
            return Ok(line.target);
        }
        if target == b"*" && line.method.of(self.cursor.bytes) == b"OPTIONS" {
            return Ok(line.target);
        }
        let scheme = [&b"http://"[..], b"https://"]
            .into_iter()
            .find(|scheme| {
                target.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme))
            })
            .ok_or(Refusal::Target)?;
        let rest = &target[scheme.len()..];
        let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
        if !rest[..end].eq_ignore_ascii_case(host.of(self.cursor.bytes)) {
            return Err(Refusal::HostDiffers);
        }
        Ok(Span { from: line.target.from + scheme.len() + end, to: line.target.to })
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
