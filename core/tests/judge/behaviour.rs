//! What the judge says in the situations that operators meet.

use crate::rng::Rng;
use crate::world::{CANDIDATE, STABLE, World, plan, version, with_guard};
use serin_core::judge::Judge;
use serin_core::rollout::{
    Action, Compared, Guard, GuardReading, Harmed, MissingReading, Part, Plan, Rule, SlowClients,
    Stage, Toll, Value,
};
use serin_core::slo::{LatencyObjective, Objectives, Promise, ServiceSlo};
use serin_core::time::Mono;
use std::time::Duration;

const S: u64 = 1_000;

fn guard(rule: Rule, over: u64) -> Plan {
    let over = Duration::from_secs(over);
    let (name, lasting, action) = ("g".to_owned(), Duration::ZERO, Action::Rollback);
    with_guard(plan(0.001), Guard { name, rule, over, absolute: false, lasting, action })
}

fn reading(world: &World) -> GuardReading {
    world.evidence().guards[0].clone()
}

fn world(plan: &Plan, weight: f64) -> (World, Rng) {
    (World::new(plan, &Objectives::default(), weight), Rng::new(1))
}

#[test]
fn one_error_in_twenty_breaches_and_proves_nothing() {
    let (mut world, _) = world(&guard(Rule::ErrorRate { above: 0.01 }, 30), 0.1);
    world.add(CANDIDATE, 20, 1, 1);
    world.pass(S);
    let one = reading(&world);
    assert_eq!(one.observed, Some(Value::Share(0.05)));
    assert!(one.breached && !one.proven);
    assert_eq!(one.samples.seen, 20);
    assert!(one.samples.needed > 20, "{:?}", one.samples);
    world.add(CANDIDATE, 20, 5, 5);
    world.pass(S);
    assert!(reading(&world).proven);
}

#[test]
fn an_absolute_guard_needs_a_second_for_a_fifth_and_seconds_for_a_twentieth() {
    for (share, within) in [(0.2, 2), (0.05, 10), (0.02, 90)] {
        let mut seconds: Vec<u64> = (0..51)
            .map(|seed| {
                let (mut world, _) = world(&guard(Rule::ErrorRate { above: 0.01 }, 30), 0.1);
                let mut rng = Rng::new(seed);
                (1..1_000)
                    .find(|_| {
                        world.serve(&mut rng, 1_000, 0.0, share);
                        world.pass(S);
                        let reading = reading(&world);
                        reading.breached && reading.proven
                    })
                    .unwrap()
            })
            .collect();
        seconds.sort_unstable();
        println!(
            "errorRate > 1% at 100 candidate req/s, {:.0}% failing: median {} s (at most {within})",
            share * 100.0,
            seconds[25]
        );
        assert!(seconds[25] <= within);
    }
}

#[test]
fn a_window_forgets_and_a_stage_begins_anew() {
    let (mut world, _) = world(&guard(Rule::ErrorRate { above: 0.01 }, 30), 0.1);
    world.add(CANDIDATE, 100, 50, 50);
    world.pass(S);
    for _ in 0..60 {
        world.add(CANDIDATE, 100, 0, 0);
        world.pass(S);
    }
    assert_eq!(reading(&world).observed, Some(Value::Share(0.0)));
    assert_eq!(world.evidence().step.candidate.bad, 50);
    world.stage = Stage::Step(1);
    world.pass(S);
    assert_eq!(world.evidence().step.candidate.of, 0);
}

#[test]
fn a_latency_guard_counts_what_hangs_before_it_ends() {
    let above = Duration::from_secs(2);
    let (mut world, _) = world(&guard(Rule::Latency { quantile: 0.95, above }, 60), 0.5);
    world.show_latencies();
    let fast = |world: &mut World, seconds| {
        for _ in 0..seconds {
            for which in [STABLE, CANDIDATE] {
                world.add(which, 20, 0, 0);
                (0..20).for_each(|_| world.answer(which, Duration::from_millis(80)));
            }
            world.pass(S);
        }
    };
    fast(&mut world, 100);
    let healthy = reading(&world);
    assert!(!healthy.breached && !healthy.proven);
    let Some(Value::Time(shown)) = healthy.observed else { panic!("{healthy:?}") };
    assert!((75..85).contains(&shown.as_millis()), "{shown:?}");
    for _ in 0..200 {
        world.latencies.versions[CANDIDATE].waiting.record(Duration::from_secs(3));
    }
    world.pass(S);
    let hanging = reading(&world);
    assert!(hanging.breached && hanging.proven, "{hanging:?}");
    let Some(Value::Time(shown)) = hanging.observed else { panic!("{hanging:?}") };
    assert!(shown >= above);
}

