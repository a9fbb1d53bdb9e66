//! How long healthy releases take, and that bad ones never get through, from one request a second on.
//!
//! The plan is quickstart's: 10% and 50% for five minutes each, 100% for ten, of which stable keeps 2%. Seeds are drawn from
//! `SERIN_SEED`; those that the limits were chosen with begin at 1.

use super::day::{Day, HOUR, interval, long, seeds};
use super::world::*;
use serin_core::rollout::*;
use serin_core::simulate::Dice;
use serin_core::slo::Objectives;
use serin_core::split::Scope;

const HOLDS: u64 = 20 * 60;

fn quickstart() -> Plan {
    let step =
        |weight, minutes| Step { weight: bp(weight), hold: MINUTE * minutes, of: Scope::All };
    let errors = Guard {
        name: "errors".into(),
        rule: Rule::ErrorRate { above: 0.01 },
        over: SECOND * 30,
        absolute: false,
        lasting: std::time::Duration::ZERO,
        action: Action::Rollback,
    };
    let evidence = Demand { accept: Accept::BoundedHarm, min_requests: 30, ..plan().evidence };
    Plan {
        baseline: bp(200),
        steps: vec![step(1_000, 5), step(5_000, 5), step(10_000, 10)],
        guards: vec![errors],
        harm: Harm::default(),
        evidence,
        ..plan()
    }
}

#[derive(Debug, PartialEq)]
enum Ended {
    /// After so many seconds.
    Complete(u64, Grounds),
    Back,
    Open,
}

/// Requests a second, and the shares that fail on stable and on the candidate.
#[derive(Debug, Clone, Copy)]
struct Traffic {
    rate: f64,
    stable: f64,
    candidate: f64,
}

fn release(day: &mut Day, traffic: Traffic, seconds: u64, dice: &mut Dice) -> Ended {
    day.start();
    for second in 1..=seconds {
        match day.second(traffic.rate, [traffic.stable, traffic.candidate], dice) {
            Verdict::Complete(grounds) => return Ended::Complete(second, grounds),
            Verdict::Rollback(_) => return Ended::Back,
            Verdict::Hold(_)
            | Verdict::Advance(_)
            | Verdict::Inconclusive(_)
            | Verdict::Supersede(_) => {}
        }
    }
    Ended::Open
}

fn fresh(plan: Plan, traffic: Traffic, hours: u64, seed: u64) -> Ended {
    let mut day = Day::new(plan, Objectives::default());
    release(&mut day, traffic, hours * HOUR, &mut Dice::new(seed))
}

#[test]
fn a_healthy_release_takes_its_holds_and_a_tenth_more() {
    for (rate, runs) in [(1.0, 300), (5.0, 300), (20.0, 200), (100.0, 100)] {
        let runs = if long() { runs } else { 20 };
        let traffic = Traffic { rate, stable: 0.0005, candidate: 0.0005 };
        let mut took: Vec<u64> = Vec::new();
        let (mut back, mut by_proof) = (0, 0);
        for seed in seeds(runs) {
            match fresh(quickstart(), traffic, 12, seed) {
                Ended::Complete(seconds, grounds) => {
                    took.push(seconds);
                    let proof = matches!(grounds.shown, Some(GoodEnough::Proof { .. }));
                    by_proof += u64::from(proof);
                }
                Ended::Back => back += 1,
                Ended::Open => took.push(u64::MAX),
            }
        }
        took.sort_unstable();
        let within = took.iter().filter(|seconds| **seconds <= HOLDS * 11 / 10).count() as u64;
        let (low, high) = interval(within, runs);
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize] as f64 / 60.0;
        println!(
            "healthy, {rate} req/s: median {:.1} min, nine of ten within {:.1} min; within the holds and a tenth {within} of {runs} ({:.0}–{:.0}%), {by_proof} by proof, {back} back",
            at(0.5),
            at(0.9),
            low * 100.0,
            high * 100.0
        );
        // Wanted are 22. With stable's 2% kept, half take 22.7 at 5 req/s and 24.8 at 20; without, 20.1 at both.
        assert!(at(0.5) <= 25.0, "half take {} min", at(0.5));
        assert!(back * 20 <= runs, "{back} of {runs} go back");
    }
}

#[test]
fn a_release_that_fails_two_in_a_hundred_never_completes_at_a_request_a_second() {
    let (runs, hours) = if long() { (1_000, 12) } else { (30, 3) };
    for candidate in [0.02, 0.05, 0.2, 1.0] {
        let traffic = Traffic { rate: 1.0, stable: 0.0005, candidate };
        let ends: Vec<Ended> =
            seeds(runs).map(|seed| fresh(quickstart(), traffic, hours, seed)).collect();
        let complete = ends.iter().filter(|end| matches!(end, Ended::Complete(..))).count() as u64;
        let back = ends.iter().filter(|end| **end == Ended::Back).count();
        let high = interval(complete, runs).1 * 100.0;
        println!(
            "{}% failing, 1 req/s, {hours} h: {complete} of {runs} complete (0–{high:.2}%), {back} go back",
            candidate * 100.0
        );
        assert_eq!(complete, 0, "{candidate}");
    }
}

/// What is nearer to healthy gets through now and then: how often is said, and not promised.
#[test]
fn a_release_that_fails_a_little_more_seldom_completes_at_a_request_a_second() {
    let runs = if long() { 1_000 } else { 20 };
    for (candidate, most) in [(0.01, 0.05), (0.005, 0.5)] {
        let traffic = Traffic { rate: 1.0, stable: 0.0005, candidate };
        let complete = |seed| matches!(fresh(quickstart(), traffic, 6, seed), Ended::Complete(..));
        let complete = seeds(runs).filter(|seed| complete(*seed)).count() as u64;
        let (low, high) = interval(complete, runs);
        println!(
            "{}% failing, 1 req/s, 6 h: {complete} of {runs} complete ({:.1}–{:.1}%)",
            candidate * 100.0,
            low * 100.0,
            high * 100.0
        );
        assert!(low <= most, "{candidate}: {complete} of {runs}");
    }
}

/// Nothing was promised: the candidate is held to what stable did before it.
#[test]
fn a_service_that_always_fails_one_in_a_hundred_completes_where_nothing_was_promised() {
    let runs = if long() { 100 } else { 6 };
    let objectives = |promised| Objectives { promised, ..Objectives::default() };
    let traffic = |candidate| Traffic { rate: 20.0, stable: 0.01, candidate };
    let plan = || Plan { guards: Vec::new(), ..quickstart() };
    let run = |promised, candidate, seed| {
        let (mut day, mut dice) = (Day::new(plan(), objectives(promised)), Dice::new(seed));
        for _ in 0..8 * HOUR {
            day.second(20.0, [0.01, 0.0], &mut dice);
        }
        release(&mut day, traffic(candidate), 3 * HOUR, &mut dice)
    };
    let complete = |promised, candidate| {
        let ends = seeds(runs).map(|seed| run(promised, candidate, seed));
        ends.filter(|end| matches!(end, Ended::Complete(..))).count() as u64
    };
    let (learnt, promised, worse) =
        (complete(false, 0.01), complete(true, 0.01), complete(false, 0.03));
    println!(
        "1% usually: {learnt} of {runs} complete, {promised} where 99.9% was promised; a candidate of 3%: {worse}"
    );
    assert!(learnt * 10 >= runs * 9 && promised == 0 && worse == 0);
}
