//! Whose turn it is among the endpoints of a group, by weight and priority.
//!
//! Endpoints of one priority are a tier. Where all of a tier weigh the same, as they do unless a source
//! says otherwise, turns are the endpoints themselves; else each has as many turns as it weighs, spread as
//! evenly as can be. They are worked out when a set comes, and cost a request one load.

use super::endpoint::Endpoint;
use serin_core::time::Mono;
use std::ops::Range;
use std::sync::Arc;

/// Turns of a tier, beyond which weights are only roughly kept. Everybody has one.
const TURNS_MAX: u32 = 4_096;

/// The endpoints of a group, in the order of their priorities.
#[derive(Debug, Default)]
pub struct Rota {
    all: Vec<Arc<Endpoint>>,
    tiers: Vec<Turns>,
}

#[derive(Debug)]
struct Turns {
    members: Range<usize>,
    /// Empty when everybody has one.
    order: Vec<u32>,
}

/// Endpoints of one priority.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tier<'a> {
    pub(super) members: &'a [Arc<Endpoint>],
    order: &'a [u32],
}

impl Rota {
    pub(super) fn new(members: &[Arc<Endpoint>]) -> Self {
        let mut all = members.to_vec();
        all.sort_by_key(|endpoint| endpoint.priority());
        let mut tiers = Vec::new();
        let mut from = 0;
        for tier in all.chunk_by(|a, b| a.priority() == b.priority()) {
            let weights: Vec<u32> = tier.iter().map(|endpoint| endpoint.weight()).collect();
            tiers.push(Turns { members: from..from + tier.len(), order: order(&weights) });
            from += tier.len();
        }
        Self { all, tiers }
    }

    /// The tiers, from the first one where somebody is ready. Where nobody is, from the first.
    pub(super) fn tiers_from(&self, now: Mono) -> impl Iterator<Item = Tier<'_>> {
        let ready = |turns: &Turns| self.all[turns.members.clone()].iter().any(|e| e.is_ready(now));
        let first = match self.tiers.as_slice() {
            [] | [_] => 0,
            several => several.iter().position(ready).unwrap_or(0),
        };
        self.tiers[first..]
            .iter()
            .map(|turns| Tier { members: &self.all[turns.members.clone()], order: &turns.order })
    }
}

impl std::ops::Deref for Rota {
    type Target = [Arc<Endpoint>];

    fn deref(&self) -> &[Arc<Endpoint>] {
        &self.all
    }
}

impl<'a> Tier<'a> {
    pub(super) fn turns(&self) -> usize {
        if self.order.is_empty() { self.members.len() } else { self.order.len() }
    }

    /// Whose turn is the one of this number, which is below [`Self::turns`].
    pub(super) fn at(&self, turn: usize) -> &'a Arc<Endpoint> {
        let place = if self.order.is_empty() { turn } else { self.order[turn] as usize };
        &self.members[place]
    }
}

/// The places of a tier in turn: each as often as it weighs, and never sooner again than it must.
fn order(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, greatest_common);
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    if divisor == 0 || total == u64::from(divisor) * weights.len() as u64 {
        return Vec::new();
    }
    let total = total / u64::from(divisor);
    let scaled = |weight: &u32| {
        let weight = weight / divisor;
        match total <= u64::from(TURNS_MAX) {
            true => weight,
            false => {
                let turns = f64::from(weight) * f64::from(TURNS_MAX) / total as f64;
                (turns.round() as u32).max(1)
            }
        }
    };
    let weights: Vec<u32> = weights.iter().map(scaled).collect();
    // The turns of each stand in the middle of its equal parts of the round.
    let mut turns: Vec<(f64, u32)> = Vec::new();
    for (place, weight) in (0..).zip(&weights) {
        let part = |n: u32| ((f64::from(n) + 0.5) / f64::from(*weight), place);
        turns.extend((0..*weight).map(part));
    }
    turns.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    turns.into_iter().map(|(_, place)| place).collect()
}

fn greatest_common(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equals_need_no_order() {
        assert!([&[][..], &[7], &[5, 5, 5]].iter().all(|weights| order(weights).is_empty()));
    }

    #[test]
    fn turns_are_spread() {
        assert_eq!(order(&[2, 1]), [0u32, 1, 0]);
        assert_eq!(order(&[20, 10]), [0u32, 1, 0]);
        assert_eq!(order(&[1, 1, 4]), [2u32, 2, 0, 1, 2, 2]);
    }

    proptest! {
        #[test]
        fn everybody_has_turns_by_weight(weights in proptest::collection::vec(1u32..1_000, 1..40)) {
            let order = order(&weights);
            let turns = |place: usize| match order.len() {
                0 => 1,
                _ => order.iter().filter(|at| **at as usize == place).count(),
            };
            let (all, total): (usize, u32) = ((0..weights.len()).map(turns).sum(), weights.iter().sum());
            for (place, weight) in weights.iter().enumerate() {
                let wanted = f64::from(*weight) / f64::from(total);
                let got = turns(place) as f64 / all as f64;
                prop_assert!(turns(place) > 0);
                prop_assert!((got - wanted).abs() < 0.01, "{got} for {wanted}");
            }
        }
    }
}