/// Idle endpoints are fast: that the loaded ones are not says nothing of the release.
#[test]
fn times_are_compared_beside_half_of_stable_and_not_beside_an_idle_rest() {
    let slower = |weight: f64| {
        let (mut world, mut rng) = world(&plan(0.001), weight);
        world.show_latencies();
        let candidates = (weight * 100.0) as u64;
        for _ in 0..120 {
            for (which, of, ms) in
                [(STABLE, 100 - candidates, 80.0), (CANDIDATE, candidates, 160.0)]
            {
                world.add(which, of, 0, 0);
                for _ in 0..of {
                    let took = ms * (0.5 * rng.normal()).exp();
                    world.answer(which, Duration::from_secs_f64(took / 1_000.0));
                }
            }
            world.pass(S);
            if world.worse() {
                return true;
            }
        }
        world.evidence().latency.is_some_and(|test| test.worse)
    };
    assert!(slower(0.5));
    assert!(!slower(0.98));
}

#[test]
fn what_fails_while_health_checks_are_overruled_is_a_shared_cause_and_held_against_nobody() {
    let rule = Rule::ErrorRate { above: 0.05 };
    let (mut world, mut rng) = world(&guard(rule, 0), 0.5);
    world.counts.checks_overruled = true;
    for _ in 0..60 {
        world.serve(&mut rng, 100, 0.9, 0.9);
        world.pass(S);
        let reading = reading(&world);
        assert!(!reading.breached && !reading.proven && !world.worse(), "{reading:?}");
    }
    let shared = world.evidence().shared_cause.expect("a cause that both share");
    assert!(shared.candidate > 0.8 && shared.stable > 0.8, "{shared:?}");
    world.counts.checks_overruled = false;
    for _ in 0..60 {
        world.serve(&mut rng, 100, 0.0, 0.9);
        world.pass(S);
    }
    assert!(reading(&world).proven, "afterwards it is judged as ever");
}

#[test]
fn a_slow_start_is_warm_up_and_errors_during_it_count() {
    let (mut world, mut rng) = world(&plan(0.001), 0.5);
    world.show_latencies();
    for second in 0..120 {
        world.serve(&mut rng, 200, 0.0, 0.0);
        let candidate = if second < 29 { 900 } else { 50 };
        (0..100).for_each(|_| world.answer(STABLE, Duration::from_millis(50)));
        (0..100).for_each(|_| world.answer(CANDIDATE, Duration::from_millis(candidate)));
        world.pass(S);
        assert!(!world.worse(), "at {second} s");
    }
    let (mut world, mut rng) = crate::behaviour::world(&plan(0.001), 0.5);
    world.serve(&mut rng, 400, 0.0, 0.5);
    world.pass(S);
    assert!(world.worse());
}

#[test]
fn a_signal_far_below_the_baseline_is_proven_and_one_near_it_is_not() {
    let rule =
        Rule::Signal { name: "trialActivation".to_owned(), below: 0.5, of: Compared::Baseline };
    let (mut world, _) = world(&guard(rule, 0), 0.1);
    world.pass(S);
    assert_eq!(reading(&world).missing, Some(MissingReading::NoSignal));
    world.signal("trialActivation", CANDIDATE, 0, 10);
    world.pass(S);
    assert_eq!(reading(&world).missing, Some(MissingReading::NoBaseline));
    for _ in 0..50 {
        world.signal("trialActivation", CANDIDATE, 9, 100);
        world.signal("trialActivation", STABLE, 100, 1_000);
        world.signal("other", CANDIDATE, 0, 100_000);
        world.pass(S);
    }
    let near = reading(&world);
    assert!(!near.breached && !near.proven && near.missing.is_none(), "{near:?}");
    for _ in 0..100 {
        world.signal("trialActivation", CANDIDATE, 1, 100);
        world.signal("trialActivation", STABLE, 100, 1_000);
        world.pass(S);
    }
    let far = reading(&world);
    assert!(far.breached && far.proven, "{far:?}");
    assert_eq!(far.stable, Some(Value::Share(0.1)));
}

