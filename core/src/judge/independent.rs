//! The evidence of a thousand made courses against another implementation, in another language and by other
//! means: `core/tests/independent/evidence.py`, which wrote the numbers beside it.

use super::bets::Bets;
use super::compare::{Batch, Ratio, even_factors};
use super::errors::ErrorsTest;
use super::rate::RateTest;
use super::slower::RATIOS;
use crate::measure::Part;

const THEIRS: &str = include_str!("../../tests/independent/evidence.txt");

/// splitmix64
struct Luck(u64);

impl Luck {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy, const N: usize>(&mut self, among: [T; N]) -> T {
        among[self.below(N as u64) as usize]
    }

    /// So many requests, of which each fails with this chance.
    fn part(&mut self, of: u64, chance: f64) -> Part {
        let threshold = (chance.min(1.0) * (1u64 << 53) as f64) as u64;
        let bad = (0..of).filter(|_| self.next() >> 11 < threshold).count();
        Part { bad: bad as u64, of }
    }
}

/// The logarithm of a course's value.
fn course(seed: u64) -> f64 {
    let mut luck = Luck(seed);
    let kind = luck.pick(["worse", "slower", "above"]);
    let parameter = match kind {
        "worse" => luck.pick([1.0, 1.5, 2.0]),
        "above" => luck.pick([0.0001, 0.001, 0.01, 0.3]),
        _ => 1.0,
    };
    let chance = luck.pick([0.0, 0.001, 0.01, 0.1, 0.5, 0.9]);
    let times = luck.pick([0.5, 1.0, 1.0, 1.5, 3.0, 20.0]);
    let most = luck.pick([6, 40, 400]);
    let batches: Vec<Batch> = (0..20 + luck.below(300))
        .map(|_| {
            let (candidate, stable) = (luck.below(most), luck.below(3 * most));
            let candidate = luck.part(candidate, chance * times);
            Batch { candidate, stable: luck.part(stable, chance) }
        })
        .collect();
    value(kind, parameter, &batches).ln()
}

fn value(kind: &str, parameter: f64, batches: &[Batch]) -> f64 {
    match kind {
        "worse" => {
            let mut test = ErrorsTest::new(parameter, 0.001);
            batches.iter().for_each(|batch| test.compare(*batch));
            test.comparison()
        }
        "above" => {
            let mut test = RateTest::new(parameter);
            batches.iter().for_each(|batch| test.observe(batch.candidate));
            test.value()
        }
        _ => {
            let (mut bets, ratios) = (Bets::in_instalments(), RATIOS.map(Ratio::new));
            batches.iter().for_each(|batch| bets.play(even_factors(*batch, &ratios)));
            bets.value()
        }
    }
}

#[test]
fn another_implementation_comes_to_the_same_evidence() {
    let theirs: Vec<f64> = THEIRS.lines().map(|line| line.parse().expect("a number")).collect();
    let ours: Vec<f64> = (0..theirs.len() as u64).map(course).collect();
    let apart = |(ours, theirs): (&f64, &f64)| (ours - theirs).abs();
    let worst = ours.iter().zip(&theirs).map(apart).fold(0.0, f64::max);
    let proofs = ours.iter().filter(|ln| **ln > 1_000f64.ln()).count();
    println!("{} courses, {proofs} of them proof, apart by {worst:e} at most", ours.len());
    assert!(ours.len() == 1_000 && proofs > 100, "{} and {proofs}", ours.len());
    assert!(worst < 1e-9, "{worst:e}");
}
