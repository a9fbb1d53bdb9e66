//! The simulated data plane: requests arrive, are split, take their time, end well or badly,
//! and are counted as the real one counts them: first attempts, first failures of users, what
//! is in flight, tripwire and harm cap included.

use super::dice::Dice;
use super::origins::{Ended, Origins};
use super::playing::{Flying, Playing, no_latencies};
use super::traffic::{Behaviour, Totals, Traffic, VersionTotals};
use super::users::{Sender, SessionKind, Users};
use crate::assign::Slots;
use crate::ids::{Epoch, VersionName};
use crate::lag::Stretch;
use crate::measure::{
    Population, ServiceCounts, ServiceLatencies, VersionCounts, VersionLatencies,
};
use crate::plane::Readiness;
use crate::split::Split;
use crate::time::Mono;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::time::Duration;

#[derive(Debug)]
pub struct Plane {
    traffic: Traffic,
    versions: Vec<Playing>,
    users: Users,
    dice: Dice,
    split: Split,
    slots: Slots,
    /// Since the scenario began.
    now: Duration,
    next_arrival: Duration,
    in_flight: BinaryHeap<Reverse<Flying>>,
    trip: Trip,
    epoch: Option<Epoch>,
    failed_requests: u64,
    failed_users: HashSet<u64>,
    contacts: u64,
    origins: Origins,
    /// Who asks again, and when.
    retries: BinaryHeap<Reverse<Retry>>,
    /// When the process began.
    begun: Duration,
    /// When the host was starved last.
    starved: Stretch,
}

/// Somebody whose request failed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Retry {
    at: Duration,
    place: usize,
    user: u64,
    left: u32,
}

const ASKS_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// So many times as slow is everything on a starved host.
const STARVED: f64 = 50.0;
/// How long afterwards threads that were late are not believed.
pub(super) const WORKED_OFF_IN: Duration = Duration::from_secs(2);

/// The run of candidate failures since the last publication.
#[derive(Debug, Clone, Copy, Default)]
struct Trip {
    run: u32,
    tripped: bool,
}

impl Plane {
    pub fn new(traffic: Traffic, behaviours: Vec<Behaviour>, split: Split, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let users = Users::new(
            traffic.sessions,
            traffic.users,
            traffic.new_sessions,
            &split.stable,
            &mut dice,
        );
        let mut plane = Self {
            versions: behaviours.into_iter().map(Playing::new).collect(),
            slots: Slots::new(&split.weights),
            epoch: split.rollout.as_ref().map(|r| r.epoch),
            traffic,
            users,
            dice,
            split,
            now: Duration::ZERO,
            next_arrival: Duration::ZERO,
            in_flight: BinaryHeap::new(),
            trip: Trip::default(),
            failed_requests: 0,
            failed_users: HashSet::new(),
            contacts: 0,
            origins: Origins::default(),
            retries: BinaryHeap::new(),
            begun: Duration::ZERO,
            starved: Stretch::default(),
        };
        plane.schedule();
        plane
    }

    /// Obeyed by every request from now on. The tripwire is lifted; a new epoch counts anew.
    pub fn publish(&mut self, split: &Split) {
        self.trip = Trip::default();
        let epoch = split.rollout.as_ref().map(|r| r.epoch);
        if epoch.is_some() && epoch != self.epoch {
            self.epoch = epoch;
            self.failed_requests = 0;
            self.failed_users.clear();
            self.origins.begin();
            self.versions.iter_mut().for_each(|v| v.first_bad.clear());
        }
        self.slots = Slots::new(&split.weights);
        self.split = split.clone();
    }

    /// Plays everything up to a moment of the scenario.
    pub fn advance(&mut self, to: Duration) {
        loop {
            let retry = self.retries.peek().map(|Reverse(retry)| retry.at);
            let next = retry.map_or(self.next_arrival, |at| at.min(self.next_arrival));
            if next > to {
                break;
            }
            self.now = next.max(self.now);
            self.land(self.now);
            if retry.is_some_and(|at| at <= self.now) {
                self.ask_again();
            } else if self.next_arrival <= self.now {
                let sender = self.users.next(self.traffic.heavy_users, &mut self.dice);
                self.arrive(sender, self.traffic.retries);
                self.schedule();
            }
        }
        self.now = to;
        self.land(to);
    }

    /// Nobody on this host gets processor time for a while.
    pub fn starve(&mut self, from: Duration, lasts: Duration) {
        let until = micros(from + lasts + WORKED_OFF_IN);
        self.starved = Stretch { from: micros(from), until };
    }

