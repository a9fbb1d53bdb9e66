//! Blocks of fields as HTTP/2 sends them (HPACK, RFC 7541), as far as it takes to find what is malformed
//! among them, and to overwrite it.
//!
//! The HTTP/2 library ends a connection over one malformed field, and every stream on it, because it cannot
//! put such a field into its table, where later blocks may refer to it. RFC 9113 wants one stream to end.
//! So the library never sees such a field: a harmless one that is exactly as long stands in its place, so
//! that both tables stay alike, and its stream is said to be malformed. So is whoever refers to it later.
//!
//! Pure. Of the table nothing is kept but which of its entries stand for a malformed field.

use super::fields::is_token;
use super::huffman;

/// Entries that every table begins with.
const STATIC: usize = 61;
/// As long as `:status`.
const SCHEME: u8 = 6;
const HUFFMAN: u8 = 0x80;
/// As the library has it.
const LONGEST_INTEGER: usize = 5;

/// What the blocks of one direction of a connection have left behind: a bit for each field that was put into
/// the table, the last one first. A table of 4 KiB, which nobody is granted more than, has no room for as
/// many as there are bits.
#[derive(Debug, Default)]
pub struct Table {
    malformed: u128,
    /// Those of them whose very name is malformed.
    misnamed: u128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    Sound,
    /// What was malformed in it is overwritten.
    Malformed,
    /// The library will refuse it, and the connection ends.
    Unreadable,
}

/// What a value is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Field,
    /// Of a pseudo-header.
    Text,
    Method,
    Status,
}

struct Text {
    from: usize,
    to: usize,
    huffman: bool,
}

impl Table {
    /// Looks through a whole block, each exactly once and in the order of the wire.
    pub fn look(&mut self, block: &mut [u8]) -> Block {
        let (mut at, mut malformed) = (0, false);
        while at < block.len() {
            match self.field(block, &mut at) {
                Some(sound) => malformed |= !sound,
                None => return Block::Unreadable,
            }
        }
        if malformed { Block::Malformed } else { Block::Sound }
    }

    /// Says whether the field is sound. `None` when it cannot be read or mended.
    fn field(&mut self, block: &mut [u8], at: &mut usize) -> Option<bool> {
        let first = *block.get(*at)?;
        if first & 0x80 != 0 {
            let index = integer(block, at, 0x7f)?;
            return Some(!is_set(self.malformed, index));
        }
        if first & 0xc0 == 0x40 {
            let (sound, named) = self.literal(block, at, 0x3f)?;
            self.malformed = self.malformed << 1 | u128::from(!sound);
            self.misnamed = self.misnamed << 1 | u128::from(!named);
            return Some(sound);
        }
        if first & 0xe0 == 0x20 {
            // The table's new size. What leaves it is not referred to any more.
            return integer(block, at, 0x1f).map(|_| true);
        }
        self.literal(block, at, 0x0f).map(|(sound, _)| sound)
    }

    /// Says whether it is sound, and whether its name is.
    fn literal(&self, block: &mut [u8], at: &mut usize, prefix: u8) -> Option<(bool, bool)> {
        let begin = *at;
        let index = integer(block, at, prefix)?;
        let kind = match index {
            0 => {
                let name = string(block, at)?;
                let (kind, length) = named(block, &name)?;
                if kind.is_none() {
                    overwrite(block, &name, length, false)?;
                }
                kind
            }
            2 | 3 => Some(Kind::Method),
            1..=7 => Some(Kind::Text),
            8..=14 => Some(Kind::Status),
            _ => (!is_set(self.misnamed, index)).then_some(Kind::Field),
        };
        let text = string(block, at)?;
        let of = kind.unwrap_or(Kind::Field);
        let Some(length) = fault(block, &text, of)? else {
            return Some((kind.is_some(), kind.is_some()));
        };
        overwrite(block, &text, length, of == Kind::Field)?;
        if of == Kind::Status {
            // No number of another length will do; another pseudo-header may have any value.
            if index == 0 {
                return None;
            }
            block[begin] = block[begin] & !prefix | SCHEME;
        }
        Some((false, kind.is_some_and(|kind| kind != Kind::Status)))
    }
}