#[test]
fn a_signal_can_be_held_against_a_number() {
    let rule = Rule::Signal { name: "paid".to_owned(), below: 0.9, of: Compared::Absolute };
    let (mut world, _) = world(&guard(rule, 0), 0.1);
    world.signal("paid", CANDIDATE, 60, 100);
    world.pass(S);
    let reading = reading(&world);
    assert_eq!(reading.observed, Some(Value::Share(0.6)));
    assert!(reading.breached && reading.proven);
}

#[test]
fn differing_copies_are_a_guard_like_any_other() {
    let (mut world, _) = world(&guard(Rule::ShadowMismatch { above: 0.005 }, 0), 0.1);
    world.pass(S);
    assert_eq!(reading(&world).missing, Some(MissingReading::NoShadow));
    world.counts.versions[CANDIDATE].shadow_compared = 1_000;
    world.counts.versions[CANDIDATE].shadow_mismatched = 40;
    world.pass(S);
    assert!(reading(&world).breached && reading(&world).proven);
    assert_eq!(world.evidence().shadow.mismatched, 40);
}

#[test]
fn an_outage_of_both_is_called_a_shared_cause() {
    let (mut world, mut rng) = world(&guard(Rule::ErrorRate { above: 0.01 }, 30), 0.1);
    for _ in 0..60 {
        world.serve(&mut rng, 1_000, 0.001, 0.001);
        world.pass(S);
    }
    assert_eq!(world.evidence().shared_cause, None);
    for _ in 0..10 {
        world.serve(&mut rng, 1_000, 0.3, 0.3);
        world.pass(S);
    }
    let evidence = world.evidence();
    assert!(evidence.shared_cause.is_some());
    assert!(!evidence.errors.unwrap().worse);
    assert!(evidence.guards[0].proven, "the absolute guard stands all the same");
    for _ in 0..120 {
        world.serve(&mut rng, 1_000, 0.0, 0.0);
        world.pass(S);
    }
    assert_eq!(world.evidence().shared_cause, None, "it is over");
}

#[test]
fn two_errors_against_none_are_no_verdict() {
    let (mut world, mut rng) = world(&plan(0.001), 0.01);
    world.serve(&mut rng, 100_000, 0.0, 0.0);
    world.pass(S);
    world.add(CANDIDATE, 2, 2, 2);
    world.pass(S);
    assert!(!world.worse());
}

#[test]
fn a_candidate_that_keeps_its_objective_is_not_sent_back_for_being_second_best() {
    let mut objectives = Objectives::default();
    objectives.availability.objective = 0.99;
    let mut world = World::new(&plan(0.001), &objectives, 0.1);
    let mut rng = Rng::new(5);
    for _ in 0..600 {
        world.serve(&mut rng, 1_000, 0.0001, 0.003);
        world.pass(S);
    }
    let errors = world.evidence().errors.unwrap();
    assert!(errors.value >= errors.needed && errors.floor < errors.needed, "{errors:?}");
    assert!(!errors.worse);
}

#[test]
fn a_burn_rule_needs_both_windows_and_proof() {
    let (mut world, mut rng) = world(&plan(0.001), 0.1);
    world.look_at_objectives();
    let second = |world: &mut World, rng: &mut Rng, p: f64| {
        world.serve(rng, 1_000, 0.0, p);
        world.pass(S);
        world.look_at_objectives();
    };
    for _ in 0..300 {
        second(&mut world, &mut rng, 0.0);
    }
    let fast = |world: &World| world.evidence().burns[0].clone();
    assert_eq!((fast(&world).long, fast(&world).above), (Some(0.0), false));
    (0..30).for_each(|_| second(&mut world, &mut rng, 0.2));
    let burning = fast(&world);
    assert!(burning.above && burning.proven, "{burning:?}");
    assert_eq!((burning.promise, burning.stable), (Promise::Availability, Some(0.0)));
    (0..40).for_each(|_| second(&mut world, &mut rng, 0.0));
    assert!(!fast(&world).above, "the short window is over it: {:?}", fast(&world));
}

