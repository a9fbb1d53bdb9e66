//! The head of an HTTP/1 answer, read strictly: bytes in, meaning out.
//!
//! Pure. What a backend says about its body decides where the next answer begins, so whatever could
//! be read in two ways is invalid here, and the client gets 502.

use super::cursor::{Cursor, Lines, Wrong};
use super::fields;
use super::head::{Field, Span};
use super::names::Kind;

/// As much as a backend may say before its body.
pub const MAX_HEAD: usize = 256 * 1024;
const MAX_FIELDS: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    None,
    Length(u64),
    Chunked,
    /// Whatever comes until the connection ends.
    UntilEnd,
}

impl Body {
    /// Whether there is one, and how long it is where that is known.
    pub(crate) fn length(self) -> Option<Option<u64>> {
        match self {
            Self::None => None,
            Self::Length(length) => Some(Some(length)),
            Self::Chunked | Self::UntilEnd => Some(None),
        }
    }

    /// Whether it is known where it ends.
    pub(crate) fn is_sized(self) -> bool {
        match self {
            Self::None | Self::Length(_) => true,
            Self::Chunked | Self::UntilEnd => false,
        }
    }

    /// Whether it is known to be no more than so many bytes.
    pub(crate) fn is_within(self, count: usize) -> bool {
        match self {
            Self::None => true,
            Self::Length(length) => length <= count as u64,
            Self::Chunked | Self::UntilEnd => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead {
    /// Where the head ends and the body begins.
    pub length: usize,
    pub status: u16,
    pub reason: Span,
    /// The whole status line, if it is written as Serin writes one.
    pub line: Span,
    pub body: Body,
    /// The connection may carry another request afterwards.
    pub keeps: bool,
    /// What the head says about a length goes no further: chunks decide, the status has no body, or
    /// it is said more than once.
    pub drop_length: bool,
    /// The one length that was said more than once.
    pub length_once: Option<u64>,
    /// A transfer coding where the status has no body.
    pub drop_coding: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Partial,
    Whole(ResponseHead),
    Invalid,
}

/// `asked_head` says that the request was HEAD. `into` is cleared and receives the fields in order.
pub fn parse(bytes: &[u8], asked_head: bool, into: &mut Vec<Field>) -> Read {
    into.clear();
    match head(bytes, asked_head, into) {
        // Also when it came all at once: a verdict does not depend on how its bytes arrive.
        Ok(Some(head)) if head.length <= MAX_HEAD => Read::Whole(head),
        Err(Wrong::Partial) if bytes.len() < MAX_HEAD => Read::Partial,
        Ok(_) | Err(Wrong::Partial | Wrong::Name | Wrong::Value | Wrong::LineEnd) => Read::Invalid,
    }
}

/// `None` when it is sound line by line and makes no sense as a whole.
fn head(
    bytes: &[u8],
    asked_head: bool,
    into: &mut Vec<Field>,
) -> Result<Option<ResponseHead>, Wrong> {
    let mut cursor = Cursor::new(bytes, Lines::Lenient);
    let Some(line) = status_line(&mut cursor)? else { return Ok(None) };
    let mut facts = Facts::default();
    while let Some(field) = cursor.field()? {
        let may = into.len() < MAX_FIELDS
            && (field.kind == Kind::Other
                || facts.note(field.name.of(bytes), field.value.of(bytes)));
        if !may {
            return Ok(None);
        }
        into.push(field);
    }
    Ok(line.meaning(&facts, asked_head, cursor.at))
}

struct StatusLine {
    minor_one: bool,
    status: u16,
    reason: Span,
    line: Span,
}

/// `None` when it is none.
fn status_line(cursor: &mut Cursor<'_>) -> Result<Option<StatusLine>, Wrong> {
    while matches!(cursor.peek()?, b'\r' | b'\n') {
        cursor.line_end()?;
    }
    let Some(minor_one) = version(cursor)? else { return Ok(None) };
    let mut status = 0;
    for _ in 0..3 {
        let digit = cursor.peek()?;
        if !digit.is_ascii_digit() {
            return Ok(None);
        }
        status = status * 10 + u16::from(digit - b'0');
        cursor.at += 1;
    }
    let after_code = cursor.at;
    let Some(reason) = reason(cursor)? else { return Ok(None) };
    let plain = minor_one && reason.from == after_code + 1 && cursor.at == reason.to + 2;
    let line = if plain { Span { from: after_code - 12, to: cursor.at } } else { Span::default() };
    Ok((status >= 100).then_some(StatusLine { minor_one, status, reason, line }))
}

/// Says whether it is 1.1 and not 1.0; `None` when it is neither.
fn version(cursor: &mut Cursor<'_>) -> Result<Option<bool>, Wrong> {
    const USUAL: &[u8] = b"HTTP/1.1 ";
    if cursor.rest().starts_with(USUAL) {
        cursor.at += USUAL.len();
        return Ok(Some(true));
    }
    for expected in b"HTTP/1." {
        if cursor.peek()? != *expected {
            return Ok(None);
        }
        cursor.at += 1;
    }
    let minor_one = cursor.peek()? == b'1';
    if !matches!(cursor.peek()?, b'0' | b'1') || cursor.peek_after(1)? != b' ' {
        return Ok(None);
    }
    cursor.at += 2;
    Ok(Some(minor_one))
}

/// The rest of the line. Nothing is passed on of a reason that is not ASCII.
fn reason(cursor: &mut Cursor<'_>) -> Result<Option<Span>, Wrong> {
    match cursor.peek()? {
        b' ' => cursor.at += 1,
        b'\r' | b'\n' => {}
        _ => return Ok(None),
    }
    let from = cursor.at;
    let run = &cursor.rest()[..fields::value_run(cursor.rest())];
    cursor.at += run.len();
    let to = cursor.at;
    cursor.line_end()?;
    Ok(Some(if run.is_ascii() { Span { from, to } } else { Span::default() }))
}

impl StatusLine {
    fn meaning(self, facts: &Facts, asked_head: bool, length: usize) -> Option<ResponseHead> {
        let Self { minor_one, status, reason, line } = self;
        if facts.chunked && !minor_one {
            return None;
        }
        let bodiless = asked_head || status < 200 || matches!(status, 204 | 304);
        let body = match (bodiless, facts.chunked, facts.length) {
            (true, _, _) => Body::None,
            (false, true, _) => Body::Chunked,
            (false, false, Some(0)) => Body::None,
            (false, false, Some(length)) => Body::Length(length),
            (false, false, None) => Body::UntilEnd,
        };
        let both = facts.chunked && facts.length.is_some();
        let keeps = if minor_one { !facts.close } else { facts.keep && !facts.close };
        let empty = status < 200 || matches!(status, 204 | 304);
        // Bytes may follow that nobody has asked for. A 304 names the length of what it stands for.
        let followed = empty
            && (facts.chunked || status != 304 && facts.length.is_some_and(|length| length > 0));
        Some(ResponseHead {
            length,
            status,
            reason,
            line,
            body,
            keeps: keeps && !both && !followed && body != Body::UntilEnd,
            drop_length: both || empty || facts.repeated,
            length_once: facts.length.filter(|_| facts.repeated && !empty && !both),
            drop_coding: empty,
        })
    }
}

#[derive(Default)]
struct Facts {
    length: Option<u64>,
    repeated: bool,
    chunked: bool,
    close: bool,
    keep: bool,
}

impl Facts {
    /// Takes note of one field. Says whether it makes sense.
    fn note(&mut self, name: &[u8], value: &[u8]) -> bool {
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for option in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep |= option.eq_ignore_ascii_case(b"keep-alive");
                }
                true
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                value.split(|byte| *byte == b',').all(|item| self.length(item.trim_ascii()))
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let first = !self.chunked;
                self.chunked = value.eq_ignore_ascii_case(b"chunked");
                first && self.chunked
            }
            _ => true,
        }
    }

