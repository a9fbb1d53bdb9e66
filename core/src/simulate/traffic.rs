//! What a scenario says of traffic and versions, and what came of it.

use super::curve::Curve;
use super::dice::Dice;
use super::users::SessionKind;
use crate::ids::VersionName;
use std::time::Duration;

/// What comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    pub requests_per_second: Curve,
    pub sessions: SessionKind,
    /// Users with a session at any time.
    pub users: usize,
    /// The share of requests that are the first of somebody.
    pub new_sessions: f64,
    /// The share of requests that `rescue` may ask again.
    pub idempotent: f64,
    /// The version that gets copies, and of which share of stable's requests.
    pub shadow: Option<(VersionName, f64)>,
    /// No answer within this is a failure.
    pub timeout: Duration,
    pub heavy_users: Option<HeavyUsers>,
    pub slow_users: Option<SlowUsers>,
    /// Whose request failed asks again after a second, so many times.
    pub retries: u32,
}

/// A few who ask for much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeavyUsers {
    /// Of the users.
    pub share: f64,
    /// Of the requests.
    pub of: f64,
}

/// Those for whom every version takes so many times as long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowUsers {
    pub share: f64,
    pub times: f64,
}

impl SlowUsers {
    /// How many times as long everything takes for one user, wherever he lands.
    pub(super) fn of(self, user: u64) -> f64 {
        if Dice::new(user ^ 0x510e).chance(self.share) { self.times } else { 1.0 }
    }
}

impl Traffic {
    /// Everybody alike, with a cookie.
    pub fn usual(requests_per_second: f64) -> Self {
        Self {
            requests_per_second: Curve::constant(requests_per_second),
            sessions: SessionKind::Cookie,
            users: (requests_per_second * 10.0).ceil() as usize,
            new_sessions: 0.1,
            idempotent: 0.8,
            shadow: None,
            timeout: Duration::from_secs(30),
            heavy_users: None,
            slow_users: None,
            retries: 0,
        }
    }
}

/// How one version behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    pub version: VersionName,
    /// The share of requests that fail.
    pub errors: Curve,
    /// The share of users for whom every request fails.
    pub broken_users: Curve,
    /// Seconds.
    pub p50: Curve,
    pub p95: Curve,
    /// The share of copies that are answered differently.
    pub mismatch: Curve,
    pub endpoints: u32,
    /// The share of endpoints that are ready.
    pub ready: Curve,
    /// A business count per new session, by name: the share that ends well.
    pub signals: Vec<(String, Curve)>,
}

impl Behaviour {
    /// 40 ms, 120 ms, and one failure in a thousand.
    pub fn healthy(version: VersionName) -> Self {
        Self {
            version,
            errors: Curve::constant(0.001),
            broken_users: Curve::constant(0.0),
            p50: Curve::constant(0.04),
            p95: Curve::constant(0.12),
            mismatch: Curve::constant(0.0),
            endpoints: 2,
            ready: Curve::constant(1.0),
            signals: Vec::new(),
        }
    }
}

/// What a scenario is about in the end, over all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    pub versions: Vec<VersionTotals>,
    pub users: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionTotals {
    pub version: VersionName,
    pub requests: u64,
    pub failed: u64,
    /// Of `failed`: answered by stable after all.
    pub rescued: u64,
    /// Distinct users who saw a failure.
    pub users_hurt: u64,
}
