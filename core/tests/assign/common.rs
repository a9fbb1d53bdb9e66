//! Made-up names, weights and randomness.

use serin_core::ids::{Epoch, RolloutId, ServiceName, VersionName};
use serin_core::split::{HarmCeiling, InForce, Scope, Sessions, Split};
use serin_core::weights::{BasisPoints, WHOLE, Weights};

/// Repeatable randomness: splitmix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) fn word(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }
}

pub(crate) fn points(weight: u16) -> BasisPoints {
    BasisPoints::new(weight).expect("a weight")
}

pub(crate) fn version(name: &str) -> VersionName {
    VersionName::new(name).expect("a name")
}

/// Weights of `v0`, `v1`, … that are given in order.
pub(crate) fn weights(parts: &[u16]) -> Weights {
    assert_eq!(parts.iter().sum::<u16>(), WHOLE);
    let part = |(i, weight): (usize, &u16)| (version(&format!("v{i}")), points(*weight));
    Weights::new(parts.iter().enumerate().map(part).collect()).expect("the whole")
}

/// `v1` against `v0` at this weight.
pub(crate) fn two(weight: u16) -> Weights {
    weights(&[WHOLE - weight, weight])
}

pub(crate) fn service() -> ServiceName {
    ServiceName::new("checkout").expect("a name")
}

/// A rollout of `v42` against `v41`, its seventeenth.
pub(crate) fn rollout(weight: u16) -> Split {
    let epoch = Epoch(17);
    let candidate = version("v42");
    let in_force = InForce {
        id: RolloutId::new(&service(), epoch),
        epoch,
        salt: 0x5e81,
        candidate: candidate.clone(),
        weight: points(weight),
        of: Scope::All,
        sessions: Sessions::Honour,
        tripwire: None,
        harm_ceiling: HarmCeiling::default(),
        rescue: false,
    };
    Split {
        service: service(),
        stable: version("v41"),
        weights: Weights::two(version("v41"), candidate, points(weight)),
        rollout: Some(in_force),
    }
}
