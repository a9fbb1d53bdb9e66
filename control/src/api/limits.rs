//! How much of this process one client may take.
//!
//! The admin address is small on purpose: it must answer an operator while the data plane is
//! under attack, and nobody who talks to it may cost memory or threads without bound.

use super::auth::Peer;
use super::places::Bounds;
use super::problem::{Kind, Problem};
use axum::http::{HeaderValue, StatusCode, header};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Of the connections at a time. Half of them may be event streams, the rest stays free for questions
/// and commands; 32 are for newcomers and probes, whatever the others do.
pub(super) const BOUNDS: Bounds = Bounds {
    open: 256,
    open_per_address: 96,
    answering: 224,
    streams: 128,
    streams_per_address: 48,
};
/// From accept to the first byte: whoever connects has something to say.
pub(crate) const FIRST_BYTE: Duration = Duration::from_secs(2);
/// Of TLS, as a whole.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(5);
/// Of a request head, and the size of each connection's read buffer.
pub(crate) const MAX_HEAD: usize = 32 * 1024;
/// From the first byte of a head to its last, and between two requests.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(10);
/// For a whole body.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(10);
/// A client that takes no byte for this long is gone.
pub(crate) const WRITE_STALL: Duration = Duration::from_secs(10);
/// For an answer to be made, once the body is here.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Of a request body; a configuration to check may be as large as [`MAX_CONFIG`].
pub(crate) const MAX_BODY: usize = 64 * 1024;
pub(crate) const MAX_CONFIG: usize = 4 * 1024 * 1024;
/// Configurations that are read and checked at a time: each takes many times its size.
pub(crate) const MAX_CHECKS: usize = 2;

/// Requests per second and address, and how many may come at once.
const RATE: f64 = 200.0;
const BURST: f64 = 400.0;
/// Addresses that are told apart; all others share one allowance.
const ADDRESSES: usize = 1024;

/// An allowance of requests per client address.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    by_address: HashMap<IpAddr, Bucket>,
    others: Option<Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// Takes one request from the peer's allowance. Whoever may open the unix socket is trusted
    /// not to flood it.
    pub(crate) fn admit(&self, peer: Peer, now: Instant) -> Result<(), Problem> {
        let Peer::Tcp { remote, .. } = peer else { return Ok(()) };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = buckets.of(network(remote.ip()), now).take(now);
        match missing {
            None => Ok(()),
            Some(wait) => Err(too_many(wait)),
        }
    }
}

impl Buckets {
    fn of(&mut self, address: IpAddr, now: Instant) -> &mut Bucket {
        let full = Bucket { left: BURST, at: now };
        if self.by_address.len() >= ADDRESSES && !self.by_address.contains_key(&address) {
            self.by_address.retain(|_, bucket| bucket.refilled(now) < BURST);
            if self.by_address.len() >= ADDRESSES {
                return self.others.get_or_insert(full);
            }
        }
        self.by_address.entry(address).or_insert(full)
    }
}

impl Bucket {
    fn refilled(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + since * RATE).min(BURST)
    }

    /// Takes one, or says how long until there is one.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        self.left = self.refilled(now);
        self.at = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64((1.0 - self.left) / RATE))
    }
}

/// One IPv6 customer has a /64 of addresses.
pub(super) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
    }
}

fn too_many(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + 1;
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        Kind::TooMany,
        format!("more than {RATE} requests per second from one address; try again in {seconds} s"),
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(ip: &str) -> Peer {
        let remote = std::net::SocketAddr::new(ip.parse().unwrap(), 1);
        Peer::Tcp { remote, local: remote }
    }

    #[test]
    fn a_burst_is_admitted_then_refused_then_admitted_at_the_rate() {
        let (rates, start) = (Rates::default(), Instant::now());
        let admitted = (0..1000).filter(|_| rates.admit(from("10.0.0.1"), start).is_ok()).count();
        assert_eq!(admitted, 400);
        assert!(rates.admit(from("10.0.0.2"), start).is_ok(), "another address has its own");
        let later = start + Duration::from_millis(50);
        let admitted = (0..1000).filter(|_| rates.admit(from("10.0.0.1"), later).is_ok()).count();
        assert_eq!(admitted, 10);
    }

    #[test]
    fn many_addresses_take_bounded_memory_and_share_what_is_left() {
        let (rates, now) = (Rates::default(), Instant::now());
        let admitted = (0..10_000u32)
            .filter(|i| rates.admit(from(&std::net::Ipv4Addr::from(*i).to_string()), now).is_ok())
            .count();
        assert_eq!(admitted, ADDRESSES + 400);
        assert_eq!(rates.buckets.lock().unwrap().by_address.len(), ADDRESSES);
    }

    #[test]
    fn a_v6_customer_has_one_allowance() {
        let (rates, now) = (Rates::default(), Instant::now());
        let admitted = (0..1000)
            .filter(|i| rates.admit(from(&format!("2001:db8::{i:x}")), now).is_ok())
            .count();
        assert_eq!(admitted, 400);
    }
}
