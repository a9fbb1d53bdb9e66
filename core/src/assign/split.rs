//! The exact split of requests that belong to no session.

use crate::weights::{WHOLE, Weights};

/// The weights of one split, prepared once when it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slots {
    /// Everything to one part.
    One(u16),
    /// Two parts. `block` requests hold exactly one of the rare part, at a random place, so that a
    /// periodic client cannot fall in step with the split.
    Block { rare: u16, common: u16, block: u16 },
    /// Two parts whose ratio is not one in a whole number: a carry accumulator.
    Carry { rare: u16, common: u16, weight: u16 },
    /// Three or more parts: 10,000 slots, each part spread as evenly as it can be.
    Table(Box<[u16]>),
}

impl Slots {
    pub fn new(weights: &Weights) -> Self {
        let parts: Vec<(u16, u16)> = (0u16..)
            .zip(weights.iter())
            .map(|(part, (_, weight))| (part, weight.get()))
            .filter(|(_, weight)| *weight > 0)
            .collect();
        match parts[..] {
            [(only, _)] => Self::One(only),
            [(a, wa), (b, wb)] => {
                let ((rare, weight), common) = if wa < wb { ((a, wa), b) } else { ((b, wb), a) };
                if WHOLE % weight == 0 {
                    Self::Block { rare, common, block: WHOLE / weight }
                } else {
                    Self::Carry { rare, common, weight }
                }
            }
            _ => Self::Table(smooth(&parts)),
        }
    }
}

/// Smooth weighted round robin over one period: at every prefix each part is within one slot
/// of its share.
fn smooth(parts: &[(u16, u16)]) -> Box<[u16]> {
    let mut credit = vec![0i32; parts.len()];
    let next = |_| {
        let mut best = 0;
        for (i, (_, weight)) in parts.iter().enumerate() {
            credit[i] += i32::from(*weight);
            if credit[i] > credit[best] {
                best = i;
            }
        }
        credit[best] -= i32::from(WHOLE);
        parts[best].0
    };
    (0..WHOLE).map(next).collect()
}

/// One thread's place in the split of one service. Each thread begins at a random phase, so
/// that threads do not send their rare requests together.
#[derive(Debug, Clone)]
pub struct Splitter {
    /// Requests since the block began, the carry in basis points, or the slot in the table.
    at: u32,
    /// Where in the block the rare request falls.
    rare_at: u32,
}

impl Splitter {
    pub fn new(random: u64) -> Self {
        Self {
            at: (random >> 32) as u32 % u32::from(WHOLE),
            rare_at: random as u32 % u32::from(WHOLE),
        }
    }

    /// The whole state in one word, so that a thread can keep it in an atomic cell that nothing
    /// locks.
    pub fn to_bits(&self) -> u64 {
        u64::from(self.at) << 32 | u64::from(self.rare_at)
    }

    pub fn from_bits(bits: u64) -> Self {
        Self { at: (bits >> 32) as u32, rare_at: bits as u32 }
    }

    /// The part of the weights that gets the next request. `random` is only used where a block
    /// begins, but always given, so that choosing costs the same.
    pub fn next(&mut self, slots: &Slots, random: u32) -> u16 {
        match slots {
            Slots::One(only) => *only,
            Slots::Block { rare, common, block } => {
                let block = u32::from(*block);
                if self.at >= block {
                    self.at %= block;
                    self.rare_at %= block;
                }
                let picked = if self.at == self.rare_at { *rare } else { *common };
                self.at += 1;
                if self.at == block {
                    self.at = 0;
                    self.rare_at = ((u64::from(random) * u64::from(block)) >> 32) as u32;
                }
                picked
            }
            Slots::Carry { rare, common, weight } => {
                self.at = self.at % u32::from(WHOLE) + u32::from(*weight);
                if self.at >= u32::from(WHOLE) { *rare } else { *common }
            }
            Slots::Table(table) => {
                self.at = (self.at + 1) % u32::from(WHOLE);
                table[self.at as usize]
            }
        }
    }
}