#[test]
fn what_a_version_did_before_its_rollout_is_not_held_against_it() {
    let (mut world, mut rng) = world(&plan(0.001), 0.0);
    world.look_at_objectives();
    // An earlier rollout of the same version, which failed at everything.
    for _ in 0..30 {
        world.counts.versions[CANDIDATE].rest.bad += 100;
        world.pass(S);
        world.look_at_objectives();
    }
    world.set_weight(0.1);
    for _ in 0..60 {
        world.serve(&mut rng, 1_000, 0.0, 0.0);
        world.pass(S);
        world.look_at_objectives();
    }
    assert_eq!(world.evidence().burns[0].long, Some(0.0));
}

#[test]
fn the_latency_promise_burns_too() {
    let latency = Some(LatencyObjective { objective: 0.95, under: Duration::from_millis(500) });
    let objectives = Objectives { latency, ..Objectives::default() };
    let mut world = World::new(&plan(0.001), &objectives, 0.5);
    world.show_latencies();
    let mut rng = Rng::new(3);
    for second in 0..120 {
        world.serve(&mut rng, 100, 0.0, 0.0);
        let slow = if second > 40 { 1_000 } else { 100 };
        (0..50).for_each(|_| world.answer(STABLE, Duration::from_millis(100)));
        (0..50).for_each(|_| world.answer(CANDIDATE, Duration::from_millis(slow)));
        world.pass(S);
        let now = serin_core::time::Mono(world.now);
        world.slo.observe(&world.counts, Some(&world.latencies), now);
    }
    let slow = &world.evidence().burns[1];
    assert_eq!(slow.promise, Promise::Latency);
    assert!(slow.above && slow.proven, "{slow:?}");
    let [_, left] = world.slo.budgets();
    assert!(left.unwrap() < 1.0);
}

#[test]
fn the_tripwire_is_a_short_run_and_really_is_proof() {
    for weight in [0.01, 0.1, 0.5] {
        let (mut world, mut rng) = world(&plan(0.001), weight);
        for _ in 0..120 {
            world.serve(&mut rng, 1_000, 0.0005, 0.0005);
            world.pass(S);
        }
        let run = world.evidence().tripwire.unwrap();
        println!("tripwire at {:.0}% after two minutes: {run}", weight * 100.0);
        assert!((2..=32).contains(&run));
        let concurrent = (f64::from(run) * (1.0 - weight) / weight) as u64;
        world.add(CANDIDATE, u64::from(run), u64::from(run), u64::from(run));
        world.add(STABLE, concurrent, 0, 0);
        world.pass(2 * S);
        assert!(world.worse(), "{run} failures at {weight}");
    }
}

#[test]
fn a_tripwire_at_the_whole_weight_needs_an_absolute_guard() {
    let (mut alone, mut rng) = world(&plan(0.001), 1.0);
    alone.serve(&mut rng, 1_000, 0.0, 0.0);
    alone.pass(S);
    assert_eq!(alone.evidence().tripwire, None, "there is nothing to compare with");
    let (mut guarded, _) = world(&guard(Rule::ErrorRate { above: 0.01 }, 30), 1.0);
    guarded.serve(&mut rng, 100, 0.0, 0.0);
    guarded.pass(S);
    assert!(guarded.evidence().tripwire.is_some_and(|run| run <= 6));
    guarded.serve(&mut rng, 1_000, 0.0, 0.0);
    guarded.pass(S);
    let run = guarded.evidence().tripwire;
    assert_eq!(run, Some(12), "the shortest run with which its window is over 1%");
}

