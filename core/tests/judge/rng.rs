//! Chance that is the same every time: core has none of its own, and a test that fails must
//! fail again.

#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d);
        rng.draw();
        rng
    }

    /// SplitMix64.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In (0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.draw() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// How many of `n` trials of probability `p` succeed. By the gaps between successes, so rare
    /// ones cost little.
    pub(crate) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if p <= 0.0 || n == 0 {
            return 0;
        }
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        let (ln_q, mut at, mut found) = ((-p).ln_1p(), 0.0, 0);
        loop {
            at += (self.unit().ln() / ln_q).floor() + 1.0;
            if at > n as f64 {
                return found;
            }
            found += 1;
        }
    }

    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        let (mut left, mut found) = (mean, 0);
        loop {
            left += self.unit().ln();
            if left < 0.0 {
                return found;
            }
            found += 1;
        }
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}
