//! A service in its first step, with counts, latencies and origins as the data plane makes them.

use super::super::world::*;
use core::net::{IpAddr, Ipv4Addr};
use serin_core::measure::{
    FAILURES_KEPT, FailedOnStable, FailedRequest, Histogram, Network, SERVED_AT_FIRST, SERVED_EACH,
    ServiceCounts, ServiceLatencies, Sources, TIMED_EACH, Timed, VersionCounts, VersionLatencies,
    bucket_of,
};
use serin_core::rollout::*;
use serin_core::slo::Objectives;
use serin_core::time::{Mono, Now};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(super) const TICK: Duration = Duration::from_millis(20);
pub(super) const STABLE: usize = 0;
pub(super) const CANDIDATE: usize = 1;
const TICKS_A_SECOND: u64 = 50;
/// Buckets of a histogram.
const OCTAVE: usize = 64;

pub(super) fn network(n: u64) -> Network {
    Network::of(IpAddr::V4(Ipv4Addr::from((n as u32) << 8)))
}

pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x5851_f42d_4c95_7f2d))
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mostly 40 ms, and 120 ms once in twenty.
    pub(super) fn usual_time(&mut self) -> Duration {
        let normal =
            (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        Duration::from_secs_f64(0.04 * (0.67 * normal).exp())
    }
}

/// One request, and what becomes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) network: Network,
    pub(super) user: Option<u64>,
    pub(super) bad: bool,
    pub(super) took: Duration,
}

/// Networks of one version's good requests, as its ring keeps them.
#[derive(Default)]
struct Served {
    seen: u64,
    ring: VecDeque<Network>,
}

impl Served {
    fn good(&mut self, good: u64, network: Network) {
        if self.seen < SERVED_AT_FIRST || good.is_multiple_of(SERVED_EACH) {
            self.seen += 1;
            self.ring.push_back(network);
            if self.ring.len() > 512 {
                self.ring.pop_front();
            }
        }
    }
}

/// One version's latencies.
struct Times {
    all: VersionLatencies,
    octaves: BTreeMap<usize, VecDeque<Timed>>,
}

impl Times {
    fn new(of: Identity) -> Self {
        let empty = Histogram::default;
        let (judged, rest, waiting) = (empty(), empty(), empty());
        let (timed, waiting_timed) = (Vec::new(), Vec::new());
        let version = of.version;
        let all = VersionLatencies { version, judged, rest, waiting, timed, waiting_timed };
        Self { all, octaves: BTreeMap::new() }
    }

    fn add(&mut self, request: Request) {
        let Request { network, took, .. } = request;
        self.all.judged.record(took);
        let octave = bucket_of(took.as_micros() as u64) / OCTAVE;
        let kept = self.octaves.entry(octave).or_default();
        kept.push_front(Timed { network, took });
        kept.truncate(TIMED_EACH);
    }

    fn shown(&self) -> VersionLatencies {
        let timed = self.octaves.values().flatten().copied().collect();
        VersionLatencies { timed, ..self.all.clone() }
    }
}

pub(super) struct Service {
    pilot: Pilot,
    counts: ServiceCounts,
    times: [Times; 2],
    served: [Served; 2],
    failed: Vec<FailedRequest>,
    failed_on_stable: Vec<FailedOnStable>,
    users: std::collections::HashSet<(usize, u64)>,
    now: Now,
    ticks: u64,
    pub(super) warnings: Vec<String>,
}

impl Service {
    /// `guards` may change what is limited; by default more than 1% of 30 s.
    pub(super) fn new(weight: f64, guards: impl FnOnce(&mut Vec<Guard>)) -> Self {
        let whole = (weight * 10_000.0) as u16;
        let mut plan = plan();
        plan.guards.truncate(1);
        guards(&mut plan.guards);
        plan.harm = Harm::default();
        for step in &mut plan.steps {
            step.weight = step.weight.max(bp(whole));
        }
        plan.steps.dedup_by_key(|step| step.weight);
        let mut terms = terms(plan);
        terms.objectives = Objectives::default();
        let pilot = Pilot::new(Arc::new(terms), Position::at_rest(stable()), Mono(0));
        let mut counts = ServiceCounts {
            versions: [stable(), candidate()].map(|of| VersionCounts::new(of.version)).to_vec(),
            ..ServiceCounts::default()
        };
        counts.versions[STABLE].judged.good = 100_003;
        let mut service = Self {
            pilot,
            counts,
            times: [stable(), candidate()].map(Times::new),
            served: Default::default(),
            failed: Vec::new(),
            failed_on_stable: Vec::new(),
            users: Default::default(),
            now: Now { mono: Mono(1_000), wall: wall("2026-11-24T14:30") },
            ticks: 0,
            warnings: Vec::new(),
        };
        service.tick();
        let started = service.pilot.command(&start(), &Conditions::default(), service.now).unwrap();
        service.pilot.commit(started.next);
        while service.pilot.position().active().unwrap().weight == bp(0) {
            service.tick();
        }
        service
    }

    /// Nothing while it has stepped aside.
    pub(super) fn weight(&self) -> f64 {
        self.pilot.position().active().map_or(0.0, |rollout| rollout.weight.ratio())
    }

    pub(super) fn request(&mut self, which: usize, request: Request) {
        self.times[which].add(request);
        let Request { network, user, bad, .. } = request;
        let tally = &mut self.counts.versions[which].judged;
        if !bad {
            tally.good += 1;
            return self.served[which].good(tally.good, network);
        }
        tally.bad += 1;
        tally.first_bad += u64::from(user.is_none_or(|user| self.users.insert((which, user))));
        let at = self.now.mono;
        if which == STABLE {
            self.failed_on_stable.insert(0, FailedOnStable { at, network });
            self.failed_on_stable.truncate(FAILURES_KEPT);
            return;
        }
        self.counts.failed_requests += 1;
        let (route, method, endpoint) = (None, "GET", None);
        self.failed.insert(0, FailedRequest { at, network, user, route, method, endpoint });
        self.failed.truncate(FAILURES_KEPT);
    }

    /// By which rule the candidate loses its share.
    pub(super) fn tick(&mut self) -> Option<String> {
        self.now = self.now.plus(TICK);
        self.ticks += 1;
        let served = self.served.iter().flat_map(|served| served.ring.iter().copied());
        self.counts.sources = Some(Arc::new(Sources {
            failed: self.failed.clone(),
            failed_on_stable: self.failed_on_stable.clone(),
            served: served.collect(),
        }));
        let latencies = self
            .ticks
            .is_multiple_of(TICKS_A_SECOND)
            .then(|| ServiceLatencies { versions: self.times.iter().map(Times::shown).collect() });
        let ready = |of: Identity| serin_core::plane::Readiness::new(of.version, 2, 2);
        let observed = Observed {
            counts: Some(&self.counts),
            latencies: latencies.as_ref(),
            readiness: &[ready(stable()), ready(candidate())],
            own_lag: None,
        };
        let decision = self.pilot.tick(observed, &Conditions::default(), self.now);
        let warnings = decision.events.iter().filter(|event| event.name() == "warned");
        self.warnings.extend(warnings.map(ToString::to_string));
        self.pilot.commit(decision.next);
        if let Verdict::Rollback(why) = decision.verdict { Some(why.label()) } else { None }
    }
}