    fn is_spoilt(&self, began: Duration, now: Duration) -> bool {
        self.starved.spoils(micros(began), micros(now))
    }

    /// The process dies and comes back at `at`: nobody is served, counters begin anew, and what
    /// users remember stays with them.
    pub fn restart(&mut self, at: Duration) {
        self.in_flight.clear();
        self.trip = Trip::default();
        self.failed_requests = 0;
        self.failed_users.clear();
        self.origins.begin();
        self.begun = at;
        for playing in &mut self.versions {
            let version = playing.behaviour.version.clone();
            playing.counts = VersionCounts::new(version.clone());
            playing.latencies = no_latencies(version);
            playing.first_bad.clear();
        }
        self.now = at;
        self.next_arrival = at;
        self.schedule();
    }

    pub fn counts(&mut self) -> ServiceCounts {
        let tripped = self.trip.tripped;
        let candidate = self.split.candidate();
        let counts = |playing: &Playing| VersionCounts {
            tripped: tripped && candidate == Some(&playing.behaviour.version),
            ..playing.counts.clone()
        };
        ServiceCounts {
            checks_overruled: false,
            versions: self.versions.iter().map(counts).collect(),
            failed_requests: self.failed_requests,
            failed_users: self.failed_users.len() as u64,
            sources: self.split.rollout.is_some().then(|| self.origins.shown()),
        }
    }

    pub fn latencies(&self) -> ServiceLatencies {
        let mut versions: Vec<VersionLatencies> =
            self.versions.iter().map(|playing| playing.latencies.clone()).collect();
        for Reverse(flying) in &self.in_flight {
            if flying.judged && !self.is_spoilt(flying.began, self.now) {
                versions[flying.version].waiting.record(self.now - flying.began);
            }
        }
        ServiceLatencies { versions }
    }

    pub fn readiness(&self) -> Vec<Readiness> {
        let ready = |playing: &Playing| {
            let total = playing.behaviour.endpoints;
            let ready = (playing.behaviour.ready.at(self.now) * f64::from(total)).round() as u32;
            Readiness::new(playing.behaviour.version.clone(), ready, total)
        };
        self.versions.iter().map(ready).collect()
    }

    /// What was counted for business since it was asked last: version, name, good, total.
    pub fn take_signals(&mut self) -> Vec<(VersionName, String, u64, u64)> {
        let mut taken = Vec::new();
        for playing in &mut self.versions {
            for (name, good, total) in playing.signals.iter_mut().filter(|s| s.2 > 0) {
                let version = playing.behaviour.version.clone();
                taken.push((version, name.clone(), *good, *total));
                (*good, *total) = (0, 0);
            }
        }
        taken
    }

    pub fn totals(&self) -> Totals {
        let of = |playing: &Playing| VersionTotals {
            users_hurt: playing.hurt.len() as u64,
            ..playing.totals.clone()
        };
        Totals {
            versions: self.versions.iter().map(of).collect(),
            users: self.traffic.users as u64 + self.contacts,
        }
    }

    fn schedule(&mut self) {
        let rate = self.traffic.requests_per_second.at(self.now).max(1e-6);
        // A curve may rise meanwhile: look again after a second.
        let wait = self.dice.wait(rate);
        let from = self.next_arrival.max(self.now);
        self.next_arrival = from + Duration::from_secs_f64(wait.min(3_600.0));
    }

    fn ask_again(&mut self) {
        let Some(Reverse(retry)) = self.retries.pop() else { return };
        if let Some(sender) = self.users.again(retry.place, retry.user) {
            self.arrive(sender, retry.left);
        }
    }

    fn arrive(&mut self, sender: Sender, retries: u32) {
        self.contacts += u64::from(sender.first_contact);
        let choice = self.users.choose(sender, &self.split, &self.slots, &mut self.dice);
        let chosen = self.split.weights.parts().get(usize::from(choice.part));
        let Some(chosen) = chosen.map(|(version, _)| version.clone()) else { return };
        let is_candidate = self.split.candidate() == Some(&chosen);
        let held_back = is_candidate && (self.trip.tripped || !self.admits());
        let version = if held_back { self.split.stable.clone() } else { chosen };
        let Some(at) = self.versions.iter().position(|v| v.behaviour.version == version) else {
            return;
        };
        if sender.first_contact {
            self.versions[at].visit(self.now, &mut self.dice);
        }
        let judged = choice.population == Population::Judged && !held_back;
        self.fly(at, sender, retries, judged);
        if version == self.split.stable {
            self.copy();
        }
    }