#[test]
fn a_restart_resumes_with_the_same_evidence() {
    let (mut world, mut rng) = world(&guard(Rule::ErrorRate { above: 0.01 }, 300), 0.1);
    world.show_latencies();
    for _ in 0..90 {
        world.serve(&mut rng, 1_000, 0.001, 0.004);
        for which in [STABLE, CANDIDATE] {
            (0..50).for_each(|i| world.answer(which, Duration::from_millis(40 + i)));
        }
        world.pass(S);
        world.look_at_objectives();
    }
    let before = world.evidence();
    world.restart(Duration::from_secs(5));
    let after = world.evidence();
    assert_eq!(before.errors, after.errors);
    assert_eq!(before.promotion, after.promotion);
    assert_eq!(before.step, after.step);
    assert_eq!(before.harm.forgiven, after.harm.forgiven);
    let Harmed { failed_requests, users, earlier, .. } = after.harm;
    assert_eq!(before.harm.failed_requests, failed_requests);
    assert_eq!((earlier.requests, earlier.users), (failed_requests, users), "before this process");
    assert_eq!(before.guards, after.guards);
    assert_eq!(before.latency, after.latency);
    assert_eq!(before.tripwire, after.tripwire);
    world.serve(&mut rng, 1_000, 0.0, 1.0);
    world.pass(S);
    assert_eq!(world.evidence().harm.failed_requests, before.harm.failed_requests + 100);
    assert!(world.worse());
}

#[test]
fn stored_evidence_is_small_and_damage_is_refused() {
    let (mut world, mut rng) = world(&guard(Rule::ErrorRate { above: 0.01 }, 300), 0.1);
    for _ in 0..60 {
        world.serve(&mut rng, 1_000, 0.001, 0.004);
        world.pass(S);
    }
    let bytes = world.judge.encode();
    assert!(bytes.len() < 8 * 1024, "{} bytes", bytes.len());
    let plan = guard(Rule::ErrorRate { above: 0.01 }, 300);
    let decode = |bytes: &[u8]| {
        let (objectives, now) = (Objectives::default(), serin_core::time::Mono(0));
        let stable = version("v1");
        serin_core::judge::Judge::decode(&plan, &objectives, &stable, bytes, Duration::ZERO, now)
    };
    assert!(decode(&bytes).is_ok());
    for cut in 0..bytes.len() {
        assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        if let Ok(judge) = decode(&damaged) {
            let _ = judge.evidence(&world.slo, &[], serin_core::time::Mono(1));
        }
    }
}

#[test]
fn a_reload_keeps_the_tests_that_still_ask_the_same() {
    let plan = guard(Rule::ErrorRate { above: 0.01 }, 300);
    let (mut world, mut rng) = world(&plan, 0.1);
    for _ in 0..60 {
        world.serve(&mut rng, 1_000, 0.001, 0.004);
        world.pass(S);
    }
    let before = world.evidence();
    let mut other = guard(Rule::ErrorRate { above: 0.02 }, 300);
    world.judge.set_plan(&other, &Objectives::default());
    assert_eq!(world.evidence().errors, before.errors);
    assert_eq!(world.evidence().guards[0].missing, Some(MissingReading::TooFew));
    other.regression.errors = 3.0;
    world.judge.set_plan(&other, &Objectives::default());
    assert_eq!(world.evidence().errors, None);
}

/// How much of its failures a candidate is not forgiven.
fn beyond(harm: Harmed) -> i64 {
    harm.failed_requests as i64 - harm.forgiven.requests as i64
}

/// The most that was ever beyond, in a course through three weights.
fn most_beyond(stable: f64, candidate: f64, weights: &[f64]) -> i64 {
    let (mut world, mut rng) = world(&plan(0.001), 0.1);
    let mut most = 0;
    for weight in weights {
        world.set_weight(*weight);
        for _ in 0..10_000 {
            world.serve(&mut rng, 1_000, stable, candidate);
            world.pass(S);
            most = most.max(beyond(world.evidence().harm));
        }
    }
    most
}

#[test]
fn a_release_as_good_as_stable_is_never_near_a_cap_of_fifty() {
    for rate in [0.0005, 0.01] {
        for weights in [&[0.01, 0.1, 0.5], &[0.75, 0.9, 1.0]] {
            let most = most_beyond(rate, rate, weights);
            println!("{}% failing on both, weights {weights:?}: {most} beyond", rate * 100.0);
            assert!(most < 50, "{rate} at {weights:?}: {most}");
        }
    }
}

