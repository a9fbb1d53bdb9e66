//! A service with two versions, as the judge sees it: counts that grow by made traffic.

use crate::rng::Rng;
use core::net::{IpAddr, Ipv4Addr};
use serin_core::ids::VersionName;
use serin_core::judge::{Judge, Seen};
use serin_core::measure::{
    Histogram, Network, ServiceCounts, ServiceLatencies, Sources, TIMED_EACH, Timed, VersionCounts,
    VersionLatencies, bucket_of,
};
use serin_core::rollout::{
    Accept, Demand, Evidence, Guard, Harm, OnBusy, OnRollback, OnTooFew, Plan, Regression, Signal,
    Stage, Start, Step, Strategy,
};
use serin_core::slo::{Objectives, ServiceSlo};
use serin_core::split::Scope;
use serin_core::time::Mono;
use serin_core::weights::BasisPoints;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn version(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

pub(crate) fn plan(false_alarm: f64) -> Plan {
    Plan {
        to: version("v2"),
        release: "v2".to_owned(),
        strategy: Strategy::Canary,
        start: Start::Manual,
        on_busy: OnBusy::Queue,
        baseline: BasisPoints::ZERO,
        steps: vec![Step { weight: BasisPoints::WHOLE, hold: Duration::ZERO, of: Scope::All }],
        evidence: Demand {
            accept: Accept::Proof,
            false_alarm,
            min_requests: 500,
            on_too_few: OnTooFew::Hold,
            give_up_after: Duration::from_secs(86_400),
        },
        regression: Regression {
            errors: 1.5,
            client_errors: 2.0,
            latency: 0.2,
            latency_floor: Duration::ZERO,
        },
        guards: Vec::new(),
        harm: Harm::default(),
        rescue: false,
        gates: Vec::new(),
        windows: Vec::new(),
        on_rollback: OnRollback::Revoke,
        dark: None,
    }
}

pub(crate) fn with_guard(mut plan: Plan, guard: Guard) -> Plan {
    plan.guards.push(guard);
    plan
}

pub(crate) struct World {
    pub(crate) judge: Judge,
    pub(crate) slo: ServiceSlo,
    pub(crate) counts: ServiceCounts,
    pub(crate) latencies: ServiceLatencies,
    pub(crate) weight: BasisPoints,
    pub(crate) stage: Stage,
    pub(crate) now: u64,
    plan: Plan,
    objectives: Objectives,
    show_latencies: bool,
}

/// Index into the versions.
pub(crate) const STABLE: usize = 0;
pub(crate) const CANDIDATE: usize = 1;

impl World {
    pub(crate) fn new(plan: &Plan, objectives: &Objectives, weight: f64) -> Self {
        let names = ["v1", "v2"].map(version);
        let latencies = names.clone().map(|version| VersionLatencies {
            version,
            judged: Histogram::default(),
            rest: Histogram::default(),
            waiting: Histogram::default(),
            timed: Vec::new(),
            waiting_timed: Vec::new(),
        });
        let mut world = Self {
            judge: Judge::new(plan, objectives, &names[STABLE]),
            slo: ServiceSlo::new(objectives, Mono(0)),
            counts: ServiceCounts {
                versions: names.map(VersionCounts::new).to_vec(),
                failed_requests: 0,
                failed_users: 0,
                checks_overruled: false,
                sources: None,
            },
            latencies: ServiceLatencies { versions: latencies.to_vec() },
            weight: BasisPoints::ZERO,
            stage: Stage::Step(0),
            now: 0,
            plan: plan.clone(),
            objectives: objectives.clone(),
            show_latencies: false,
        };
        world.set_weight(weight);
        world.look();
        world
    }

    pub(crate) fn set_weight(&mut self, weight: f64) {
        self.weight = BasisPoints::new((weight * 10_000.0).round() as u16).unwrap();
    }

    pub(crate) fn look(&mut self) {
        let latencies = self.show_latencies.then_some(&self.latencies);
        let Self { stage, weight, .. } = *self;
        let (returns, aside) = (0, false);
        let counts = &self.counts;
        let stable_before = None;
        let seen = Seen { counts, latencies, stage, weight, returns, aside, stable_before };
        self.judge.observe(seen, Mono(self.now));
    }

    /// The objectives' share of a tick; left out where only the tests are of interest.
    pub(crate) fn look_at_objectives(&mut self) {
        self.slo.observe(&self.counts, None, Mono(self.now));
    }

    pub(crate) fn add(&mut self, which: usize, of: u64, bad: u64, first_bad: u64) {
        let tally = &mut self.counts.versions[which].judged;
        tally.good += of - bad;
        tally.bad += bad;
        tally.first_bad += first_bad;
        if which == CANDIDATE {
            self.counts.failed_requests += bad;
            self.counts.failed_users += first_bad;
        }
    }

    /// Divides `n` requests exactly by the weight; each fails by itself.
    pub(crate) fn serve(&mut self, rng: &mut Rng, n: u64, p_stable: f64, p_candidate: f64) -> u64 {
        let points = u64::from(self.weight.get());
        let before = self.served() * points / 10_000;
        let candidate = (self.served() + n) * points / 10_000 - before;
        let (bad_c, bad_b) =
            (rng.binomial(candidate, p_candidate), rng.binomial(n - candidate, p_stable));
        self.add(CANDIDATE, candidate, bad_c, bad_c);
        self.add(STABLE, n - candidate, bad_b, bad_b);
        bad_c
    }

    fn served(&self) -> u64 {
        self.counts.versions.iter().map(|v| v.judged.exposures()).sum()
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.look();
    }

    pub(crate) fn evidence(&self) -> Evidence {
        self.judge.evidence(&self.slo, &[], Mono(self.now))
    }

    pub(crate) fn worse(&self) -> bool {
        let evidence = self.evidence();
        evidence.errors.is_some_and(|test| test.worse)
            || evidence.latency.is_some_and(|test| test.worse)
    }

    pub(crate) fn show_latencies(&mut self) {
        self.show_latencies = true;
    }

    pub(crate) fn answer(&mut self, which: usize, latency: Duration) {
        self.latencies.versions[which].judged.record(latency);
    }

    /// As the data plane keeps it: of each octave of time the latest.
    pub(crate) fn answer_from(&mut self, which: usize, network: u32, took: Duration) {
        self.answer(which, took);
        let octave = |took: Duration| bucket_of(took.as_micros() as u64) / 64;
        let timed = &mut self.latencies.versions[which].timed;
        let same = timed.iter().filter(|t| octave(t.took) == octave(took)).count();
        if same >= TIMED_EACH
            && let Some(oldest) = timed.iter().rposition(|t| octave(t.took) == octave(took))
        {
            timed.remove(oldest);
        }
        let network = Network::of(IpAddr::V4(Ipv4Addr::from(network << 8)));
        timed.insert(0, Timed { network, took });
        let mut sources =
            self.counts.sources.take().map_or_else(Sources::default, |s| (*s).clone());
        sources.served.push(network);
        self.counts.sources = Some(Arc::new(sources));
    }

    pub(crate) fn signal(&mut self, name: &str, which: usize, good: u64, total: u64) {
        let version = self.counts.versions[which].version.clone();
        let signal = Signal { version, name: name.to_owned(), good, total };
        self.judge.signal(&signal, Mono(self.now));
    }

    /// Killed, and started again after `downtime`: the data plane's counters begin at zero.
    pub(crate) fn restart(&mut self, downtime: Duration) {
        let (judge, slo) = (self.judge.encode(), self.slo.encode());
        self.now = 77;
        let now = Mono(self.now);
        let stable = version("v1");
        self.judge =
            Judge::decode(&self.plan, &self.objectives, &stable, &judge, downtime, now).unwrap();
        self.slo = ServiceSlo::decode(&self.objectives, &slo, downtime, now).unwrap();
        for version in &mut self.counts.versions {
            *version = VersionCounts::new(version.version.clone());
        }
        (self.counts.failed_requests, self.counts.failed_users) = (0, 0);
        for version in &mut self.latencies.versions {
            version.judged = Histogram::default();
            version.waiting = Histogram::default();
        }
        self.look();
        self.look_at_objectives();
    }
}