    /// The harm cap: what failed and what could still fail stay within it.
    fn admits(&self) -> bool {
        let Some(rollout) = &self.split.rollout else { return true };
        let candidate = &rollout.candidate;
        let flying = |v: &Playing| v.behaviour.version == *candidate;
        let in_flight = self.versions.iter().find(|v| flying(v)).map_or(0, |v| v.counts.in_flight);
        let ceiling = rollout.harm_ceiling;
        let users = self.failed_users.len() as u64;
        ceiling.failed_requests.is_none_or(|most| self.failed_requests + in_flight < most)
            && ceiling.users.is_none_or(|most| users + in_flight < most)
    }

    fn fly(&mut self, at: usize, sender: Sender, retries: u32, judged: bool) {
        let user = sender.key;
        let (now, timeout) = (self.now, self.traffic.timeout);
        let playing = &mut self.versions[at];
        let slow_until = self.starved.until.saturating_sub(micros(WORKED_OFF_IN));
        let starved = if micros(now) < slow_until { STARVED } else { 1.0 };
        let slower = starved * self.traffic.slow_users.map_or(1.0, |slow| slow.of(user));
        let (takes, bad) = playing.answer((now, slower), user, timeout, &mut self.dice);
        playing.counts.in_flight += 1;
        playing.totals.requests += 1;
        let ends = now + takes;
        let place = sender.at;
        let flying = Flying { ends, began: now, version: at, user, place, retries, bad, judged };
        self.in_flight.push(Reverse(flying));
    }

    fn land(&mut self, until: Duration) {
        while let Some(Reverse(flying)) = self.in_flight.peek() {
            if flying.ends > until {
                break;
            }
            if let Some(Reverse(flying)) = self.in_flight.pop() {
                self.count(&flying);
            }
        }
    }

    fn count(&mut self, flying: &Flying) {
        let rescued = flying.bad && self.rescues(flying);
        let spoilt = self.is_spoilt(flying.began, flying.ends);
        let timed_out = flying.ends.saturating_sub(flying.began) >= self.traffic.timeout;
        let playing = &mut self.versions[flying.version];
        if spoilt && timed_out {
            return playing.excuse(flying);
        }
        let is_candidate = self.split.candidate() == Some(&playing.behaviour.version);
        let known = self.traffic.sessions != SessionKind::None;
        playing.land(flying, known, (rescued, spoilt));
        if flying.judged && self.split.rollout.is_some() {
            let at = Mono(0).plus(flying.ends.saturating_sub(self.begun));
            self.origins.note(flying, Ended { at, on_candidate: is_candidate, known });
        }
        if flying.bad && !rescued && flying.retries > 0 {
            let (at, left) = (flying.ends + ASKS_AGAIN_AFTER, flying.retries - 1);
            let (place, user) = (flying.place, flying.user);
            self.retries.push(Reverse(Retry { at, place, user, left }));
        }
        if !is_candidate {
            return;
        }
        if !flying.bad {
            self.trip.run = 0;
            return;
        }
        self.trip.run += 1;
        self.failed_requests += 1;
        self.failed_users.insert(flying.user);
        let Some(rollout) = &self.split.rollout else { return };
        let run = self.trip.run;
        self.trip.tripped |= rollout.tripwire.is_some_and(|length| run >= length.get());
    }

    fn rescues(&mut self, flying: &Flying) -> bool {
        let version = &self.versions[flying.version].behaviour.version;
        let asked =
            self.split.rollout.as_ref().is_some_and(|r| r.rescue && r.candidate == *version);
        let stable = &self.split.stable;
        let stable = self.versions.iter().find(|v| v.behaviour.version == *stable);
        let fails = stable.map_or(1.0, |v| v.behaviour.errors.at(self.now));
        asked && self.dice.chance(self.traffic.idempotent) && !self.dice.chance(fails)
    }

    /// Copies only ever go from stable's requests.
    fn copy(&mut self) {
        let Some((to, share)) = &self.traffic.shadow else { return };
        if !self.dice.chance(*share) {
            return;
        }
        let Some(playing) = self.versions.iter_mut().find(|v| v.behaviour.version == *to) else {
            return;
        };
        if self.dice.chance(playing.behaviour.errors.at(self.now)) {
            playing.counts.shadow_failed += 1;
            return;
        }
        playing.counts.shadow_compared += 1;
        let differs = self.dice.chance(playing.behaviour.mismatch.at(self.now));
        playing.counts.shadow_mismatched += u64::from(differs);
    }
}

fn micros(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}
