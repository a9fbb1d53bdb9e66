//! A control group that stays on stable to the end, and what is judged where nothing of stable is left.

use super::day::{Day, HOUR, seeds};
use super::world::*;
use serin_core::rollout::*;
use serin_core::simulate::Dice;
use serin_core::slo::Objectives;
use serin_core::split::Scope;
use serin_core::weights::BasisPoints;

const KEPT: u16 = 200;

fn keeping(points: u16) -> Plan {
    let step =
        |weight, minutes| Step { weight: bp(weight), hold: MINUTE * minutes, of: Scope::All };
    let evidence = Demand { accept: Accept::BoundedHarm, min_requests: 30, ..plan().evidence };
    Plan {
        baseline: bp(points),
        steps: vec![step(1_000, 5), step(10_000, 30)],
        guards: Vec::new(),
        harm: Harm::default(),
        evidence,
        ..plan()
    }
}

fn on_the_last_step(plan: Plan) -> World {
    let mut world = World::started(plan);
    world.run(MINUTE * 6);
    assert_eq!(world.rollout().stage, Stage::Step(1));
    world
}

fn worse_than_before() -> Option<BeforeTest> {
    Some(BeforeTest {
        value: 2_000.0,
        needed: 1_000.0,
        limit: 0.004,
        candidate: Part { bad: 6, of: 6 },
        stable: Part { bad: 100, of: 100_000 },
        worse: true,
        of_few_clients: false,
    })
}

#[test]
fn the_last_step_leaves_stable_its_share_and_completion_takes_it() {
    let mut world = on_the_last_step(keeping(KEPT));
    assert_eq!(world.weight(), bp(9_800));
    let raised = world.events.iter().rfind(|event| event.name() == "advanced").unwrap();
    assert_eq!(raised.to_string(), "weight raised from 10% to 98%");
    let decision = world.run(MINUTE * 29);
    assert_eq!(decision.split.weights.of(&stable().version), bp(KEPT));
    let held = world.rollout().hold_left().unwrap();
    let decision = world.run(held);
    assert_eq!(world.phase(), Phase::Complete);
    assert_eq!(decision.split.weights.of(&candidate().version), BasisPoints::WHOLE);
    let Verdict::Complete(grounds) = decision.verdict else { panic!("{:?}", decision.verdict) };
    assert!(grounds.to_string().starts_with("100% after 30m"), "{grounds}");
}

#[test]
fn nothing_is_kept_where_nothing_shall_be() {
    assert_eq!(on_the_last_step(keeping(0)).weight(), BasisPoints::WHOLE);
}

#[test]
fn a_single_step_to_everything_keeps_a_share_until_its_hold_ends() {
    let mut plan = keeping(KEPT);
    plan.steps.remove(0);
    plan.strategy = Strategy::BlueGreen;
    plan.gates = vec![approval(10_000)];
    let mut world = World::started(plan);
    world.run(MINUTE);
    assert_eq!(world.weight(), bp(0));
    world.command(&promote()).unwrap();
    world.run(MINUTE);
    assert_eq!(world.weight(), bp(9_800));
    // Whoever wants no comparison any more says so.
    world.command(&promote()).unwrap();
    world.tick();
    assert_eq!(world.phase(), Phase::Complete);
}

#[test]
fn a_reload_finds_the_last_step_again_and_raises_nothing() {
    let mut world = on_the_last_step(keeping(KEPT));
    let mut longer = keeping(KEPT);
    longer.steps[1].hold = MINUTE * 60;
    world.terms = terms(longer.clone());
    world.run(MINUTE);
    assert_eq!((world.rollout().stage, world.weight()), (Stage::Step(1), bp(9_800)));
    longer.baseline = BasisPoints::ZERO;
    world.terms = terms(longer);
    world.run(MINUTE);
    assert_eq!(world.weight(), bp(9_800));
    assert_eq!(world.phase(), Phase::Running);
}

#[test]
fn beside_a_share_of_stable_worse_than_before_is_a_first_strike() {
    let mut world = on_the_last_step(keeping(KEPT));
    world.evidence.before = worse_than_before();
    world.tick();
    assert_eq!((world.weight(), world.phase()), (bp(0), Phase::Holding));
    world.evidence.before = None;
    world.run(MINUTE);
    assert_eq!(world.weight(), bp(9_800));
    world.evidence.before = worse_than_before();
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack);
}

#[test]
fn beside_nothing_worse_than_before_goes_back_at_once_and_says_why() {
    let mut world = on_the_last_step(keeping(0));
    world.evidence.before = worse_than_before();
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack);
    let ended = world.rollout().ended.clone().unwrap();
    assert_eq!((ended.label.as_str(), ended.blamed), ("regression.before", true));
    let says = "more errors than stable before: 6 of 6 bad, stable 100 of 100000; the limit is 0.4%, evidence 2000 of 1000";
    assert_eq!(ended.why, says);
}

/// An hour of stable, a rollout up to its last step, some good minutes there, and then the candidate fails `share`
/// of its requests. Failures until it is back at stable for good, and seconds.
fn fails_late(kept: u16, share: f64, both: bool, dice: &mut Dice) -> Option<(u64, u64)> {
    const RATE: f64 = 10.0;
    const USUAL: [f64; 2] = [0.001, 0.001];
    let mut day = Day::new(keeping(kept), Objectives::default());
    for _ in 0..HOUR {
        day.second(RATE, USUAL, dice);
    }
    day.start();
    for _ in 0..3 * HOUR {
        day.second(RATE, USUAL, dice);
        if day.weight() > 0.5 {
            break;
        }
    }
    for _ in 0..300 {
        day.second(RATE, USUAL, dice);
    }
    assert!(day.weight() > 0.5);
    let before = day.counts.failed_requests;
    for second in 0..600 {
        let failing = [if both { share } else { USUAL[0] }, share];
        if let Verdict::Rollback(_) = day.second(RATE, failing, dice) {
            return Some((day.counts.failed_requests - before, second));
        }
    }
    None
}

#[test]
fn who_begins_to_fail_with_everyone_on_it_goes_after_few_failures() {
    for (kept, share, most) in [(0, 1.0, 20), (0, 0.05, 20), (KEPT, 1.0, 40), (KEPT, 0.05, 30)] {
        let mut failed: Vec<u64> = seeds(12)
            .map(|seed| fails_late(kept, share, false, &mut Dice::new(seed)).unwrap().0)
            .collect();
        failed.sort_unstable();
        println!("{kept} kept, {share} failing: {failed:?}");
        assert!(failed[6] <= most, "{kept} kept, {share} failing: {failed:?}");
    }
}

#[test]
fn an_outage_of_both_sends_nobody_back_while_a_share_of_stable_is_kept() {
    let back =
        seeds(12).filter(|seed| fails_late(KEPT, 0.5, true, &mut Dice::new(*seed)).is_some());
    assert_eq!(back.count(), 0);
}
