//! What people ask for, and what they are told.

use super::world::*;
use serin_core::rollout::*;
use serin_core::weights::Weights;

fn weights(candidate_weight: u16) -> Command {
    let weights = Weights::two(stable().version, candidate().version, bp(candidate_weight));
    Command::SetWeights { weights, actor: "ana".into(), reason: "by feel".into() }
}

#[test]
fn a_promotion_skips_the_hold_and_the_evidence_of_one_step() {
    let mut world = World::started(plan());
    world.tick();
    world.evidence.promotion = None;
    world.evidence.step = Exposure::default();
    world.command(&promote()).unwrap();
    assert_eq!(world.weight(), bp(1_000), "the next decision does it");
    world.tick();
    assert_eq!(world.weight(), bp(5_000));
    world.run(MINUTE * 60);
    assert_eq!(world.weight(), bp(5_000), "of one step only");
}

#[test]
fn a_promotion_is_refused_while_a_guard_stands_and_says_so() {
    let mut world = World::started(plan());
    world.tick();
    world.evidence = breached("slow", Value::Time(SECOND * 3));
    world.tick();
    let refused = world.command(&promote()).unwrap_err();
    assert_eq!(refused.to_string(), "guard slow is breached for 0s of 5m");
    world.evidence = breached("errors", Value::Share(0.2));
    let refused = world.command(&promote()).unwrap_err();
    assert!(refused.to_string().starts_with("is about to roll back: guard errors"), "{refused}");
}

#[test]
fn a_promotion_does_not_answer_for_a_webhook() {
    let mut world = World::started(Plan { gates: vec![approval(5_000), webhook(5_000)], ..plan() });
    world.tick();
    world.command(&promote()).unwrap();
    let decision = world.tick();
    assert_eq!(world.weight(), bp(1_000));
    assert_eq!(decision.verdict.to_string(), "hold: waits for http://ci.internal/go before 50%");
    assert_eq!(decision.asks.len(), 1);
}

#[test]
fn a_freeze_stops_everything_but_rollbacks() {
    let mut world = World::started(plan());
    world.tick();
    let (by, reason, since) = ("ana".into(), "black friday".into(), world.now.wall);
    world.conditions.freeze = Some(Freeze { by, reason, since });
    let decision = world.run(MINUTE * 30);
    assert_eq!(world.weight(), bp(1_000));
    assert_eq!(decision.verdict.to_string(), "hold: frozen by ana: black friday");
    assert!(world.command(&promote()).is_err());
    assert!(world.command(&weights(2_000)).is_err());
    world.command(&weights(500)).unwrap();
    world.command(&abort()).unwrap();
    assert_eq!(world.phase(), Phase::RolledBack);
}

#[test]
fn a_rejected_release_starts_only_by_a_retry() {
    let mut world = World::new(Plan { start: Start::OnChange, ..plan() });
    world.run(SECOND * 3);
    world.evidence = breached("errors", Value::Share(0.2));
    world.tick();
    world.evidence = healthy();
    let rest = world.run(MINUTE * 60);
    assert!(matches!(rest.hold_reasons[0], HoldReason::Quarantined { .. }));
    assert!(matches!(world.command(&start()), Err(Refusal::Quarantined { .. })));
    assert!(matches!(world.command(&weights(500)), Err(Refusal::Quarantined { .. })));
    let epoch = world.position.epoch;
    world.command(&retry()).unwrap();
    world.tick();
    assert_eq!((world.weight(), world.position.epoch), (bp(1_000), epoch.next()));
}

#[test]
fn a_pause_stops_the_hold_and_a_resume_goes_on_with_what_was_left() {
    let mut world = World::started(plan());
    world.run(MINUTE * 10);
    world.command(&pause()).unwrap();
    let paused = world.run(MINUTE * 60);
    assert_eq!(paused.verdict.to_string(), "hold: paused by ana: looking");
    assert!(matches!(world.command(&pause()), Err(Refusal::Phase { .. })));
    world.command(&resume()).unwrap();
    world.run(MINUTE * 5);
    assert_eq!(world.weight(), bp(1_000));
    world.run(SECOND * 2);
    assert_eq!(world.weight(), bp(5_000));
}

