//! What strangers keep doing for minutes: while it lasts, and above all when it is over, a healthy release stays.

use super::service::*;
use serin_core::rollout::{Guard, Rule};
use std::time::Duration;

const NETWORKS: u64 = 40;
const SECOND: Duration = Duration::from_secs(1);

/// Everybody's traffic on a healthy candidate, and what strangers send beside it.
struct Course {
    /// Requests a second, of everybody.
    rate: f64,
    weight: f64,
    /// Of everybody's requests, on both versions.
    failing: f64,
    seconds: u64,
}

/// A stranger's request.
struct Strange {
    request: Request,
    /// On the candidate, or wherever the split sends it.
    on_candidate: bool,
}

impl Course {
    /// `strangers` says what they send with one tick. By which rule, and when, it goes back.
    fn run(
        &self,
        guards: impl FnOnce(&mut Vec<Guard>),
        mut strangers: impl FnMut(u64, &mut Dice) -> Vec<Strange>,
        seed: u64,
    ) -> (Option<(String, u64)>, Vec<String>) {
        let mut dice = Dice::new(seed);
        let mut service = Service::new(self.weight, guards);
        let ticks_a_second = (1.0 / TICK.as_secs_f64()) as u64;
        for tick in 0..ticks_a_second * self.seconds {
            for Strange { request, on_candidate } in strangers(tick, &mut dice) {
                let weight = service.weight();
                let lands = weight > 0.0 && (on_candidate || dice.unit() < weight);
                service.request(if lands { CANDIDATE } else { STABLE }, request);
            }
            let mut due = self.rate * TICK.as_secs_f64();
            while due > 0.0 {
                if dice.unit() < due.min(1.0) {
                    let user = dice.draw() % 5_000;
                    let which = if dice.unit() < service.weight() { CANDIDATE } else { STABLE };
                    let bad = dice.unit() < self.failing;
                    let network = network(1_000 + user % NETWORKS);
                    let took = dice.usual_time();
                    service.request(which, Request { network, user: Some(user), bad, took });
                }
                due -= 1.0;
            }
            if let Some(rule) = service.tick() {
                return (Some((rule, tick / ticks_a_second)), service.warnings);
            }
        }
        (None, service.warnings)
    }
}

fn strange(from: u64, user: u64, bad: bool, took: Duration) -> Request {
    Request { network: network(from), user: Some(user), bad, took }
}

/// How many of so many seeds go back, and by what.
fn back(runs: u64, run: impl Fn(u64) -> Option<(String, u64)>) -> u64 {
    let from = std::env::var("SERIN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let all: Vec<_> = (0..runs).filter_map(|n| run(from + n)).collect();
    println!("{} of {runs} go back: {all:?}", all.len());
    all.len() as u64
}

#[test]
fn one_clients_slow_requests_send_nobody_back_when_they_are_over() {
    let course = Course { rate: 100.0, weight: 0.1, failing: 0.0005, seconds: 360 };
    let slow = |tick: u64, dice: &mut Dice| {
        let sends = (1_000..7_000).contains(&tick) && dice.unit() < 0.12;
        let request = strange(7, 9_000, false, SECOND * 3);
        if sends { vec![Strange { request, on_candidate: true }] } else { Vec::new() }
    };
    assert_eq!(back(6, |seed| course.run(|_| {}, slow, seed).0), 0);
    let (_, told) = course.run(|_| {}, slow, 1);
    assert!(told.iter().any(|told| told.contains("slow requests came from")), "{told:?}");
}

#[test]
fn one_clients_failures_send_nobody_back_when_they_are_over() {
    let course = Course { rate: 100.0, weight: 0.1, failing: 0.01, seconds: 480 };
    let none = |guards: &mut Vec<Guard>| guards.clear();
    let failing = |tick: u64, dice: &mut Dice| {
        let sends = (1_000..7_000).contains(&tick) && dice.unit() < 0.12;
        let request = strange(7, 9_000 + tick, true, SECOND / 50);
        if sends { vec![Strange { request, on_candidate: true }] } else { Vec::new() }
    };
    assert_eq!(back(6, |seed| course.run(none, failing, seed).0), 0);
    let (_, told) = course.run(none, failing, 1);
    assert!(told.iter().any(|told| told.contains("failures came from")), "{told:?}");
}

/// Cookies of the candidate are free, and so are four addresses.
#[test]
fn four_failures_of_four_strangers_break_no_burn_rule() {
    for (rate, from) in [(20.0, 10), (20.0, 200), (60.0, 10), (60.0, 200)] {
        let course = Course { rate, weight: 0.1, failing: 0.0, seconds: 40 };
        let failing = |tick: u64, _: &mut Dice| match (from..from + 4).contains(&tick) {
            true => {
                let request = strange(tick, 9_000 + tick, true, SECOND / 50);
                vec![Strange { request, on_candidate: true }]
            }
            false => Vec::new(),
        };
        let none = |guards: &mut Vec<Guard>| guards.clear();
        assert_eq!(back(6, |seed| course.run(none, failing, seed).0), 0, "at {rate}/s, {from}");
    }
}

/// The candidate's few requests are unluckier than stable's many, by chance.
#[test]
fn ten_networks_that_fail_on_both_alike_break_no_guard() {
    let course = Course { rate: 60.0, weight: 0.1, failing: 0.0, seconds: 300 };
    // Thirty within a second, every half minute.
    let failing = |tick: u64, dice: &mut Dice| match tick % 1_500 > 1_450 && dice.unit() < 0.6 {
        true => {
            let request = strange(dice.draw() % 10, 9_000 + tick, true, SECOND / 50);
            vec![Strange { request, on_candidate: false }]
        }
        false => Vec::new(),
    };
    let two_percent = |guards: &mut Vec<Guard>| {
        guards[0].rule = Rule::ErrorRate { above: 0.02 };
    };
    assert_eq!(back(40, |seed| course.run(two_percent, failing, seed).0), 0);
}
