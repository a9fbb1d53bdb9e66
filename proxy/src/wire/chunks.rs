//! A chunked body, read strictly and step by step: bytes in, pieces out.
//!
//! Sizes are bare hexadecimal digits, lines end in CRLF, extensions are checked, bounded and
//! dropped; trailers are kept apart. What leaves here is framed anew by whoever forwards
//! it, so no byte of the client's framing reaches a backend. Pure, as the head's parser is.

use super::fields::{is_field_value, is_token};

/// Extensions and trailers of one body together.
const MAX_ASIDE: usize = 4 * 1024;
const MAX_SIZE_DIGITS: u8 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkFault {
    Size,
    Extension,
    LineEnd,
    Trailer,
    AsideTooLong,
}

/// What one step found at the beginning of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// Framing, to be skipped; all of the input may be used up.
    Framing(usize),
    /// So many bytes of body.
    Data(usize),
    /// The body ended after so many more bytes of framing.
    End(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { value: u64, digits: u8 },
    Extension(Extension),
    SizeLf,
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName { length: usize },
    TrailerValue,
    TrailerLf,
    LastLf,
    Ended,
}

/// Where in `;name=value` or `;name="value"` a reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    /// After the semicolon.
    Begin,
    Name,
    NameEnded,
    Equals,
    Value,
    Quoted,
    Escaped,
    /// After the quotation mark that closes a value.
    Unquoted,
    ValueEnded,
}

#[derive(Debug)]
pub struct Chunks {
    state: State,
    size: u64,
    aside: usize,
    /// As lines.
    trailers: Vec<u8>,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { state: State::Size { value: 0, digits: 0 }, size: 0, aside: 0, trailers: Vec::new() }
    }
}

impl Chunks {
    /// Looks at the next bytes of the body. Call again with what is left; an empty input gives
    /// `Framing(0)`. After `End` every call gives `End(0)`.
    pub fn step(&mut self, input: &[u8]) -> Result<Piece, ChunkFault> {
        for (at, byte) in input.iter().enumerate() {
            if let State::Data { left } = self.state {
                if at > 0 {
                    return Ok(Piece::Framing(at));
                }
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                let left = left - here as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                return Ok(Piece::Data(here));
            }
            self.state = self.after(*byte)?;
            if self.state == State::Ended {
                return Ok(Piece::End(at + 1));
            }
        }
        Ok(if self.state == State::Ended { Piece::End(0) } else { Piece::Framing(input.len()) })
    }

    /// What stood after the body: `name:value` in each line, whose ends are bare.
    pub fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    fn after(&mut self, byte: u8) -> Result<State, ChunkFault> {
        match (self.state, byte) {
            (State::Size { value, digits }, digit) if digit.is_ascii_hexdigit() => {
                if digits == MAX_SIZE_DIGITS {
                    return Err(ChunkFault::Size);
                }
                let digit = (digit as char).to_digit(16).unwrap_or_default();
                Ok(State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 })
            }
            (State::Size { value, digits: 1.. }, b';' | b'\r') => {
                self.size = value;
                Ok(match byte {
                    b';' => State::Extension(Extension::Begin),
                    _ => State::SizeLf,
                })
            }
            (State::Size { .. }, _) => Err(ChunkFault::Size),
            (State::Extension(Extension::Name | Extension::Value | Extension::Unquoted), b'\r') => {
                Ok(State::SizeLf)
            }
            (State::Extension(extension), byte) => {
                self.aside(State::Extension(extension.after(byte)?))
            }
            (State::SizeLf, b'\n') => Ok(match self.size {
                0 => State::TrailerStart,
                left => State::Data { left },
            }),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { value: 0, digits: 0 }),
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::TrailerStart, name) if is_token(name) => {
                self.trailer(name, State::TrailerName { length: 1 })
            }
            (State::TrailerName { length }, name) if is_token(name) => {
                self.trailer(name, State::TrailerName { length: length + 1 })
            }
            (State::TrailerName { .. }, b':') => self.trailer(b':', State::TrailerValue),
            (State::TrailerStart | State::TrailerName { .. }, _) => Err(ChunkFault::Trailer),
            (State::TrailerValue, b'\r') => {
                self.trailers.push(b'\n');
                Ok(State::TrailerLf)
            }
            (State::TrailerValue, value @ (b'\t' | 0x20..=0x7e | 0x80..=0xff)) => {
                self.trailer(value, State::TrailerValue)
            }
            (State::TrailerValue, _) => Err(ChunkFault::Trailer),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::LastLf, b'\n') => Ok(State::Ended),
            (
                State::SizeLf
                | State::DataCr
                | State::DataLf
                | State::TrailerLf
                | State::LastLf
                | State::Data { .. }
                | State::Ended,
                _,
            ) => Err(ChunkFault::LineEnd),
        }
    }

    fn trailer(&mut self, byte: u8, state: State) -> Result<State, ChunkFault> {
        self.trailers.push(byte);
        self.aside(state)
    }

    fn aside(&mut self, state: State) -> Result<State, ChunkFault> {
        self.aside += 1;
        if self.aside > MAX_ASIDE { Err(ChunkFault::AsideTooLong) } else { Ok(state) }
    }
}

