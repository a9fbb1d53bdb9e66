//! What the tests of control share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod disk;
pub mod world;

/// A small generator, so that a failing case can be named by its seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub fn coin(&mut self) -> bool {
        self.roll() & 1 == 1
    }
}
