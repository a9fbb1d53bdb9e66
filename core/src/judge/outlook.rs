//! How many more requests until a bet has proof, if everybody goes on failing as they do?
//!
//! The same factors that will be played, at the shares seen so far: a forecast of the course's mean and no
//! promise. One failure can cost hundreds of requests.

/// Further ahead nothing is foretold.
const FURTHEST: u64 = 1 << 40;

/// What is bet on each alternative, as a logarithm, and what a request of the candidate adds to it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Stakes(Vec<(f64, f64)>);

impl Stakes {
    pub(super) fn add(&mut self, ln: f64, growth: f64) {
        self.0.push((ln, growth));
    }

    pub(super) fn value(&self) -> f64 {
        self.after(0)
    }

    fn after(&self, requests: u64) -> f64 {
        self.0.iter().map(|(ln, growth)| (ln + growth * requests as f64).exp()).sum()
    }

    /// `None`: not as long as they fail as they do.
    pub(super) fn requests_until(&self, needed: f64) -> Option<u64> {
        if self.value() >= needed {
            return Some(0);
        }
        let (mut too_few, mut enough) = (0, 1);
        while self.after(enough) < needed {
            if enough >= FURTHEST {
                return None;
            }
            (too_few, enough) = (enough, enough * 2);
        }
        while enough - too_few > 1 {
            let middle = u64::midpoint(too_few, enough);
            if self.after(middle) >= needed { enough = middle } else { too_few = middle }
        }
        Some(enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_arrives_and_what_shrinks_never_does() {
        let of = |growth| {
            let mut stakes = Stakes::default();
            stakes.add(0.5_f64.ln(), growth);
            stakes.add(0.5_f64.ln(), -1.0);
            stakes
        };
        let expected = (20.0_f64.ln() - 0.5_f64.ln()) / 0.01;
        assert_eq!(of(0.01).requests_until(20.0), Some(expected.ceil() as u64));
        assert_eq!(of(-0.01).requests_until(20.0), None);
        assert_eq!(of(0.01).requests_until(0.9), Some(0));
    }
}
