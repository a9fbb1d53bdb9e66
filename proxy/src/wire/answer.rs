//! The head of an HTTP/1 answer, read strictly: bytes in, meaning out.
//!
//! Pure. What a backend says about its body decides where the next answer begins, so whatever could
//! be read in two ways is invalid here, and the client gets 502.

use super::head::{Field, Span};
use std::mem::MaybeUninit;

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
    pub body: Body,
    /// The connection may carry another request afterwards.
    pub keeps: bool,
    /// Chunks decide, whatever length is named beside them.
    pub drop_length: bool,
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
    // Not cleared first: that would cost more than parsing what is there.
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut response, bytes, &mut headers)
    {
        // Also when it came all at once: a verdict does not depend on how its bytes arrive.
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Read::Partial,
        Ok(_) | Err(_) => return Read::Invalid,
    };
    let (Some(version), Some(status)) = (response.version, response.code) else {
        return Read::Invalid;
    };
    let mut facts = Facts::default();
    for header in response.headers.iter() {
        if !facts.note(header.name, header.value) {
            return Read::Invalid;
        }
        let name = span(bytes, header.name.as_bytes());
        into.push(Field { name, value: span(bytes, header.value) });
    }
    let reason = response.reason.map_or(Span::default(), |r| span(bytes, r.as_bytes()));
    let minor_one = version == 1;
    if facts.chunked && !minor_one || !(100..=999).contains(&status) {
        return Read::Invalid;
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
    let asked_to_keep = if minor_one { !facts.close } else { facts.keep && !facts.close };
    Read::Whole(ResponseHead {
        length,
        status,
        reason,
        body,
        keeps: asked_to_keep && !both && body != Body::UntilEnd,
        drop_length: both,
    })
}

fn span(all: &[u8], part: &[u8]) -> Span {
    let from = part.as_ptr().addr().wrapping_sub(all.as_ptr().addr());
    // An empty value points wherever the parser stood.
    let from = if part.is_empty() { 0 } else { from };
    Span { from, to: from + part.len() }
}

#[derive(Default)]
struct Facts {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep: bool,
}

impl Facts {
    /// Takes note of one field. Says whether it makes sense.
    fn note(&mut self, name: &str, value: &[u8]) -> bool {
        match name.len() {
            10 if name.eq_ignore_ascii_case("connection") => {
                for option in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep |= option.eq_ignore_ascii_case(b"keep-alive");
                }
                true
            }
            14 if name.eq_ignore_ascii_case("content-length") => match digits(value) {
                Some(length) => self.length.replace(length).is_none_or(|before| before == length),
                None => false,
            },
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                let first = !self.chunked;
                self.chunked = value.eq_ignore_ascii_case(b"chunked");
                first && self.chunked
            }
            _ => true,
        }
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
    fn a_head_is_partial_until_its_last_byte() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer:\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(read(&text[..end]), Read::Partial, "{end}");
        }
        assert!(matches!(read(text), Read::Whole(head) if head.keeps && head.length == text.len()));
        assert_eq!(read("GARBAGE\r\n\r\n"), Read::Invalid);
    }

    #[test]
    fn a_head_that_is_too_long_is_so_however_it_arrives() {
        let of = |length: usize| {
            let [first, last] = ["HTTP/1.1 200 OK\r\nX: ", "\r\n\r\n"];
            [first, &"x".repeat(length - first.len() - last.len()), last].concat()
        };
        assert!(matches!(read(&of(MAX_HEAD)), Read::Whole(head) if head.length == MAX_HEAD));
        let longer = of(MAX_HEAD + 1);
        for end in [MAX_HEAD, longer.len()] {
            assert_eq!(read(&longer[..end]), Read::Invalid, "{end}");
        }
        assert_eq!(read(&longer[..MAX_HEAD - 1]), Read::Partial);
    }
}
