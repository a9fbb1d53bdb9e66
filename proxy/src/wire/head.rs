//! The head of an HTTP/1 request, read strictly: bytes in, verdict out.
//!
//! Everything that two programs could read in two ways is refused here, before any other part
//! of Serin has looked at it: that is what makes request smuggling impossible, whatever stands
//! behind. The parser is pure and copies nothing, so that both lanes use this one and a fuzzer
//! can drive it. It never guesses what a client may have meant.

use super::authority;
use super::fields::{self, Facts};
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
    /// Where the request line begins: past one empty line, which old clients send.
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
    let parser = Parser { bytes, at: 0, limits };
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

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: &'a HeadLimits,
}

struct RequestLine {
    method: Span,
    target: Span,
    minor_one: bool,
}

impl Parser<'_> {
    fn head(mut self, into: &mut Vec<Field>) -> Result<Head, Stop> {
        match self.bytes {
            b"\r" => return Err(Stop::Partial),
            [b'\r', b'\n', ..] => self.at = 2,
            _ => {}
        }
        let begins = self.at;
        let line = self.request_line()?;
        let mut facts = Facts::default();
        while let Some(field) = self.field()? {
            if into.len() >= self.limits.max_fields {
                return Err(Refusal::TooManyFields.into());
            }
            into.push(field);
            facts.note(field.name.of(self.bytes), field.value.of(self.bytes), field.value)?;
        }
        if self.at > self.limits.max_bytes {
            return Err(Refusal::HeadTooLarge.into());
        }
        Ok(self.whole(begins, &line, &facts)?)
    }

    fn request_line(&mut self) -> Result<RequestLine, Stop> {
        let method = self.method()?;
        let target = self.target()?;
        let minor_one = self.version()?;
        Ok(RequestLine { method, target, minor_one })
    }

    /// A token of at most 32 bytes, and one space.
    fn method(&mut self) -> Result<Span, Stop> {
        let from = self.at;
        let length = self.run_of(fields::is_token, 32);
        self.at += length;
        match self.peek()? {
            b' ' if length > 0 => {}
            _ => return Err(Refusal::Method.into()),
        }
        let method = Span { from, to: self.at };
        self.at += 1;
        match method.of(self.bytes) {
            b"TRACE" | b"CONNECT" => Err(Refusal::MethodNotAllowed.into()),
            _ => Ok(method),
        }
    }

    /// Visible ASCII up to one space. A fragment has no place in a request.
    fn target(&mut self) -> Result<Span, Stop> {
        let from = self.at;
        self.at += self.run_of(fields::is_target, self.limits.max_target.saturating_add(1));
        if self.at - from > self.limits.max_target {
            return Err(Refusal::TargetTooLong.into());
        }
        match self.peek()? {
            b' ' if self.at > from => {}
            _ => return Err(Refusal::Target.into()),
        }
        let target = Span { from, to: self.at };
        self.at += 1;
        Ok(target)
    }

    fn version(&mut self) -> Result<bool, Stop> {
        const NAME: &[u8] = b"HTTP/";
        for expected in NAME {
            if self.peek()? != *expected {
                return Err(Refusal::Version.into());
            }
            self.at += 1;
        }
        let (major, dot) = (self.peek()?, self.peek_after(1)?);
        let (minor, end) = (self.peek_after(2)?, self.peek_after(3)?);
        if dot != b'.' || !major.is_ascii_digit() || !minor.is_ascii_digit() || end != b'\r' {
            return Err(Refusal::Version.into());
        }
        if major != b'1' || minor > b'1' {
            return Err(Refusal::VersionNotSupported.into());
        }
        self.at += 3;
        self.line_end()?;
        Ok(minor == b'1')
    }

    /// The next field, or `None` past the empty line.
    fn field(&mut self) -> Result<Option<Field>, Stop> {
        if self.peek()? == b'\r' {
            self.line_end()?;
            return Ok(None);
        }
        let from = self.at;
        self.at += self.run_of(fields::is_token, usize::MAX);
        match self.peek()? {
            b':' if self.at > from => {}
            _ => return Err(Refusal::FieldName.into()),
        }
        let name = Span { from, to: self.at };
        self.at += 1;
        let value = self.value()?;
        Ok(Some(Field { name, value }))
    }

    fn value(&mut self) -> Result<Span, Stop> {
        while matches!(self.peek()?, b' ' | b'\t') {
            self.at += 1;
        }
        let from = self.at;
        self.at += fields::value_run(self.bytes.get(from..).unwrap_or_default());
        if self.peek()? != b'\r' {
            return Err(Refusal::FieldValue.into());
        }
        let value = self.bytes[from..self.at].trim_ascii_end();
        let to = from + value.len();
        self.line_end()?;
        Ok(Span { from, to })
    }

    fn line_end(&mut self) -> Result<(), Stop> {
        if self.peek()? != b'\r' || self.peek_after(1)? != b'\n' {
            return Err(Refusal::LineEnd.into());
        }
        self.at += 2;
        Ok(())
    }

    /// How many of the next bytes are of a kind, at most `most`.
    fn run_of(&self, kind: fn(u8) -> bool, most: usize) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let rest = &rest[..rest.len().min(most)];
        rest.iter().position(|byte| !kind(*byte)).unwrap_or(rest.len())
    }

    fn peek(&self) -> Result<u8, Stop> {
        self.peek_after(0)
    }

    fn peek_after(&self, ahead: usize) -> Result<u8, Stop> {
        self.bytes.get(self.at + ahead).copied().ok_or(Stop::Partial)
    }

    fn whole(&self, begins: usize, line: &RequestLine, facts: &Facts) -> Result<Head, Refusal> {
        let host = facts.host.ok_or(Refusal::Host)?;
        if !authority::is_valid(host.of(self.bytes)) {
            return Err(Refusal::Host);
        }
        let framing = facts.framing(line.minor_one)?;
        Ok(Head {
            length: self.at,
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
        let target = line.target.of(self.bytes);
        if target.first() == Some(&b'/') {
            return Ok(line.target);
        }
        if target == b"*" && line.method.of(self.bytes) == b"OPTIONS" {
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
        if !rest[..end].eq_ignore_ascii_case(host.of(self.bytes)) {
            return Err(Refusal::HostDiffers);
        }
        Ok(Span { from: line.target.from + scheme.len() + end, to: line.target.to })
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
