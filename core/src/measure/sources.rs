//! Where failed requests came from: a bounded sample, beside the counts.
//!
//! A count cannot tell a release that fails its users from one visitor who asks for what nobody
//! answers. The data plane keeps the latest failures of candidate and stable with their origins,
//! and the client networks of some of the requests that were answered well, to compare with. A
//! network stands for a client: cookies are free, addresses of one network nearly so.

use crate::time::Mono;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A client's network: /24 of IPv4, /48 of IPv6. Small enough for an atomic cell; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(u64);

const V4: u64 = 4 << 56;
const V6: u64 = 6 << 56;
const PREFIX: u64 = (1 << 48) - 1;

impl Network {
    pub fn of(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V4(v4) => Self(V4 | u64::from(u32::from(v4) >> 8)),
            IpAddr::V6(v6) => Self(V6 | (u128::from(v6) >> 80) as u64),
        }
    }

    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// `None` for bits that [`to_bits`](Self::to_bits) does not give.
    pub fn from_bits(bits: u64) -> Option<Self> {
        matches!(bits & !PREFIX, V4 | V6).then_some(Self(bits))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = self.0 & PREFIX;
        match self.0 & !PREFIX {
            V4 => write!(f, "{}/24", Ipv4Addr::from((prefix as u32) << 8)),
            _ => write!(f, "{}/48", Ipv6Addr::from(u128::from(prefix) << 80)),
        }
    }
}

/// One failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRequest {
    pub at: Mono,
    pub network: Network,
    /// A hash; `None` where users cannot be told apart.
    pub user: Option<u64>,
    /// From the configuration.
    pub route: Option<Arc<str>>,
    /// Of a fixed list: see [`method_word`].
    pub method: &'static str,
    /// Of the attempt that is judged; `None` when there was nobody to ask.
    pub endpoint: Option<SocketAddr>,
}

/// A failed request of stable: who, and when. The candidate's are compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedOnStable {
    pub at: Mono,
    pub network: Network,
}

/// So many failures of each version are kept.
pub const FAILURES_KEPT: usize = 256;

/// Of one rollout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// Of the candidate, newest first.
    pub failed: Vec<FailedRequest>,
    /// Newest first.
    pub failed_on_stable: Vec<FailedOnStable>,
    /// Of requests that either version answered well: the first [`SERVED_AT_FIRST`] of each, then one
    /// of [`SERVED_EACH`] of the latest.
    pub served: Vec<Network>,
}

pub const SERVED_EACH: u64 = 8;
/// The first so many of a version are all noted: until then little is known of where traffic comes from.
pub const SERVED_AT_FIRST: u64 = 64;

/// A judged request of a rollout, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timed {
    pub network: Network,
    pub took: Duration,
}

/// So many are kept of each octave of time.
pub const TIMED_EACH: usize = 32;

/// Methods that are told apart; a client could make up any number of others.
pub fn method_word(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("another method")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_one_network_are_one_and_survive_an_atomic_cell() {
        let of = |ip: &str| Network::of(ip.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        assert_eq!(of("10.1.2.3"), of("10.1.2.250"));
        assert_ne!(of("10.1.2.3"), of("10.1.3.3"));
        assert_eq!(of("::ffff:10.1.2.3"), of("10.1.2.3"));
        assert_eq!(of("2001:db8:7::1"), of("2001:db8:7:ffff::2"));
        assert_ne!(of("2001:db8:7::1"), of("2001:db8:8::1"));
        assert_eq!(of("10.1.2.3").to_string(), "10.1.2.0/24");
        assert_eq!(of("2001:db8:7::1").to_string(), "2001:db8:7::/48");
        for ip in ["0.0.0.0", "::", "255.255.255.255", "ffff::"] {
            assert_eq!(Network::from_bits(of(ip).to_bits()), Some(of(ip)));
        }
        assert_eq!(Network::from_bits(0), None);
    }
}
