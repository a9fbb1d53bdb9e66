//! Buckets of users. The functions are part of the contract between proxies of one fleet:
//! changing them moves users.

use crate::ids::RolloutId;
use crate::weights::WHOLE;

/// A user's key from whatever identifies them: a header's value, an address's bytes.
pub fn key_of(identity: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(identity.iter().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// What shuffles the users of a rollout: it follows from the rollout's name, so that every proxy
/// of a fleet knows it, and no two rollouts pick the same users first.
pub fn salt_of(rollout: &RolloutId) -> u64 {
    key_of(rollout.as_str().as_bytes())
}

/// The user's bucket in a rollout, 0 to 9,999. Another salt shuffles the users anew.
pub fn bucket(salt: u64, key: u64) -> u16 {
    let hash = mix(mix(key).wrapping_add(salt));
    ((u128::from(hash) * u128::from(WHOLE)) >> 64) as u16
}

/// The finaliser of splitmix64: every input bit reaches every output bit.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
