//! One version as it is played, and what a request to it becomes.

use super::dice::Dice;
use super::traffic::{Behaviour, VersionTotals};
use crate::ids::VersionName;
use crate::measure::{Histogram, VersionCounts, VersionLatencies};
use std::collections::HashSet;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Playing {
    pub(super) behaviour: Behaviour,
    pub(super) counts: VersionCounts,
    pub(super) latencies: VersionLatencies,
    pub(super) first_bad: HashSet<u64>,
    pub(super) hurt: HashSet<u64>,
    pub(super) totals: VersionTotals,
    pub(super) signals: Vec<(String, u64, u64)>,
}

/// Ordered by when it ends.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flying {
    pub(super) ends: Duration,
    pub(super) began: Duration,
    pub(super) version: usize,
    pub(super) user: u64,
    /// His place among the users, and how often he would ask again.
    pub(super) place: usize,
    pub(super) retries: u32,
    pub(super) bad: bool,
    pub(super) judged: bool,
}

impl Playing {
    pub(super) fn new(behaviour: Behaviour) -> Self {
        let version = behaviour.version.clone();
        Self {
            counts: VersionCounts::new(version.clone()),
            latencies: no_latencies(version.clone()),
            first_bad: HashSet::new(),
            hurt: HashSet::new(),
            signals: behaviour.signals.iter().map(|(name, _)| (name.clone(), 0, 0)).collect(),
            totals: VersionTotals { version, requests: 0, failed: 0, rescued: 0, users_hurt: 0 },
            behaviour,
        }
    }

    /// How long it takes, on a host that is so many times slower than usual, and whether it fails.
    pub(super) fn answer(
        &self,
        (now, slower): (Duration, f64),
        user: u64,
        timeout: Duration,
        dice: &mut Dice,
    ) -> (Duration, bool) {
        let broken = self.behaviour.broken_users.at(now);
        let is_broken = broken > 0.0 && Dice::new(user ^ 0x5eed).chance(broken);
        let fails = is_broken || dice.chance(self.behaviour.errors.at(now));
        let (p50, p95) = (self.behaviour.p50.at(now), self.behaviour.p95.at(now));
        // A lognormal through both: 1.645 standard deviations lie between them.
        let sigma = (p95 / p50).max(1.0).ln() / 1.645;
        let takes = slower * p50 * (sigma * dice.normal()).exp();
        let takes = Duration::try_from_secs_f64(takes).unwrap_or(timeout);
        let none_ready = self.behaviour.ready.at(now) <= 0.0;
        if none_ready {
            return (Duration::ZERO, true);
        }
        if takes >= timeout { (timeout, true) } else { (takes, fails) }
    }

    pub(super) fn visit(&mut self, now: Duration, dice: &mut Dice) {
        for ((_, curve), (_, good, total)) in self.behaviour.signals.iter().zip(&mut self.signals) {
            *total += 1;
            *good += u64::from(dice.chance(curve.at(now)));
        }
    }

    /// It timed out while nobody could have looked in time: nobody's failure, and one all the same for
    /// whoever asked.
    pub(super) fn excuse(&mut self, flying: &Flying) {
        self.counts.in_flight = self.counts.in_flight.saturating_sub(1);
        let counts = &mut self.counts;
        let tally = if flying.judged { &mut counts.judged } else { &mut counts.rest };
        tally.excluded += 1;
        self.totals.failed += 1;
        self.hurt.insert(flying.user);
    }

    /// Where users cannot be told apart, every failure is somebody's first.
    pub(super) fn land(&mut self, flying: &Flying, known: bool, (rescued, spoilt): (bool, bool)) {
        self.counts.in_flight = self.counts.in_flight.saturating_sub(1);
        let (tally, latencies) = if flying.judged {
            (&mut self.counts.judged, &mut self.latencies.judged)
        } else {
            (&mut self.counts.rest, &mut self.latencies.rest)
        };
        // What a late process measured says nothing; what was answered does.
        if !spoilt {
            latencies.record(flying.ends - flying.began);
        }
        if !flying.bad {
            tally.good += 1;
            return;
        }
        tally.bad += 1;
        tally.first_bad += u64::from(!known || self.first_bad.insert(flying.user));
        self.totals.failed += 1;
        self.totals.rescued += u64::from(rescued);
        if !rescued {
            self.hurt.insert(flying.user);
        }
    }
}

pub(super) fn no_latencies(version: VersionName) -> VersionLatencies {
    VersionLatencies {
        version,
        judged: Histogram::default(),
        rest: Histogram::default(),
        waiting: Histogram::default(),
        timed: Vec::new(),
        waiting_timed: Vec::new(),
    }
}
