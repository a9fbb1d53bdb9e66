//! From outside: what the objectives say about made courses of traffic.

use super::*;
use crate::ids::VersionName;
use crate::measure::{ServiceCounts, Tally, VersionCounts};
use crate::time::Mono;
use std::time::Duration;

const S: u64 = 1_000;
const MIN: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn v(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

/// One version whose traffic is set per second.
struct Traffic {
    slo: ServiceSlo,
    counts: VersionCounts,
    now: u64,
}

impl Traffic {
    fn new() -> Self {
        let mut traffic = Self {
            slo: ServiceSlo::new(&Objectives::default(), Mono(0)),
            counts: VersionCounts::new(v("v1")),
            now: 0,
        };
        traffic.look();
        traffic
    }

    fn look(&mut self) {
        let counts = ServiceCounts { versions: vec![self.counts.clone()], ..Default::default() };
        self.slo.observe(&counts, None, Mono(self.now));
    }

    fn run(&mut self, seconds: u64, good: u64, bad: u64) {
        for _ in 0..seconds {
            self.now += S;
            let more = Tally { good, bad, first_bad: bad, excluded: 0 };
            self.counts.judged = self.counts.judged.plus(more);
            self.look();
        }
    }

    fn burn(&self, window: Duration) -> Option<f64> {
        self.slo.burn_rate(&v("v1"), window, Mono(self.now))
    }

    fn restart(&mut self, downtime: Duration) {
        let bytes = self.slo.encode();
        self.now = 5 * S;
        self.slo =
            ServiceSlo::decode(&Objectives::default(), &bytes, downtime, Mono(self.now)).unwrap();
        self.counts = VersionCounts::new(v("v1"));
        self.look();
    }
}

fn near(found: Option<f64>, wanted: f64, tolerance: f64) {
    let found = found.expect("a rate");
    assert!((found - wanted).abs() <= tolerance * wanted.abs(), "{found} is not near {wanted}");
}

#[test]
fn a_burn_rate_is_the_bad_share_over_the_allowed_share() {
    let mut traffic = Traffic::new();
    traffic.run(3_600, 998, 2);
    near(traffic.burn(MIN * 5), 2.0, 0.001);
    near(traffic.burn(HOUR), 2.0, 0.001);
}

#[test]
fn a_window_is_rounded_up_by_less_than_a_hundredth() {
    let mut traffic = Traffic::new();
    traffic.run(7_200, 1_000, 0);
    traffic.run(150, 990, 10);
    near(traffic.burn(MIN * 5), 5.0, 0.0067);
    near(traffic.burn(HOUR), 10.0 * 150.0 / 3_600.0, 0.0056);
}

#[test]
fn windows_of_days_are_answered_too() {
    let mut traffic = Traffic::new();
    for _ in 0..(3 * 1_440) {
        traffic.now += 60 * S;
        traffic.counts.judged.good += 59_940;
        traffic.counts.judged.bad += 60;
        traffic.look();
    }
    near(traffic.burn(HOUR * 24), 1.0, 0.001);
    near(traffic.burn(HOUR * 72), 1.0, 0.001);
    near(traffic.burn(HOUR * 500), 1.0, 0.001);
}

#[test]
fn a_restart_keeps_the_windows_and_counts_downtime_as_a_gap() {
    let mut traffic = Traffic::new();
    traffic.run(3_000, 998, 2);
    let before = traffic.burn(HOUR);
    traffic.restart(Duration::from_secs(100));
    near(traffic.burn(HOUR), before.unwrap(), 0.001);
    assert!(traffic.burn(MIN).is_none(), "nobody watched the last minute");
    traffic.run(60, 1_000, 0);
    near(traffic.burn(MIN), 0.0, 0.0);
    traffic.restart(HOUR);
    assert!(traffic.burn(HOUR).is_none(), "less than half of the hour was watched");
}

#[test]
fn damaged_bytes_are_refused_and_never_panic() {
    let mut traffic = Traffic::new();
    traffic.run(500, 998, 2);
    let bytes = traffic.slo.encode();
    let decode = |bytes: &[u8]| {
        ServiceSlo::decode(&Objectives::default(), bytes, Duration::ZERO, Mono(0)).is_ok()
    };
    assert!(decode(&bytes));
    for cut in 0..bytes.len() {
        assert!(!decode(&bytes[..cut]));
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let _ = decode(&damaged);
    }
}

#[test]
fn a_young_version_is_judged_on_its_life() {
    let mut traffic = Traffic::new();
    traffic.run(500, 950, 50);
    traffic.run(220, 980, 20);
    let rule = &BurnRule::defaults()[0];
    let burn = traffic.slo.burn(rule, &v("v1"), None, Mono(traffic.now));
    near(burn.long, 1000.0 * (0.05 * 500.0 + 0.02 * 220.0) / 720.0, 0.005);
    near(burn.short, 20.0, 0.005);
    let young = traffic.slo.burn(rule, &v("v1"), Some(Duration::from_secs(120)), Mono(traffic.now));
    near(young.long, 20.0, 0.005);
}

#[test]
fn the_budget_is_that_of_a_whole_window() {
    let mut traffic = Traffic::new();
    assert_eq!(traffic.slo.budget_left(), None);
    traffic.run(86_400, 998, 2);
    let left = traffic.slo.budget_left();
    near(left, 1.0 - 2.0 / 30.0, 0.001);
    let policy = BudgetPolicy::default();
    assert_eq!(policy.permit(left), Permit::Free);
    traffic.run(3_600, 0, 1_000);
    let left = traffic.slo.budget_left();
    assert_eq!(policy.permit(left), Permit::Frozen, "an hour of nothing but failures: {left:?}");
}

#[test]
fn the_budget_forgets_what_left_its_window() {
    let objectives = Objectives { window: HOUR, ..Objectives::default() };
    let mut traffic = Traffic::new();
    traffic.slo.set_objectives(&objectives);
    traffic.run(1_800, 997, 3);
    near(traffic.slo.budget_left(), -0.5, 0.01);
    traffic.run(3_600, 1_000, 0);
    near(traffic.slo.budget_left(), 1.0, 0.001);
}

#[test]
fn a_counter_that_begins_anew_loses_nothing() {
    let mut traffic = Traffic::new();
    traffic.run(100, 1_000, 0);
    traffic.counts.judged = Tally::default();
    traffic.run(100, 980, 20);
    near(traffic.burn(Duration::from_secs(200)), 10.0, 0.02);
}

#[test]
fn a_late_tick_spreads_what_it_missed() {
    let mut traffic = Traffic::new();
    traffic.run(600, 1_000, 0);
    traffic.now += 100 * S;
    traffic.counts.judged.good += 99_000;
    traffic.counts.judged.bad += 1_000;
    traffic.look();
    near(traffic.burn(Duration::from_secs(20)), 10.0, 0.01);
}

#[test]
fn four_series_and_a_budget_fit_in_memory() {
    let mut traffic = Traffic::new();
    traffic.run(10, 10, 0);
    assert!(traffic.slo.bytes() < 33 * 1024, "{} bytes", traffic.slo.bytes());
}

#[test]
fn an_urgent_rule_that_is_broken_at_rest_is_known_within_seconds_and_a_few_failures_are_none() {
    let mut traffic = Traffic::new();
    let missed = |t: &Traffic| t.slo.missed(&v("v1"), Mono(t.now));
    traffic.run(20, 1, 0);
    traffic.run(3, 0, 1);
    assert_eq!(missed(&traffic), None, "three failures of twenty-three");
    traffic.run(20, 0, 40);
    let found = missed(&traffic).unwrap();
    assert_eq!((found.rule.as_str(), found.severity), ("fast", Severity::P1));
    traffic.run(900, 40, 0);
    assert_eq!(missed(&traffic), None, "it is over");
    // Twice as many errors as the objective allows are a drip.
    traffic.run(7_200, 998, 2);
    assert_eq!(missed(&traffic), None);
}
