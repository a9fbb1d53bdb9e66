//! The code of Huffman's kind in which HPACK may write strings (RFC 7541, appendix B): read, and overwritten.
//!
//! The code is canonical: the lengths of its words say everything. Pure.

/// How long the word of each octet is.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
const LONGEST: usize = 30;

static CODE: Code = Code::new();

struct Code {
    /// The octets in the order of their words.
    octets: [u8; 256],
    /// Of the words of each length: the first, its place in that order, and how many there are.
    first: [u32; LONGEST + 1],
    place: [u16; LONGEST + 1],
    count: [u16; LONGEST + 1],
    /// By the first eight bits: an octet whose word is no longer than that, and the word's length; 0 where it
    /// is longer.
    short: [(u8, u8); 256],
}

impl Code {
    const fn new() -> Self {
        let mut code = Self {
            octets: [0; 256],
            first: [0; LONGEST + 1],
            place: [0; LONGEST + 1],
            count: [0; LONGEST + 1],
            short: [(0, 0); 256],
        };
        let (mut next, mut place, mut length) = (0u32, 0, 1);
        while length <= LONGEST {
            next <<= 1;
            code.first[length] = next;
            code.place[length] = place as u16;
            let mut octet = 0;
            while octet < 256 {
                if LENGTHS[octet] as usize == length {
                    code.octets[place] = octet as u8;
                    if length <= 8 {
                        let mut rest = 0;
                        while rest < 1 << (8 - length) {
                            let at = ((next as usize) << (8 - length)) + rest;
                            code.short[at] = (octet as u8, length as u8);
                            rest += 1;
                        }
                    }
                    next += 1;
                    place += 1;
                    code.count[length] += 1;
                }
                octet += 1;
            }
            length += 1;
        }
        code
    }

    /// The octet whose word the bits begin with, and the word's length.
    fn word(&self, bits: u64) -> Option<(u8, usize)> {
        let (octet, length) = self.short[(bits >> 56) as usize];
        if length > 0 {
            return Some((octet, length.into()));
        }
        (9..=LONGEST).find_map(|length| {
            let after = ((bits >> (64 - length)) as u32).checked_sub(self.first[length])?;
            let is_one = after < u32::from(self.count[length]);
            let octet = is_one.then(|| usize::from(self.place[length]) + after as usize);
            octet.map(|at| (self.octets[at], length))
        })
    }
}

/// Gives each octet of a string to `take`. `None` when it is not in the code.
pub(super) fn decode(mut coded: &[u8], mut take: impl FnMut(u8)) -> Option<()> {
    // From the highest on.
    let (mut bits, mut have) = (0u64, 0);
    loop {
        while have <= 56
            && let Some((next, rest)) = coded.split_first()
        {
            bits |= u64::from(*next) << (56 - have);
            have += 8;
            coded = rest;
        }
        // What is left over are the beginnings of a word of ones alone.
        if have < 8 && bits.count_ones() == have {
            return Some(());
        }
        let (octet, length) = CODE.word(bits)?;
        have = have.checked_sub(length as u32)?;
        bits <<= length;
        take(octet);
    }
}

/// Whether a string may hold a control character: the words of all of them begin with ten ones, and hardly
/// any word of what stands in heads does.
pub(super) fn may_hold_controls(coded: &[u8]) -> bool {
    let has_ten_ones = |word: u64| {
        let two = word & word << 1;
        let four = two & two << 2;
        (four & four << 4) & two << 8 != 0
    };
    // Each looks at what the one before could not see the end of.
    let (mut at, mut last) = (0, [0; 8]);
    while let Some(word) = coded[at..].first_chunk::<8>() {
        if has_ten_ones(u64::from_be_bytes(*word)) {
            return true;
        }
        at += 6;
    }
    let rest = &coded[at..];
    last[..rest.len()].copy_from_slice(rest);
    has_ten_ones(u64::from_be_bytes(last))
}

/// Words of characters that names and values alike may have, the longest first, and their lengths.
const FILLERS: [(u32, usize); 10] = [
    (0x7ffd, 15), // `
    (0x3ffc, 14), // ^
    (0x1ff9, 13), // $
    (0xffa, 12),  // #
    (0x7fa, 11),  // '
    (0x3f8, 10),  // !
    (0xf8, 8),    // &
    (0x74, 7),    // j
    (0x23, 6),    // b
    (SHORTEST, SHORTEST_LENGTH),
];
/// Of an `a`.
const SHORTEST: u32 = 0x3;
const SHORTEST_LENGTH: usize = 5;
/// For values alone: of the octet 0xf9.
const LONG: (u32, usize) = (0xfff_fffe, 28);