#[test]
fn a_weight_set_by_hand_is_watched_guarded_and_resumed_into_the_plan() {
    let mut world = World::new(plan());
    world.tick();
    world.command(&weights(2_500)).unwrap();
    let decision = world.run(MINUTE * 60);
    assert_eq!((world.phase(), world.weight()), (Phase::Paused, bp(2_500)));
    let says = "hold: paused by ana: weight set by hand: by feel";
    assert_eq!(decision.verdict.to_string(), says);
    assert_eq!(decision.split.weights.of(&candidate().version), bp(2_500));
    world.command(&resume()).unwrap();
    world.run(MINUTE * 15);
    assert_eq!(world.weight(), bp(5_000));
    world.command(&weights(6_000)).unwrap();
    world.evidence = breached("errors", Value::Share(0.2));
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack);
}

#[test]
fn weights_between_versions_outside_the_plan_are_kept_and_judged_by_nobody() {
    let mut world = World::new(plan());
    world.tick();
    let by_hand = |other: &str| Command::SetWeights {
        weights: Weights::two(stable().version, version(other), bp(3_000)),
        actor: "ana".into(),
        reason: "old friends".into(),
    };
    assert!(matches!(world.command(&by_hand("v39")), Err(Refusal::UnknownVersion(_))));
    let decision = world.command(&by_hand("v40")).unwrap();
    assert_eq!(decision.split.weights.of(&version("v40")), bp(3_000));
    assert_eq!(decision.split.rollout, None);
    assert_eq!(decision.events.last().unwrap().to_string(), "weight set from 0% to 30% by ana");
    assert!(matches!(world.command(&start()), Err(Refusal::ByHand)));
    world.command(&weights(0)).unwrap();
    world.command(&start()).unwrap();
    assert!(matches!(world.command(&by_hand("v40")), Err(Refusal::OtherVersions { .. })));
}

#[test]
fn weights_of_a_version_that_the_file_lets_go_of_are_stables_again() {
    let mut world = World::new(plan());
    world.tick();
    let weights = Weights::two(stable().version, version("v40"), bp(3_000));
    let (actor, reason) = ("ana".into(), "old friends".into());
    world.command(&Command::SetWeights { weights, actor, reason }).unwrap();
    let decision = world.run(MINUTE);
    assert_eq!(decision.split.weights.of(&version("v40")), bp(3_000));
    world.terms.versions.retain(|identity| identity.version != version("v40"));
    let decision = world.tick();
    assert_eq!(decision.split.weights, Weights::all_to(stable().version));
    assert_eq!(decision.events.len(), 1, "{:?}", decision.events);
    world.command(&start()).unwrap();
}

#[test]
fn a_start_is_refused_with_what_would_help() {
    let mut world = World::new(plan());
    world.tick();
    let with = |to: &str, release: Option<&str>| {
        let Command::Start(asked) = start() else { unreachable!() };
        let release = release.map(str::to_owned);
        Command::Start(StartCommand { to: Some(version(to)), release, ..asked })
    };
    assert!(matches!(world.command(&with("v40", None)), Err(Refusal::NotPlanned { .. })));
    assert!(matches!(world.command(&with("v42", Some("1"))), Err(Refusal::NotThatRelease { .. })));
    assert!(matches!(world.command(&retry()), Err(Refusal::NotTried(_))));
    assert_eq!(world.command(&pause()), Err(Refusal::NoRollout));
    world.command(&with("v42", Some("2026.11.20"))).unwrap();
    assert!(matches!(world.command(&start()), Err(Refusal::UnderWay { .. })));
    world.terms.plan = None;
    world.tick();
    assert_eq!(world.command(&start()), Err(Refusal::NoPlan));
}

#[test]
fn an_answer_to_a_gate_that_nobody_asked_is_refused() {
    let mut world = World::started(Plan { gates: vec![approval(5_000)], ..plan() });
    let approve = |before| Command::Approve { before: Some(bp(before)), actor: "ana".into() };
    assert!(matches!(world.command(&approve(4_000)), Err(Refusal::NoApproval { .. })));
    let gate = GateRef { before: bp(5_000), kind: GateRefKind::Shadow };
    let answer = Command::GateAnswered { gate, answer: Answer::Granted, actor: "ana".into() };
    assert!(matches!(world.command(&answer), Err(Refusal::NoSuchGate(_))));
}