fn is_set(entries: u128, index: usize) -> bool {
    let entry = index.checked_sub(STATIC + 1).and_then(|entry| u32::try_from(entry).ok());
    entry.and_then(|entry| entries.checked_shr(entry)).is_some_and(|entries| entries & 1 == 1)
}

/// The number that begins in the low bits of an octet (section 5.1).
fn integer(block: &[u8], at: &mut usize, prefix: u8) -> Option<usize> {
    let mut value = usize::from(*block.get(*at)? & prefix);
    *at += 1;
    if value < usize::from(prefix) {
        return Some(value);
    }
    for shift in (0..LONGEST_INTEGER - 1).map(|octet| 7 * octet) {
        let octet = *block.get(*at)?;
        *at += 1;
        value += usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn string(block: &[u8], at: &mut usize) -> Option<Text> {
    let huffman = block.get(*at)? & HUFFMAN != 0;
    let length = integer(block, at, 0x7f)?;
    let (from, to) = (*at, at.checked_add(length)?);
    *at = to;
    (to <= block.len()).then_some(Text { from, to, huffman })
}

/// Gives each octet of a text. `None` when it is not in the code.
fn each(block: &[u8], text: &Text, mut take: impl FnMut(u8)) -> Option<()> {
    let octets = &block[text.from..text.to];
    match text.huffman {
        true => huffman::decode(octets, take),
        false => {
            octets.iter().for_each(|octet| take(*octet));
            Some(())
        }
    }
}

/// What the value of a field of this name is to be, and how long the name is. It is malformed where there is
/// no such thing. `None` when it cannot be read, or is none.
fn named(block: &[u8], name: &Text) -> Option<(Option<Kind>, usize)> {
    let (mut begin, mut length, mut sound) = ([0; 10], 0, true);
    each(block, name, |octet| {
        if let Some(place) = begin.get_mut(length) {
            *place = octet;
        }
        sound &= is_of_names(octet);
        length += 1;
    })?;
    let kind = match &begin[..length.min(begin.len())] {
        [] => return None,
        [b':', ..] => match (&begin, length) {
            (b":authority", 10) => Some(Kind::Text),
            (b":path\0\0\0\0\0", 5) | (b":scheme\0\0\0", 7) | (b":protocol\0", 9) => {
                Some(Kind::Text)
            }
            (b":method\0\0\0", 7) => Some(Kind::Method),
            (b":status\0\0\0", 7) => Some(Kind::Status),
            _ => None,
        },
        _ => sound.then_some(Kind::Field),
    };
    Some((kind, length))
}

fn is_of_names(octet: u8) -> bool {
    is_token(octet) && !octet.is_ascii_uppercase()
}

/// How long a malformed value is; `Some(None)` of one that is sound, and `None` of what cannot be read.
fn fault(block: &[u8], text: &Text, kind: Kind) -> Option<Option<usize>> {
    if kind == Kind::Field
        && text.huffman
        && !huffman::may_hold_controls(&block[text.from..text.to])
    {
        return Some(None);
    }
    let (mut length, mut sound, mut number) = (0, true, 0);
    each(block, text, |octet| {
        sound &= match kind {
            Kind::Field => octet == b'\t' || octet >= b' ' && octet != 0x7f,
            Kind::Text => octet.is_ascii(),
            Kind::Method => is_token(octet),
            Kind::Status => octet.is_ascii_digit(),
        };
        number = (number * 10 + u32::from(octet.wrapping_sub(b'0'))).min(1_000);
        length += 1;
    })?;
    sound &= match kind {
        Kind::Field | Kind::Text => true,
        Kind::Method => true,
        Kind::Status => length == 3 && number >= 100,
    };
    Some((!sound).then_some(length))
}

/// Writes something harmless over a text, as long as it was and in as many octets. `None` when that cannot be
/// done. A name or a pseudo-header may hold less than other values.
fn overwrite(block: &mut [u8], text: &Text, length: usize, long: bool) -> Option<()> {
    let octets = &mut block[text.from..text.to];
    if text.huffman {
        return huffman::fill(octets, length, long).then_some(());
    }
    octets.fill(b'a');
    Some(())
}
