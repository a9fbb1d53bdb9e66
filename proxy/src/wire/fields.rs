//! What the fields of a head say about its framing and its connection.
//!
//! Each field that decides where a message ends may stand once, in its one canonical form.
//! Two of a kind, a list, a sign or a leading zero are refused, even where a standard would
//! let a recipient repair them: a repair here is a disagreement with whoever reads next.

use super::head::{Framing, Span};
use super::refusal::Refusal;

/// What each byte may be part of: looked up, because every byte of every head is asked about.
const TOKEN: u8 = 1;
const VALUE: u8 = 2;
const TARGET: u8 = 4;
const NAME: u8 = 8;
const UNDERSCORE: u8 = 16;
const KINDS: [u8; 256] = kinds();

const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let token = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        let value = matches!(byte, b'\t' | 0x20..=0x7e | 0x80..);
        let target = matches!(byte, 0x21..=0x7e) && byte != b'#';
        let name = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        kinds[at] = token as u8 * TOKEN
            + value as u8 * VALUE
            + target as u8 * TARGET
            + name as u8 * NAME
            + (byte == b'_') as u8 * UNDERSCORE;
        at += 1;
    }
    kinds
}

/// Whether a byte may stand in a method or a field's name.
pub(crate) fn is_token(byte: u8) -> bool {
    KINDS[usize::from(byte)] & TOKEN != 0
}

/// How many bytes from the first on may stand in a field's name, and whether an underscore is among
/// them.
pub(super) fn name_run(bytes: &[u8]) -> (usize, bool) {
    let mut seen = 0;
    let ends = |byte: &u8| {
        let kind = KINDS[usize::from(*byte)];
        seen |= kind;
        kind & TOKEN == 0
    };
    let length = bytes.iter().position(ends).unwrap_or(bytes.len());
    (length, seen & UNDERSCORE != 0)
}

/// Whether a byte may stand in a field's value.
pub(crate) fn is_field_value(byte: u8) -> bool {
    KINDS[usize::from(byte)] & VALUE != 0
}

/// How many bytes from the first on may stand in a field's value. Eight are looked at at once,
/// because values are most of a head.
pub(super) fn value_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        while let Some(eight) = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()) {
            let controls = controls(u64::from_le_bytes(eight));
            if controls != 0 {
                at += controls.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        at += rest.iter().take(8).take_while(|byte| is_field_value(**byte)).count();
        if bytes.get(at).is_none_or(|byte| !is_field_value(*byte)) {
            return at;
        }
    }
}

/// The highest bit of the first byte that is a control character; what is above it may be wrong.
fn controls(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let below_space = eight.wrapping_sub(0x20 * ONES) & !eight & HIGH;
    let delete = eight ^ (0x7f * ONES);
    below_space | (delete.wrapping_sub(ONES) & !delete & HIGH)
}

/// Whether a byte may stand in a request's target.
pub(super) fn is_target(byte: u8) -> bool {
    KINDS[usize::from(byte)] & TARGET != 0
}

/// Whether a byte may stand in a host's name.
pub(super) fn is_host_name(byte: u8) -> bool {
    KINDS[usize::from(byte)] & NAME != 0
}

#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) host: Option<Span>,
    content_length: Option<u64>,
    chunked: bool,
    pub(super) upgrade: bool,
    pub(super) connection_upgrade: bool,
    pub(super) expects_continue: bool,
    close: bool,
    keep: bool,
}

impl Facts {
    /// Takes note of one field. `at` is where its value stands.
    pub(super) fn note(&mut self, name: &[u8], value: &[u8], at: Span) -> Result<(), Refusal> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(at)?,
            6 if name.eq_ignore_ascii_case(b"expect") => self.expect(value)?,
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            10 if name.eq_ignore_ascii_case(b"connection") => self.connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer(value)?,
            _ => {}
        }
        Ok(())
    }

    fn host(&mut self, at: Span) -> Result<(), Refusal> {
        match self.host.replace(at) {
            None => Ok(()),
            Some(_) => Err(Refusal::Host),
        }
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        if self.expects_continue { Ok(()) } else { Err(Refusal::Expectation) }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let length = content_length(value).ok_or(Refusal::ContentLength)?;
        match self.content_length.replace(length) {
            None => Ok(()),
            Some(_) => Err(Refusal::ContentLength),
        }
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.connection_upgrade = true;
            }
        }
    }

    fn transfer(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if value.eq_ignore_ascii_case(b"chunked") && !self.chunked {
            self.chunked = true;
            return Ok(());
        }
        Err(if is_real_coding(value) { Refusal::Coding } else { Refusal::TransferEncoding })
    }

    pub(super) fn framing(&self, minor_one: bool) -> Result<Framing, Refusal> {
        match (self.chunked, self.content_length) {
            (true, Some(_)) => Err(Refusal::TransferEncoding),
            (true, None) if !minor_one => Err(Refusal::TransferEncoding),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(0) | None) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }

    pub(super) fn keep_alive(&self, minor_one: bool) -> bool {
        if self.close { false } else { minor_one || self.keep }
    }
}

/// Digits alone, without a leading zero, and within what any reader can count.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    let canonical = value == b"0" || (!value.is_empty() && value[0] != b'0');
    if !canonical || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// One that exists and that Serin does not speak: `gzip`, or `gzip, chunked`.
fn is_real_coding(value: &[u8]) -> bool {
    const CODINGS: [&[u8]; 7] =
        [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress", b"br", b"zstd"];
    let mut parts = value.split(|b| *b == b',').map(<[u8]>::trim_ascii).peekable();
    let mut real = false;
    while let Some(part) = parts.next() {
        if CODINGS.iter().any(|coding| part.eq_ignore_ascii_case(coding)) {
            real = true;
        } else if !(part.eq_ignore_ascii_case(b"chunked") && parts.peek().is_none()) {
            return false;
        }
    }
    real
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_a_value_ends_at_the_first_byte_that_may_not_stand_in_one() {
        let filler: Vec<u8> = (0x20..0x7f).chain(0x80..=0xff).chain([b'\t']).collect();
        for length in 0..40 {
            let whole: Vec<u8> =
                filler.iter().copied().cycle().skip(length * 7).take(length).collect();
            assert_eq!(value_run(&whole), length);
            for end in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
                for at in 0..length {
                    let mut cut = whole.clone();
                    cut[at] = end;
                    assert_eq!(value_run(&cut), at, "{cut:?}");
                }
            }
        }
    }
}
