//! The choice of an endpoint for one attempt.
//!
//! Round robin walks one cursor that all threads share; what it passes over is used up, so the
//! one behind a missing endpoint gets no double share. Least request compares two endpoints
//! drawn at random, which is nearly as even as comparing all and costs the same with two as with
//! a thousand. One that has just joined is drawn less often, and what it has in flight counts for
//! more. One of a higher weight has more turns ([`super::rota`]), and those of a priority come when the
//! one before has nobody.

use super::endpoint::Endpoint;
use super::group::{Group, Unavailable};
use super::rota::Tier;
use super::slow_start;
use serin_config::model::LoadBalancing;
use serin_core::outcome::Ending;
use serin_core::time::Mono;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// An endpoint lent for one attempt. It counts as in flight until this is dropped.
#[derive(Debug)]
pub struct Lease {
    pub(super) group: Arc<Group>,
    pub(super) endpoint: Arc<Endpoint>,
    began: Mono,
}

impl Lease {
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// How long it was waited for by then.
    pub fn waited(&self, until: Mono) -> Duration {
        until.since(self.began)
    }

    /// Gives it back with what came of the attempt, and how long its head was waited for. Dropping it
    /// instead says nothing about the endpoint.
    pub fn finish(self, ending: Ending, waited: Duration, now: Mono) {
        self.group.report(&self.endpoint, ending, waited, now);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.leave();
    }
}

/// Draws that may fail before the members are searched one by one.
const DRAWS: u32 = 8;

impl Group {
    /// Lends an endpoint. `exclude` is the one that has just failed; it is taken only when there is
    /// no other.
    pub fn pick(
        self: &Arc<Self>,
        random: u64,
        exclude: Option<&Endpoint>,
        now: Mono,
    ) -> Result<Lease, Unavailable> {
        let rota = self.members();
        let mut nobody = Unavailable::Unresolved;
        for tier in rota.tiers_from(now) {
            let mut draw = Draw { group: self, tier, exclude, now, random };
            match draw.one() {
                Ok(endpoint) => return Ok(self.lend(endpoint, now)),
                // That some are only busy says more than that others are not ready.
                Err(why) if nobody != Unavailable::AllBusy => nobody = why,
                Err(_) => {}
            }
        }
        Err(nobody)
    }

    fn lend(self: &Arc<Self>, endpoint: &Arc<Endpoint>, began: Mono) -> Lease {
        Lease { group: Arc::clone(self), endpoint: Arc::clone(endpoint), began }
    }
}

struct Draw<'a> {
    group: &'a Group,
    tier: Tier<'a>,
    exclude: Option<&'a Endpoint>,
    now: Mono,
    random: u64,
}

impl<'a> Draw<'a> {
    fn one(&mut self) -> Result<&'a Arc<Endpoint>, Unavailable> {
        let picked = match self.group.policy.balancing {
            LoadBalancing::RoundRobin => self.in_turn(),
            LoadBalancing::LeastRequest => self.less_busy(),
        };
        match picked.filter(|endpoint| endpoint.enter(&self.group.policy, self.now)) {
            Some(endpoint) => Ok(endpoint),
            None => self.any(),
        }
    }

    fn in_turn(&mut self) -> Option<&'a Arc<Endpoint>> {
        let turns = self.tier.turns();
        if turns == 0 {
            return None;
        }
        for _ in 0..turns + DRAWS as usize {
            let turn = self.group.cursor.fetch_add(1, Relaxed);
            let endpoint = self.tier.at(turn % turns);
            if self.takes(endpoint) && self.lets_start(endpoint) {
                return Some(endpoint);
            }
        }
        None
    }

    fn less_busy(&mut self) -> Option<&'a Arc<Endpoint>> {
        let first = self.drawn(None)?;
        match self.drawn(Some(first)) {
            Some(second) if self.load(second) < self.load(first) => Some(second),
            Some(_) | None => Some(first),
        }
    }

    fn drawn(&mut self, other_than: Option<&Arc<Endpoint>>) -> Option<&'a Arc<Endpoint>> {
        if self.tier.members.len() < 2 && other_than.is_some() {
            return None;
        }
        for _ in 0..DRAWS {
            let at = self.below(self.tier.turns())?;
            let endpoint = self.tier.at(at);
            let again = other_than.is_some_and(|other| Arc::ptr_eq(other, endpoint));
            if !again && self.takes(endpoint) && self.lets_start(endpoint) {
                return Some(endpoint);
            }
        }
        None
    }

    /// Whoever is ready and has room, from a random place on; the excluded one last.
    fn any(&mut self) -> Result<&'a Arc<Endpoint>, Unavailable> {
        let (policy, members) = (&self.group.policy, self.tier.members);
        let Some(start) = self.below(members.len()) else {
            return Err(Unavailable::Unresolved);
        };
        let around = || members[start..].iter().chain(&members[..start]);
        let others = around().filter(|endpoint| self.takes(endpoint));
        let last = around().filter(|endpoint| !self.takes(endpoint) && self.is_ready(endpoint));
        match others.chain(last).find(|endpoint| endpoint.enter(policy, self.now)) {
            Some(endpoint) => Ok(endpoint),
            None if around().any(|endpoint| self.is_ready(endpoint)) => Err(Unavailable::AllBusy),
            None => Err(Unavailable::NoneReady),
        }
    }

    fn is_ready(&self, endpoint: &Endpoint) -> bool {
        self.group.is_ready(endpoint, self.now)
    }

    fn takes(&self, endpoint: &Endpoint) -> bool {
        self.is_ready(endpoint) && !self.exclude.is_some_and(|e| std::ptr::eq(e, endpoint))
    }

    fn lets_start(&mut self, endpoint: &Endpoint) -> bool {
        let factor = self.factor(endpoint);
        factor >= 1.0 || self.unit() < factor
    }

    fn factor(&self, endpoint: &Endpoint) -> f64 {
        match endpoint.joined.load(Relaxed) {
            0 => 1.0,
            joined => {
                slow_start::factor(self.now.since(Mono(joined)), self.group.policy.slow_start)
            }
        }
    }

    fn load(&self, endpoint: &Endpoint) -> f64 {
        f64::from(endpoint.in_flight()) / (self.factor(endpoint) * f64::from(endpoint.weight()))
    }

    /// A number below `bound`; `None` when there is none.
    fn below(&mut self, bound: usize) -> Option<usize> {
        let high = u64::from((self.step() >> 32) as u32);
        (bound > 0).then(|| ((high * bound as u64) >> 32) as usize)
    }

    fn unit(&mut self) -> f64 {
        (self.step() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// More numbers from the one that was given (splitmix64).
    fn step(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