#[test]
fn failures_beyond_the_margin_are_not_forgiven() {
    for (stable, candidate) in [(0.0005, 0.01), (0.0, 0.001), (0.01, 0.03)] {
        let (mut world, mut rng) = world(&plan(0.001), 0.5);
        for _ in 0..1_000 {
            world.serve(&mut rng, 1_000, stable, candidate);
            world.pass(S);
        }
        let harm = world.evidence().harm;
        let excess = 500_000.0 * (candidate - 1.5 * stable);
        let found = beyond(harm) as f64;
        assert!((found / excess - 1.0).abs() < 0.15, "{stable} {candidate}: {found} {excess}");
        assert_eq!(harm.forgiven.requests == 0, stable == 0.0, "{harm:?}");
        assert_eq!(harm.forgiven.users, harm.forgiven.requests, "nobody can be told apart");
    }
}

/// Stable had some twenty failures before it was left with nothing; the candidate has a thousand
/// in a day.
#[test]
fn a_long_time_alone_is_forgiven_by_what_little_stable_showed() {
    let passed = |seed| {
        let (mut world, mut rng) =
            (World::new(&plan(0.001), &Objectives::default(), 0.5), Rng::new(seed));
        for second in 0..20_000 {
            world.set_weight(if second < 400 { 0.5 } else { 1.0 });
            let failed = world.serve(&mut rng, 100, 0.001, 0.001);
            world.pass(S);
            if failed > 0 && beyond(world.evidence().harm) >= 50 {
                return true;
            }
        }
        false
    };
    let passed = (0..200).filter(|seed| passed(*seed)).count();
    println!("a day alone, as good as stable: {passed} of 200 passed a cap of 50");
    assert!(passed <= 2, "{passed} of 200");
}

#[test]
fn a_good_day_earns_no_failures_for_later() {
    for weight in [0.1, 0.5, 1.0] {
        let (mut world, mut rng) = world(&plan(0.001), 0.1);
        for second in 0..20_000 {
            let weight = if second < 5_000 { 0.1 } else { weight };
            world.set_weight(weight);
            world.serve(&mut rng, 1_000, 0.001, 0.001);
            world.pass(S);
        }
        let saved = -beyond(world.evidence().harm);
        assert!((0..=16).contains(&saved), "{saved} are free at {weight}");
    }
}

#[test]
fn an_outage_that_both_share_is_forgiven_while_it_lasts() {
    let (mut world, mut rng) = world(&plan(0.001), 0.1);
    for second in 0..600 {
        let p = if (200..300).contains(&second) { 0.5 } else { 0.0005 };
        world.serve(&mut rng, 1_000, p, p);
        world.pass(S);
        assert!(beyond(world.evidence().harm) < 30, "{second}");
    }
    assert!(world.evidence().harm.failed_requests > 4_500);
}

#[test]
fn with_nothing_beside_it_stables_last_day_forgives_the_candidate() {
    let (mut world, mut rng) = world(&plan(0.001), 0.0);
    for _ in 0..600 {
        world.serve(&mut rng, 1_000, 0.002, 0.0);
        world.look_at_objectives();
        world.now += S;
    }
    let usual = world.slo.done(&version("v1"), Duration::from_secs(86_400), Mono(world.now));
    world.judge = world.judge.clone().after(usual.unwrap(), 0.0);
    world.look();
    world.set_weight(1.0);
    for _ in 0..600 {
        world.serve(&mut rng, 1_000, 0.0, 0.002);
        world.pass(S);
        world.look_at_objectives();
    }
    let harm = world.evidence().harm;
    assert!(harm.failed_requests > 1_000 && beyond(harm) < 20, "{harm:?}");
    let before = harm.forgiven.requests;
    world.restart(Duration::from_secs(1));
    assert!(world.evidence().harm.forgiven.requests >= before, "a restart takes nothing back");
}

#[test]
fn a_stable_that_nobody_knows_forgives_nothing() {
    let (mut world, mut rng) = world(&plan(0.001), 1.0);
    for _ in 0..60 {
        world.serve(&mut rng, 1_000, 0.0, 0.01);
        world.pass(S);
    }
    assert_eq!(world.evidence().harm.forgiven, Toll::default());
}