/// Writes as many harmless characters over a string as it had, in as many octets. Says whether that can be
/// done; otherwise it is as it was.
pub(super) fn fill(coded: &mut [u8], characters: usize, long: bool) -> bool {
    let room = coded.len() * 8;
    let Some(mut spare) = room.checked_sub(characters * SHORTEST_LENGTH) else { return false };
    let fits = |spare: usize| move |(_, length): &&(u32, usize)| length - SHORTEST_LENGTH <= spare;
    let longest = |spare: usize| {
        let long = Some(&LONG).filter(|_| long).filter(fits(spare));
        *long.or_else(|| FILLERS.iter().find(fits(spare))).unwrap_or(&FILLERS[9])
    };
    // Fewer than eight bits may be left over.
    let all = (0..characters).fold(spare, |spare, _| spare - (longest(spare).1 - SHORTEST_LENGTH));
    if all >= 8 {
        return false;
    }
    let (mut bits, mut have, mut at) = (0u64, 0, 0);
    for _ in 0..characters {
        let (word, length) = longest(spare);
        spare -= length - SHORTEST_LENGTH;
        (bits, have) = (bits << length | u64::from(word), have + length);
        while have >= 8 {
            have -= 8;
            coded[at] = (bits >> have) as u8;
            at += 1;
        }
    }
    if let Some(last) = coded.get_mut(at).filter(|_| have > 0) {
        *last = (bits << (8 - have)) as u8 | 0xff >> have;
    }
    true
}

/// By the words themselves, bit after bit.
#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    for octet in text {
        let at = CODE.octets.iter().position(|known| known == octet).unwrap();
        let length = usize::from(LENGTHS[usize::from(*octet)]);
        let word = CODE.first[length] + at as u32 - u32::from(CODE.place[length]);
        bits.extend((0..length).rev().map(|bit| word >> bit & 1 == 1));
    }
    bits.resize(bits.len().next_multiple_of(8), true);
    let octet = |bits: &[bool]| bits.iter().fold(0, |octet, bit| octet << 1 | u8::from(*bit));
    bits.chunks(8).map(octet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        decode(coded, |octet| text.push(octet)).map(|()| text)
    }

    fn is_control(octet: u8) -> bool {
        octet != b'\t' && octet < 32 || octet == 127
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        let www = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decoded(&www).unwrap(), b"www.example.com");
        assert_eq!(encode(b"www.example.com"), www);
        let date = "d07abe941054d444a8200595040b8166e082a62d1bff";
        assert_eq!(decoded(&hex(date)).unwrap(), b"Mon, 21 Oct 2013 20:13:21 GMT");
        let cookie = "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007";
        let said = b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
        assert_eq!(decoded(&hex(cookie)).unwrap(), said);
    }

    fn hex(text: &str) -> Vec<u8> {
        let octet = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(octet).collect()
    }

    #[test]
    fn what_is_not_in_the_code_is_refused() {
        // A whole octet of ones, the word that ends strings, and a beginning of one that is not of ones.
        for bad in [&[0xff][..], &[0xff, 0xff, 0xff, 0xff], &[0x00]] {
            assert!(decoded(bad).is_none(), "{bad:x?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(text in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(decoded(&encode(&text)), Some(text));
        }

        #[test]
        fn no_control_character_is_overlooked(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let has = text.iter().any(|octet| is_control(*octet));
            prop_assert!(!has || may_hold_controls(&encode(&text)));
        }

        #[test]
        fn what_was_overwritten_is_as_long_and_harmless(
            text in "[ -~\r\n\u{0}a-zA-Z0-9/=;-]{0,60}",
            long: bool,
        ) {
            let mut coded = encode(text.as_bytes());
            let before = coded.clone();
            if fill(&mut coded, text.len(), long) {
                let now = decoded(&coded).unwrap();
                prop_assert_eq!(now.len(), text.len());
                let harmless = |octet: &u8| b"`^$#'!&jba".contains(octet) || long && *octet == 0xf9;
                prop_assert!(now.iter().all(harmless), "{now:?}");
            } else {
                prop_assert_eq!(coded, before);
            }
        }

        #[test]
        fn a_line_break_or_two_in_a_value_can_be_overwritten(
            before in "[a-z/]{4,30}", after in "[a-z/]{0,30}", bad in "[\r\n\u{0}\u{1}]{1,2}",
        ) {
            let text = [before, bad, after].concat();
            prop_assert!(fill(&mut encode(text.as_bytes()), text.len(), true), "{text:?}");
        }

        #[test]
        fn nothing_panics(coded in prop::collection::vec(any::<u8>(), 0..40), count in 0..60usize) {
            let _ = (decoded(&coded), may_hold_controls(&coded), fill(&mut coded.clone(), count, true));
        }
    }
}