impl Extension {
    fn after(self, byte: u8) -> Result<Self, ChunkFault> {
        Ok(match (self, byte) {
            (Self::Begin, b' ' | b'\t') => Self::Begin,
            (Self::Begin | Self::Name, name) if is_token(name) => Self::Name,
            (Self::Name | Self::NameEnded, b' ' | b'\t') => Self::NameEnded,
            (Self::Name | Self::NameEnded, b'=') => Self::Equals,
            (Self::Equals, b' ' | b'\t') => Self::Equals,
            (Self::Equals, b'"') => Self::Quoted,
            (Self::Equals | Self::Value, value) if is_token(value) => Self::Value,
            (Self::Quoted, b'"') => Self::Unquoted,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, text) if is_field_value(text) => Self::Quoted,
            (Self::Value | Self::Unquoted | Self::ValueEnded, b' ' | b'\t') => Self::ValueEnded,
            (
                Self::Name | Self::NameEnded | Self::Value | Self::Unquoted | Self::ValueEnded,
                b';',
            ) => Self::Begin,
            (
                Self::Begin
                | Self::Name
                | Self::NameEnded
                | Self::Equals
                | Self::Value
                | Self::Quoted
                | Self::Escaped
                | Self::Unquoted
                | Self::ValueEnded,
                _,
            ) => return Err(ChunkFault::Extension),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The body and how many bytes of the input it took, reading `size` bytes at a time.
    fn decode(input: &[u8], size: usize) -> Result<Option<(Vec<u8>, usize)>, ChunkFault> {
        let (mut chunks, mut body, mut used) = (Chunks::default(), Vec::new(), 0);
        for part in input.chunks(size.max(1)) {
            let mut rest = part;
            while !rest.is_empty() {
                let here = match chunks.step(rest)? {
                    Piece::Framing(n) => n,
                    Piece::Data(n) => {
                        body.extend_from_slice(&rest[..n]);
                        n
                    }
                    Piece::End(n) => return Ok(Some((body, used + n))),
                };
                used += here;
                rest = &rest[here..];
            }
        }
        Ok(None)
    }

    #[test]
    fn an_extension_has_a_name_and_perhaps_a_value() {
        let of = |extension: &str| {
            decode(format!("2{extension}\r\nhi\r\n0{extension}\r\n\r\n").as_bytes(), 3)
        };
        for good in [
            ";a",
            "; a",
            ";a=b",
            ";a = b ;c",
            ";a=\"\"",
            ";a=\"b;\\\"=c\"",
            ";a=\"b\" ;c=d",
            ";a\t=b",
        ] {
            assert!(matches!(of(good), Ok(Some((body, _))) if body == b"hi"), "{good:?}");
        }
        let bad = [
            ";",
            ";;",
            ";a;",
            "; ",
            ";a ",
            ";a=",
            ";=b",
            ";a=b=c",
            ";a=\"b",
            ";a=\"b\"c",
            ";a b",
            ";a,b",
            ";a=\"b\\",
            ";a=b ",
            ";\"a\"",
            ";a=\u{e9}",
            ";a=b;\0",
            ";a=\"\n\"",
        ];
        for bad in bad {
            assert_eq!(of(bad), Err(ChunkFault::Extension), "{bad:?}");
        }
    }

    #[test]
    fn chunks_are_joined_and_trailers_kept_apart() {
        let input = b"5\r\nhello\r\n6;a=\"b c\"\r\n world\r\n0\r\nHost: evil\r\n\r\nGET /";
        for size in 1..input.len() {
            let (body, used) = decode(input, size).unwrap().unwrap();
            assert_eq!(body, b"hello world");
            assert_eq!(&input[used..], b"GET /");
        }
        let (mut chunks, input) = (Chunks::default(), b"0\r\na: b\r\nX:c\r\n\r\n");
        assert_eq!(chunks.step(input), Ok(Piece::End(input.len())));
        assert_eq!(chunks.trailers(), b"a: b\nX:c\n");
    }

    #[test]
    fn a_size_that_two_readers_could_read_in_two_ways_is_a_fault() {
        let bad: [&[u8]; 22] = [
            b"0x5\r\nhello\r\n",
            b"+5\r\nhello\r\n",
            b"-5\r\nhello\r\n",
            b"\r\nhello\r\n",
            b"10000000000000005\r\nhello\r\n",
            b"5\nhello\r\n",
            b"5\r\nhello6\r\n",
            b"5\r\nhello\n",
            b" 5\r\nhello\r\n",
            b"5 \r\nhello\r\n",
            b"5\t\r\nhello\r\n",
            b"5;a\n\r\nhello\r\n",
            b"5;a\0\r\nhello\r\n",
            b"5\r\rhello",
            b"5\r\nhell\r\n0\r\n\r\n",
            b"g\r\n",
            b"0\r\n \r\n",
            b"0\r\nbad name: x\r\n\r\n",
            b"0\r\n:x\r\n\r\n",
            b"0\r\nname\r\n\r\n",
            b"0\r\nname: a\nb\r\n\r\n",
            b"5_0\r\n",
        ];
        for bad in bad {
            for size in [1, 2, 3, bad.len()] {
                assert!(decode(bad, size).is_err(), "{:?}", String::from_utf8_lossy(bad));
            }
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = [b"5;".to_vec(), vec![b'a'; MAX_ASIDE + 1], b"\r\nhello\r\n".to_vec()].concat();
        assert_eq!(decode(&long, 1000), Err(ChunkFault::AsideTooLong));
        let many = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(MAX_ASIDE)].concat();
        assert_eq!(decode(&many, 1000), Err(ChunkFault::AsideTooLong));
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_changes_nothing(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
            size in 1usize..64,
        ) {
            let mut wire = Vec::new();
            for part in &parts {
                wire.extend_from_slice(format!("{:X}\r\n", part.len()).as_bytes());
                wire.extend_from_slice(part);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let (body, used) = decode(&wire, size).unwrap().unwrap();
            prop_assert_eq!(body, parts.concat());
            prop_assert_eq!(used, wire.len());
        }

        #[test]
        fn any_bytes_give_the_same_verdict_whole_or_in_pieces(
            input in prop::collection::vec(prop_oneof![
                prop::sample::select(b"0123456789abcdefABCDEF\r\n\r\n;: x".to_vec()),
                any::<u8>(),
            ], 0..120),
            size in 1usize..16,
        ) {
            prop_assert_eq!(decode(&input, size), decode(&input, input.len()));
        }
    }
}