    /// Says whether it is a length, and the one that was named before.
    fn length(&mut self, value: &[u8]) -> bool {
        let Some(length) = digits(value) else { return false };
        let before = self.length.replace(length);
        self.repeated |= before.is_some();
        before.is_none_or(|before| before == length)
    }
}

fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Read {
        parse(text.as_bytes(), false, &mut Vec::new())
    }

    fn body(fields: &str) -> Option<Body> {
        match read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")) {
            Read::Whole(head) => Some(head.body),
            Read::Partial | Read::Invalid => None,
        }
    }

    #[test]
    fn what_an_answer_says_about_its_body_has_one_meaning() {
        assert_eq!(body("Content-Length: 5\r\n"), Some(Body::Length(5)));
        assert_eq!(body("Transfer-Encoding: chunked\r\n"), Some(Body::Chunked));
        assert_eq!(body("X: y\r\n"), Some(Body::UntilEnd));
        assert_eq!(body("Content-Length: 0\r\n"), Some(Body::None));
        let bad = [
            "Content-Length: 5, 6\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: +5\r\n",
            "Content-Length:\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "X : y\r\n",
            "X: y\r\n z\r\n",
        ];
        for bad in bad {
            assert_eq!(body(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_length_that_is_said_twice_is_one_and_a_status_without_a_body_has_none() {
        let whole = |text: &str| match read(text) {
            Read::Whole(head) => head,
            Read::Partial | Read::Invalid => panic!("{text:?}"),
        };
        for fields in ["Content-Length: 5, 5\r\n", "Content-Length: 5\r\nContent-Length: 5\r\n"] {
            let head = whole(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
            assert_eq!((head.body, head.length_once), (Body::Length(5), Some(5)));
            assert!(head.drop_length && head.keeps, "{fields:?}");
        }
        for (line, keeps) in [
            ("204 X\r\nContent-Length: 5", false),
            ("204 X\r\nTransfer-Encoding: chunked", false),
            ("204 X\r\nContent-Length: 0", true),
            ("304 X\r\nContent-Length: 5", true),
            ("304 X\r\nTransfer-Encoding: chunked", false),
        ] {
            let head = whole(&format!("HTTP/1.1 {line}\r\n\r\n"));
            assert_eq!((head.body, head.length_once, head.keeps), (Body::None, None, keeps));
            assert!(head.drop_length && head.drop_coding, "{line:?}");
        }
        assert!(!whole("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").drop_length);
    }

    #[test]
    fn a_head_is_partial_until_its_last_byte() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer:\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(read(&text[..end]), Read::Partial, "{end}");
        }
        assert!(matches!(read(text), Read::Whole(head) if head.keeps && head.length == text.len()));
        assert_eq!(read("GARBAGE\r\n\r\n"), Read::Invalid);
    }
}
