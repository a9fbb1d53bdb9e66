//! Requests per second, per route or per client, in one word each.
//!
//! The rate is a token bucket that holds one second's worth, kept as the moment at which it will
//! be full again (the generic cell rate algorithm): one compare-and-swap per request, no timer,
//! and a bucket whose moment has passed is the same as one that was never there. That is why
//! clients need no list of their own: they share a table of fixed size, in which a client may
//! take the place of one whose bucket is full, or, when all places of its row are in use, of the
//! one that is nearest to it. A million addresses cost what ten do.

use serin_config::model;
use serin_core::assign::key_of;
use serin_core::ids::RouteName;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A rate in the unit of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds that one request costs.
    cost: u64,
}

const SECOND: u64 = 1_000_000;

impl Rate {
    /// A rate of 0 lets one request a second through.
    pub fn per_second(requests: u32) -> Self {
        Self { cost: (SECOND / u64::from(requests.max(1))).max(1) }
    }

    /// The bucket after one more request: when it will be full again, or how long to wait.
    fn take(self, full_at: u64, now: u64) -> Result<u64, Duration> {
        let next = full_at.max(now) + self.cost;
        // A whole second fits, whatever the rounding of the cost.
        let room = now + SECOND.max(self.cost);
        if next <= room { Ok(next) } else { Err(Duration::from_micros(next - room)) }
    }
}

/// The limit of one route.
#[derive(Debug)]
pub enum RateLimiter {
    Route { rate: Rate, full_at: Arc<AtomicU64> },
    Client { rate: Rate, route: u64, clients: Arc<ClientRates> },
}

impl RateLimiter {
    /// A limit that a reload leaves alone goes on where it is.
    pub(super) fn new(
        route: &RouteName,
        limit: &model::RateLimit,
        clients: &Arc<ClientRates>,
        previous: Option<&RateLimiter>,
    ) -> Self {
        let rate = Rate::per_second(limit.per_second);
        match limit.per {
            model::RatePer::Route => {
                let full_at = match previous {
                    Some(Self::Route { full_at, .. }) => Arc::clone(full_at),
                    Some(Self::Client { .. }) | None => Arc::default(),
                };
                Self::Route { rate, full_at }
            }
            model::RatePer::ClientIp => Self::Client {
                rate,
                route: key_of(route.as_str().as_bytes()),
                clients: Arc::clone(clients),
            },
        }
    }

    /// Lets a request through, or says how long its client should wait. `now` is in microseconds
    /// of [`crate::clock::micros`].
    pub fn admit(&self, client: IpAddr, now: u64) -> Result<(), Duration> {
        match self {
            Self::Route { rate, full_at } => {
                let mut seen = full_at.load(Relaxed);
                loop {
                    let next = rate.take(seen, now)?;
                    match full_at.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                        Ok(_) => return Ok(()),
                        Err(newer) => seen = newer,
                    }
                }
            }
            Self::Client { rate, route, clients } => {
                clients.admit(*rate, route ^ key_of(&network_of(client)), now)
            }
        }
    }
}

/// An IPv6 client owns a /64.
fn network_of(client: IpAddr) -> [u8; 9] {
    let mut bytes = [0; 9];
    match client.to_canonical() {
        IpAddr::V4(v4) => bytes[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => {
            bytes[0] = 6;
            bytes[1..].copy_from_slice(&v6.octets()[..8]);
        }
    }
    bytes
}

const WAYS: usize = 8;
const TAG_BITS: u32 = 24;
/// Moments are kept modulo 2^40 µs, twelve days; a bucket is never further ahead than a second,
/// so anything else is past.
const TIME_BITS: u32 = 64 - TAG_BITS;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// The buckets of all clients of all routes.
#[derive(Debug)]
pub struct ClientRates {
    /// Keyed anew in each process, so that nobody can choose to share a place with another.
    seed: u64,
    rows: usize,
    /// Made with the first limited request: 2 MiB that most configurations never need.
    cells: OnceLock<Box<[AtomicU64]>>,
}

impl ClientRates {
    pub fn new(seed: u64) -> Self {
        Self { seed, rows: 1 << 15, cells: OnceLock::new() }
    }

    fn admit(&self, rate: Rate, client: u64, now: u64) -> Result<(), Duration> {
        let hash = key_of(&(client ^ self.seed).to_le_bytes());
        let cells =
            self.cells.get_or_init(|| (0..self.rows * WAYS).map(|_| AtomicU64::new(0)).collect());
        let row = (hash as usize % self.rows) * WAYS;
        // Tag 0 is an empty place.
        let tag = (hash >> (64 - TAG_BITS)).max(1);
        let row = &cells[row..row + WAYS];
        loop {
            let (cell, seen) = place(row, tag, now);
            let full_at = if seen >> TIME_BITS == tag { now + ahead(seen, now) } else { now };
            let next = rate.take(full_at, now)?;
            let word = tag << TIME_BITS | next & TIME_MASK;
            if cell.compare_exchange(seen, word, Relaxed, Relaxed).is_ok() {
                return Ok(());
            }
        }
    }
}

/// The client's own place, or the one whose owner loses least by giving it up.
fn place(row: &[AtomicU64], tag: u64, now: u64) -> (&AtomicU64, u64) {
    let mut best = (&row[0], row[0].load(Relaxed));
    for cell in row {
        let seen = cell.load(Relaxed);
        if seen >> TIME_BITS == tag {
            return (cell, seen);
        }
        if ahead(seen, now) < ahead(best.1, now) {
            best = (cell, seen);
        }
    }
    best
}

/// How far in the future a bucket will be full; 0 when it is.
fn ahead(word: u64, now: u64) -> u64 {
    let ahead = (word & TIME_MASK).wrapping_sub(now) & TIME_MASK;
    // The longest a bucket can be ahead: a second, and one request of a rate of one.
    if ahead <= 2 * SECOND { ahead } else { 0 }
}