#[test]
fn missing_and_returning_versions_harm_nobody() {
    let (mut world, mut rng) = world(&plan(0.001), 0.1);
    world.serve(&mut rng, 1_000, 0.0, 0.0);
    world.pass(S);
    let candidate = world.counts.versions.pop().unwrap();
    world.pass(S);
    world.counts.versions.push(candidate);
    world.counts.versions[CANDIDATE].judged.bad += 500;
    world.pass(S);
    let seen = world.evidence().errors.unwrap().candidate;
    assert_eq!((seen.bad, seen.of), (0, 100), "what happened unseen is not judged");
}

#[test]
fn a_billion_requests_leave_every_number_finite_and_the_test_alert() {
    let (mut world, mut rng) = world(&guard(Rule::ErrorRate { above: 0.01 }, 30), 0.1);
    for _ in 0..1_000 {
        // Ten thousand requests a millisecond, with exactly as many failures as there should be.
        world.add(CANDIDATE, 100_000, 100, 100);
        world.add(STABLE, 900_000, 900, 900);
        world.pass(100);
    }
    let evidence = world.evidence();
    let errors = evidence.errors.unwrap();
    assert!(errors.value.is_finite() && errors.floor.is_finite() && !errors.worse);
    assert!(evidence.promotion.unwrap().value.is_finite());
    assert_eq!(errors.candidate.of + errors.stable.of, 1_000_000_000);
    for _ in 0..100 {
        world.serve(&mut rng, 1_000, 0.001, 0.3);
        world.pass(100);
    }
    assert!(world.worse());
}

#[test]
fn a_shift_below_the_floor_is_none_and_one_above_it_is_found() {
    let slower = |floor_ms, candidate_us| {
        let mut plan = plan(0.001);
        plan.regression.latency_floor = Duration::from_millis(floor_ms);
        let (mut world, _) = world(&plan, 0.5);
        world.show_latencies();
        (0..300).any(|second| {
            for which in [STABLE, CANDIDATE] {
                world.add(which, 100, 0, 0);
                let micros = if which == STABLE { 400 } else { candidate_us };
                (0..100).for_each(|i| world.answer(which, Duration::from_micros(micros + i)));
            }
            world.pass(S);
            second > 40 && world.evidence().latency.is_some_and(|test| test.worse)
        })
    };
    assert!(slower(0, 900), "half a millisecond is twice as much");
    assert!(!slower(10, 900));
    assert!(slower(10, 15_000));
}

#[test]
fn the_comparison_is_made_the_other_way_round_too() {
    let (mut world, mut rng) = world(&plan(0.001), 0.5);
    for _ in 0..30 {
        world.serve(&mut rng, 1_000, 0.001, 0.001);
        world.pass(S);
    }
    assert_eq!(world.evidence().stable_worse, None);
    for _ in 0..10 {
        world.serve(&mut rng, 1_000, 0.2, 0.02);
        world.pass(S);
    }
    let worse = world.evidence().stable_worse.unwrap();
    assert!(worse.stable > worse.candidate, "{worse:?}");
    for _ in 0..120 {
        world.serve(&mut rng, 1_000, 0.0, 0.02);
        world.pass(S);
    }
    assert_eq!(world.evidence().stable_worse, None, "it is over");
}

#[test]
fn more_answers_of_4xx_than_stable_are_noticed_and_as_many_are_not() {
    let course = |candidate: f64, margin: f64| {
        let mut plan = plan(0.001);
        plan.regression.client_errors = margin;
        let (mut world, mut rng) = world(&plan, 0.5);
        for _ in 0..60 {
            world.serve(&mut rng, 1_000, 0.0, 0.0);
            world.counts.versions[STABLE].client_errors += rng.binomial(500, 0.03);
            world.counts.versions[CANDIDATE].client_errors += rng.binomial(500, candidate);
            world.pass(S);
        }
        let evidence = world.evidence();
        assert!(!evidence.errors.unwrap().worse, "no failures");
        evidence.client_errors.is_some_and(|test| test.worse)
    };
    assert!(!course(0.03, 2.0));
    assert!(course(0.3, 2.0));
    assert!(!course(0.3, 0.0), "nobody asked");
}

