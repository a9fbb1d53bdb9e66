//! The exact split of requests that belong to no session.
//!
//! With two versions, every request adds the rarer one's weight to a running sum, and each
//! time the sum has grown by a whole, the rarer one has got exactly one request. Which of the
//! requests inside that whole it is, is drawn anew each time: were it always the same place, a
//! client that repeats itself every ten requests would be split by path and not by chance.
//! How far the place may wander is bounded so that any [`WINDOW`] requests in a row hold the
//! share of the weight, give or take one.
//!
//! It never decides by drawing a lot per request: that would miss the weight by ten in a
//! hundred now and then, and such a miss looks like a change of traffic.

use crate::weights::{WHOLE, Weights};

/// The promise is made for so many requests in a row.
const WINDOW: u32 = 100;

/// The weights of one split, prepared once when it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slots {
    /// Everything to one part.
    One(u16),
    Two(Two),
    /// Three or more parts: 10,000 slots, each part spread as evenly as it can be.
    Table(Box<[u16]>),
}

/// Two parts, of which one is the rarer: at most half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Two {
    rare: u16,
    common: u16,
    weight: u16,
    /// The drawn place lies this far into the whole, at most, exclusive.
    reach: u16,
    /// A whole is a whole number of requests, so each whole begins with a request.
    aligned: bool,
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
            [a, b] => Self::Two(if a.1 < b.1 { Two::new(a, b.0) } else { Two::new(b, a.0) }),
            _ => Self::Table(smooth(&parts)),
        }
    }
}

impl Two {
    fn new((rare, weight): (u16, u16), common: u16) -> Self {
        let aligned = WHOLE.is_multiple_of(weight);
        Self { rare, common, weight, reach: reach(weight), aligned }
    }
}

/// A window spans `n` wholes and a remainder `r`. Without a remainder every place is right: a
/// window contains at least `n - 1` wholes and touches at most `n + 1`. With one, the window must
/// hold `n` or `n + 1`, so `n + 2` places may not fit into it, nor may `n` places outspan it.
/// Aligned places come in steps of a request, others in basis points.
fn reach(weight: u16) -> u16 {
    let step = if WHOLE.is_multiple_of(weight) { weight } else { 1 };
    let sum = WINDOW * u32::from(weight);
    let n = sum / u32::from(WHOLE);
    let r = (sum % u32::from(WHOLE)) as u16;
    if r == 0 {
        return WHOLE;
    }
    let close = WHOLE - r + step;
    if n == 0 { close } else { close.min(r + step) }
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
/// that threads do not send their rare requests together. It outlives a change of weights and
/// takes what the rarer part is owed with it.
#[derive(Debug, Clone)]
pub struct Splitter {
    /// How far into the whole, in basis points, or which slot of the table. Below the whole.
    at: u16,
    /// Where in the whole the rare request falls; behind `at` once it has been.
    place: u16,
    /// The rarer part and its weight, as of the last request. No weight: there was none yet.
    rare: u16,
    weight: u16,
}

impl Splitter {
    pub fn new(random: u64) -> Self {
        let (high, low) = ((random >> 32) as u32, random as u32);
        Self { at: scaled(high, WHOLE), place: scaled(low, WHOLE), rare: 0, weight: 0 }
    }

    /// The whole state in one word, so that a thread can keep it in an atomic cell that nothing
    /// locks.
    pub fn to_bits(&self) -> u64 {
        let four = [self.at, self.place, self.rare, self.weight];
        four.into_iter().fold(0, |bits, part| bits << 16 | u64::from(part))
    }

    pub fn from_bits(bits: u64) -> Self {
        let part = |place: u32| (bits >> (16 * place)) as u16;
        Self { at: part(3), place: part(2), rare: part(1), weight: part(0) }
    }

    /// The part of the weights that gets the next request. `random` is only used where a whole
    /// begins, but always given, so that choosing costs the same.
    pub fn next(&mut self, slots: &Slots, random: u32) -> u16 {
        match slots {
            Slots::One(only) => *only,
            Slots::Two(two) => {
                if (self.weight, self.rare) != (two.weight, two.rare) {
                    self.adopt(two);
                }
                if self.is_rare(two, random) { two.rare } else { two.common }
            }
            Slots::Table(table) => {
                self.at = (self.at + 1) % WHOLE;
                table[usize::from(self.at)]
            }
        }
    }

    fn is_rare(&mut self, two: &Two, random: u32) -> bool {
        let end = self.at + two.weight;
        let rare = self.at <= self.place && self.place < end;
        if end < WHOLE {
            self.at = end;
            return rare;
        }
        // This request begins the next whole too, if it reaches into it.
        self.at = end - WHOLE;
        self.place = scaled(random, two.reach);
        if self.place >= self.at {
            return rare;
        }
        if rare {
            // It cannot count for both wholes: the next request is the other one's.
            self.place = self.at;
        }
        true
    }

    /// Goes on under other weights, from a state that these weights could have led to.
    fn adopt(&mut self, two: &Two) {
        let mut had_its_own = self.place < self.at;
        if self.weight > 0 && self.rare != two.rare && self.at > 0 {
            // What one of two parts has had too much of, the other one is owed.
            had_its_own = !had_its_own;
            self.at = WHOLE - self.at;
        }
        (self.rare, self.weight) = (two.rare, two.weight);
        if two.aligned {
            let down = self.at - self.at % two.weight;
            let up = self.at.next_multiple_of(two.weight) % WHOLE;
            self.at = if had_its_own { up } else { down };
        }
        self.place = match (had_its_own, self.at) {
            (_, 0) => self.place.min(two.reach - 1),
            (true, _) => 0,
            (false, at) => self.place.max(at).min(two.reach - 1),
        };
    }
}

/// An even choice among `count` by 32 random bits.
fn scaled(random: u32, count: u16) -> u16 {
    ((u64::from(random) * u64::from(count)) >> 32) as u16
}
