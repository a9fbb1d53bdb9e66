//! One line of the journal: how a commit is written down, and what stands where one could begin.
//!
//! `<16 hex digits> {"format":2,"bytes":"00001234",…}\n`: the digits are a hash of the line before
//! and of the JSON, `bytes` is the length of the JSON. Format 1 had no length.
//!
//! A commit that a power cut or a kill has cut short is told apart from damage. The one leaves whole
//! sectors unwritten, which are zeros (JSON has none), or ends early with nothing but zeros behind
//! it. The other changes bytes. With the length a line is known to be whole without its newline.

/// The format that is written.
pub(super) const FORMAT: u32 = 2;
/// The one before it is still read.
pub(super) const OLDEST_FORMAT: u32 = 1;

const HEAD: &str = "{\"format\":2,\"bytes\":\"";
/// Digits of the length.
const LENGTH: usize = 8;
/// Digits of the hash.
const DIGITS: usize = 16;
/// What a disk writes as a whole, at least.
const SECTOR: u64 = 512;

/// A hash of all lines so far.
pub(super) type Chain = [u8; 32];

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// There are no more lines.
    End,
    Line(Line<'a>),
    /// A commit that did not come to its end; nobody was told that it happened.
    CutShort,
    Damage,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) json: &'a str,
    pub(super) chain: Chain,
    /// All of its bytes.
    pub(super) len: usize,
    /// Whether its newline is there. A line is whole without it.
    pub(super) ended: bool,
}

/// The line of a commit, with its newline. `None` when it is too long for a line.
///
/// `body` is a JSON object that has something in it.
pub(super) fn written(chain: &Chain, body: &str) -> Option<(String, Chain)> {
    let rest = body.strip_prefix('{')?;
    let bytes = HEAD.len() + LENGTH + "\",".len() + rest.len();
    let json = format!("{HEAD}{bytes:0LENGTH$}\",{rest}");
    let next = next_chain(chain, json.as_bytes());
    (json.len() == bytes).then(|| (format!("{} {json}\n", digits(&next)), next))
}

/// What stands at the beginning of `rest`, which is what the file has from `offset` on, without the
/// zeros at its end.
pub(super) fn next<'a>(chain: &Chain, rest: &'a [u8], offset: u64) -> Found<'a> {
    if rest.is_empty() {
        return Found::End;
    }
    let newline = || rest.iter().position(|b| *b == b'\n');
    let end = claimed(rest).or_else(newline).unwrap_or(rest.len());
    if let Some((json, chain)) = rest.get(..end).and_then(|line| verified(chain, line)) {
        return match rest.get(end) {
            Some(b'\n') => Found::Line(Line { json, chain, len: end + 1, ended: true }),
            None => Found::Line(Line { json, chain, len: end, ended: false }),
            Some(_) => Found::Damage,
        };
    }
    // A line of format 1 whose newline was changed is whole before it.
    let changed = rest.split_last().is_some_and(|(_, line)| verified(chain, line).is_some());
    if !changed && is_cut_short(rest, end, offset) { Found::CutShort } else { Found::Damage }
}

/// Where the newline is, by the length that the line gives for itself.
fn claimed(rest: &[u8]) -> Option<usize> {
    let json = rest.get(DIGITS + 1..)?.strip_prefix(HEAD.as_bytes())?;
    let length = std::str::from_utf8(json.get(..LENGTH)?).ok()?;
    let whole = length.bytes().all(|b| b.is_ascii_digit()) && json[LENGTH..].starts_with(b"\",");
    Some(DIGITS + 1 + length.parse::<usize>().ok().filter(|_| whole)?)
}

fn verified<'a>(chain: &Chain, line: &'a [u8]) -> Option<(&'a str, Chain)> {
    let (head, json) = line.split_at_checked(DIGITS + 1)?;
    let next = next_chain(chain, json);
    let fits = head[..DIGITS] == *digits(&next).as_bytes() && head[DIGITS] == b' ';
    fits.then_some(())?;
    Some((std::str::from_utf8(json).ok()?, next))
}

/// Whether a line that should have its newline at `end` is one whose writing never ended.
fn is_cut_short(rest: &[u8], end: usize, offset: u64) -> bool {
    let is_last = rest.len() <= end + 1;
    let complete = rest.len() == end + 1 && !rest.contains(&0);
    // A newline before its end: the length was changed.
    let within = &rest[..end.min(rest.len())];
    if !is_last || complete || within.contains(&b'\n') {
        return false;
    }
    let mut rest = rest;
    let mut at = offset;
    while !rest.is_empty() {
        let left = usize::try_from(SECTOR - at % SECTOR).unwrap_or(rest.len());
        let (sector, after) = rest.split_at(left.min(rest.len()));
        let zeros = sector.iter().filter(|b| **b == 0).count();
        if zeros != 0 && zeros != sector.len() {
            return false;
        }
        at += sector.len() as u64;
        rest = after;
    }
    true
}

fn next_chain(chain: &Chain, json: &[u8]) -> Chain {
    *blake3::Hasher::new().update(chain).update(json).finalize().as_bytes()
}

fn digits(chain: &Chain) -> String {
    chain[..DIGITS / 2].iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Chain = [0; 32];

    fn line(len: usize) -> Vec<u8> {
        let (line, _) =
            written(&START, &format!("{{\"a\":\"{}\"}}", "x y@".repeat(len / 4))).unwrap();
        line.into_bytes()
    }

    /// As a file would hold it from a place in the middle of a sector.
    fn look(bytes: &[u8]) -> &'static str {
        let zeros = bytes.iter().rev().take_while(|b| **b == 0).count();
        match next(&START, &bytes[..bytes.len() - zeros], 300) {
            Found::End => "end",
            Found::Line(line) if line.ended => "line",
            Found::Line(_) => "line without its newline",
            Found::CutShort => "cut short",
            Found::Damage => "damage",
        }
    }

    #[test]
    fn any_bit_of_the_last_line_that_changes_is_damage() {
        for len in [8, 180, 200, 1_500] {
            let whole = line(len);
            assert_eq!(look(&whole), "line");
            for at in 0..whole.len() {
                for bit in 0..8 {
                    let mut bytes = whole.clone();
                    bytes[at] ^= 1 << bit;
                    assert_eq!(look(&bytes), "damage", "bit {bit} of byte {at} of {}", whole.len());
                }
            }
        }
    }

    #[test]
    fn a_write_that_ends_anywhere_is_cut_short_and_whole_without_its_newline() {
        let whole = line(1_500);
        for upto in 1..whole.len() - 1 {
            let mut bytes = whole[..upto].to_vec();
            bytes.resize(whole.len() + 10, 0);
            assert_eq!(look(&bytes), "cut short", "{upto}");
        }
        assert_eq!(look(&whole[..whole.len() - 1]), "line without its newline");
        assert_eq!(look(&[0; 40]), "end");
    }

    #[test]
    fn sectors_that_were_not_written_are_a_cut_and_zeros_within_one_are_damage() {
        let whole = line(1_500);
        // The first sector has 212 bytes of it, the others 512.
        let mut bytes = whole.clone();
        bytes[..212].fill(0);
        assert_eq!(look(&bytes), "cut short");
        let mut bytes = whole.clone();
        bytes[212..724].fill(0);
        assert_eq!(look(&bytes), "cut short");
        let mut bytes = whole;
        bytes[212..723].fill(0);
        assert_eq!(look(&bytes), "damage");
    }
}
