//! A service in a rollout for the benches: guards, burn rules and a latency objective.

use serin_core::ids::VersionName;
use serin_core::judge::{Judge, Seen};
use serin_core::measure::{
    Histogram, ServiceCounts, ServiceLatencies, VersionCounts, VersionLatencies,
};
use serin_core::rollout::{
    Accept, Action, Compared, Demand, Guard, Harm, OnBusy, OnRollback, OnTooFew, Plan, Regression,
    Rule, Stage, Start, Step, Strategy,
};
use serin_core::slo::{LatencyObjective, Objectives, ServiceSlo};
use serin_core::split::Scope;
use serin_core::time::Mono;
use serin_core::weights::BasisPoints;
use std::hint::black_box;
use std::time::Duration;

pub(crate) struct Service {
    pub(crate) judge: Judge,
    pub(crate) slo: ServiceSlo,
    counts: ServiceCounts,
    latencies: ServiceLatencies,
    weight: BasisPoints,
}

fn guard(name: &str, rule: Rule) -> Guard {
    let over = Duration::from_secs(60);
    Guard {
        name: name.to_owned(),
        rule,
        over,
        absolute: false,
        lasting: Duration::ZERO,
        action: Action::Rollback,
    }
}

fn plan(to: VersionName) -> Plan {
    let second = Duration::from_secs(2);
    let signal = Rule::Signal { name: "paid".to_owned(), below: 0.5, of: Compared::Baseline };
    Plan {
        to,
        release: "2".to_owned(),
        strategy: Strategy::Canary,
        start: Start::Manual,
        on_busy: OnBusy::Queue,
        baseline: BasisPoints::ZERO,
        steps: vec![Step { weight: BasisPoints::WHOLE, hold: Duration::ZERO, of: Scope::All }],
        evidence: Demand {
            accept: Accept::Proof,
            false_alarm: 0.001,
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
        guards: vec![
            guard("errors", Rule::ErrorRate { above: 0.01 }),
            guard("slow", Rule::Latency { quantile: 0.95, above: second }),
            guard("conversion", signal),
            guard("shadow", Rule::ShadowMismatch { above: 0.005 }),
        ],
        harm: Harm::default(),
        rescue: false,
        gates: Vec::new(),
        windows: Vec::new(),
        on_rollback: OnRollback::Revoke,
        dark: None,
    }
}

pub(crate) fn service() -> Option<Service> {
    let (stable, candidate) = (VersionName::new("v1").ok()?, VersionName::new("v2").ok()?);
    let under = Duration::from_millis(500);
    let latency = Some(LatencyObjective { objective: 0.95, under });
    let objectives = Objectives { latency, ..Objectives::default() };
    let latencies = [&stable, &candidate].map(|version| VersionLatencies {
        version: version.clone(),
        judged: Histogram::default(),
        rest: Histogram::default(),
        waiting: Histogram::default(),
        timed: Vec::new(),
        waiting_timed: Vec::new(),
    });
    Some(Service {
        judge: Judge::new(&plan(candidate.clone()), &objectives, &stable),
        slo: ServiceSlo::new(&objectives, Mono(0)),
        counts: ServiceCounts {
            versions: vec![VersionCounts::new(stable), VersionCounts::new(candidate)],
            ..ServiceCounts::default()
        },
        latencies: ServiceLatencies { versions: latencies.to_vec() },
        weight: BasisPoints::new(1_000)?,
    })
}

impl Service {
    /// Twenty milliseconds of 500 requests a second, some of which fail.
    pub(crate) fn serve(&mut self, now: u64) {
        for (version, of) in self.counts.versions.iter_mut().zip([9, 1]) {
            let bad = u64::from(now.is_multiple_of(700));
            version.judged.good += of;
            version.judged.bad += bad;
            version.judged.first_bad += bad;
        }
        for (version, of) in self.latencies.versions.iter_mut().zip([9, 1]) {
            for i in 0..of {
                version.judged.record(Duration::from_millis(20 + (now / 20 * 7 + i * 13) % 90));
            }
        }
    }

    pub(crate) fn tick(&mut self, now: u64, with_latencies: bool) {
        let latencies = with_latencies.then_some(&self.latencies);
        self.slo.observe(&self.counts, latencies, Mono(now));
        let stage = Stage::Step(0);
        let weight = self.weight;
        let (returns, aside) = (0, false);
        let seen = Seen {
            counts: &self.counts,
            latencies,
            stage,
            weight,
            returns,
            aside,
            stable_before: None,
        };
        self.judge.observe(seen, Mono(now));
        black_box(self.judge.evidence(&self.slo, &[], Mono(now)));
    }
}