/// Forty networks; of the candidate's requests some are slow, all from one network or from any.
fn whose_slow_requests(of_one: bool) -> Vec<SlowClients> {
    let rule = Rule::Latency { quantile: 0.95, above: Duration::from_secs(2) };
    let (over, lasting) = (Duration::from_secs(60), Duration::ZERO);
    let guard = Guard {
        name: "slow".into(),
        rule,
        over,
        absolute: false,
        lasting,
        action: Action::Rollback,
    };
    let plan = with_guard(plan(0.001), guard);
    let mut world = World::new(&plan, &Objectives::default(), 0.1);
    world.show_latencies();
    let quick = Duration::from_millis(20);
    for second in 0..100u32 {
        (0..40).for_each(|network| world.answer_from(STABLE, network, quick));
        (0..4).for_each(|n| world.answer_from(CANDIDATE, (second * 4 + n) % 40, quick));
        if second >= 60 {
            let network = if of_one { 99 } else { second * 7 % 40 };
            world.answer_from(CANDIDATE, network, Duration::from_secs(5));
        }
        world.add(STABLE, 40, 0, 0);
        world.add(CANDIDATE, 4, 0, 0);
        world.pass(1_000);
    }
    let evidence = world.evidence();
    let slow = &evidence.guards[0];
    assert_eq!(slow.of_few_clients, of_one, "{evidence:?}");
    assert_eq!(slow.breached && slow.proven, !of_one, "{evidence:?}");
    evidence.slow_clients
}

#[test]
fn slow_requests_of_one_client_are_told_from_those_of_everybody() {
    let of_one = whose_slow_requests(true);
    let rules: Vec<&str> = of_one.iter().map(|slow| slow.rule.as_str()).collect();
    assert_eq!(rules, ["slow", "regression.latency"]);
    for slow in of_one {
        assert!(slow.requests.is_concentrated(), "{slow:?}");
    }
    let of_all = whose_slow_requests(false);
    assert!(of_all.iter().all(|slow| !slow.requests.is_concentrated()), "{of_all:?}");
}

/// Whether the guard `errorRate > 1%` finds stable no better, by how many of a thousand fail.
fn shares(absolute: bool, stable: u64, candidate: u64) -> bool {
    let rule = Rule::ErrorRate { above: 0.01 };
    let (over, lasting) = (Duration::from_secs(30), Duration::ZERO);
    let action = Action::Rollback;
    let guard = Guard { name: "errors".into(), rule, over, absolute, lasting, action };
    let mut world = World::new(&with_guard(plan(0.001), guard), &Objectives::default(), 0.5);
    for _ in 0..30 {
        world.add(STABLE, 1_000, stable, stable);
        world.add(CANDIDATE, 1_000, candidate, candidate);
        world.pass(1_000);
    }
    let reading = &world.evidence().guards[0];
    assert!(reading.breached, "{reading:?}");
    reading.shared
}

#[test]
fn a_guard_knows_when_stable_is_no_better() {
    assert!(shares(false, 30, 30), "both beyond");
    assert!(shares(false, 20, 200), "both beyond, however far");
    assert!(shares(false, 9, 13), "not half again as much");
    assert!(!shares(false, 1, 30), "the candidate alone");
    assert!(!shares(true, 30, 30), "an absolute limit");
}

/// What a release before bounded harm stored: a rollout goes on over the upgrade with what was known.
#[test]
fn what_the_release_before_stored_is_read() {
    let stored = include_bytes!("fixtures/judge-form-2");
    let plan = plan(0.001);
    let objectives = Objectives::default();
    let read = |bytes: &[u8]| {
        let (second, now) = (Duration::from_secs(1), Mono(5));
        Judge::decode(&plan, &objectives, &version("v1"), bytes, second, now)
    };
    let judge = read(stored).unwrap();
    let evidence = judge.evidence(&ServiceSlo::new(&objectives, Mono(0)), &[], Mono(5));
    assert_eq!(evidence.step.candidate, Part { bad: 21, of: 2_400 });
    assert!((evidence.promotion.unwrap().value - 4.220_013_821).abs() < 1e-6);
    let mut unknown = stored.to_vec();
    unknown[0] = 1;
    assert!(read(&unknown).is_err());
}
