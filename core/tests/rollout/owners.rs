//! Files own what is intended, the journal what is so: what a file is refused for, what becomes of a
//! second candidate, and that what is foretold is what happens.

use super::world::*;
use serin_core::rollout::*;
use serin_core::time::Wall;
use serin_core::weights::{BasisPoints, Weights};

fn third() -> Identity {
    identity("v43", "2026.11.27")
}

fn endpoints(of: &Identity) -> Vec<String> {
    vec![format!("{}:80", of.version)]
}

fn listed(versions: &[Identity]) -> Vec<Listed> {
    let listed =
        |identity: &Identity| Listed { identity: identity.clone(), endpoints: endpoints(identity) };
    versions.iter().map(listed).collect()
}

/// What the file, as it stands in the world's terms, would do to the world's position.
fn foretold(world: &World) -> Consequence {
    foretold_with(world, &listed(&world.terms.versions))
}

fn foretold_with(world: &World, file: &[Listed]) -> Consequence {
    let known = listed(&terms(plan()).versions);
    let intent = Intent::of(&world.terms);
    foretell(&world.position, &known, Some((intent, file)), &world.conditions)
}

fn conflict(world: &World) -> Conflict {
    let foretold = foretold(world);
    let Consequence::Refused(conflict) = foretold else { panic!("not refused: {foretold}") };
    conflict
}

/// v42 stands on its first step, and the file has another candidate beside it.
fn with_third(on_busy: OnBusy, start: Start) -> World {
    let mut world = World::started(plan());
    world.run(SECOND * 3);
    assert_eq!(world.weight(), bp(1_000));
    world.terms.versions.push(third());
    let Identity { version, release } = third();
    world.terms.plan = Some(Plan { to: version, release, start, on_busy, ..unshadowed() });
    world
}

/// Without rules about copies, which go to one version only.
fn unshadowed() -> Plan {
    let mut plan = plan();
    plan.guards.retain(|guard| guard.name != "diffs");
    plan
}

fn begin(supersede: bool) -> Command {
    let Command::Start(asked) = start() else { unreachable!() };
    Command::Start(StartCommand { supersede, ..asked })
}

fn freeze() -> Freeze {
    Freeze { by: "ana".into(), reason: "a fair".into(), since: Wall(0) }
}

#[test]
fn a_file_without_the_journals_stable_is_refused_whatever_its_own_stable_says() {
    let mut world = World::started(plan());
    world.tick();
    world.terms.versions.remove(0);
    world.terms.stable = candidate().version;
    let conflict = conflict(&world);
    assert_eq!(conflict, Conflict::StableGone(stable()));
    assert!(conflict.raises());
    assert!(conflict.to_string().starts_with("v41 (2026.11.02) is stable by the journal"));
    for _ in 0..3 {
        assert_eq!(world.tick().split.stable, stable().version, "nothing else became stable");
    }
    assert_eq!(world.weight(), BasisPoints::ZERO);
}

#[test]
fn stable_and_candidate_keep_their_releases() {
    let mut world = World::started(plan());
    world.tick();
    world.terms.versions[0].release.push('b');
    assert!(matches!(conflict(&world), Conflict::StableReleased { .. }));
    world.terms.versions[0] = stable();
    world.terms.versions[1].release.push('b');
    world.terms.plan.as_mut().unwrap().release.push('b');
    assert!(matches!(conflict(&world), Conflict::CandidateReleased { .. }));
}

#[test]
fn a_release_is_a_label_where_nothing_is_ever_judged() {
    let mut world = World::new(plan());
    world.tick();
    world.terms.plan = None;
    world.terms.versions[0].release.push('b');
    assert_eq!(foretold(&world), Consequence::Rests);
    world.tick();
    assert_eq!(world.position.stable, world.terms.versions[0]);
}

#[test]
fn a_rollout_under_way_keeps_its_candidate_its_plan_and_its_service() {
    let mut world = World::started(plan());
    world.tick();
    let gone = foretell(&world.position, &[], None, &world.conditions);
    assert!(matches!(gone, Consequence::Refused(Conflict::ServiceGone { .. })), "{gone}");
    world.terms.plan = None;
    assert!(matches!(conflict(&world), Conflict::PlanGone { .. }));
    let mut world = with_third(OnBusy::Queue, Start::OnChange);
    world.terms.versions.remove(1);
    assert!(matches!(conflict(&world), Conflict::CandidateGone { .. }));
    let mut world = World::started(plan());
    world.tick();
    let Identity { version, release } = stable();
    world.terms.plan = Some(Plan { to: version, release, ..plan() });
    assert!(matches!(conflict(&world), Conflict::BackToStable { .. }));
}

#[test]
fn a_version_with_a_share_by_hand_stays_listed_as_it_is() {
    let mut world = World::new(plan());
    world.tick();
    let weights = Weights::two(stable().version, version("v40"), bp(3_000));
    let (actor, reason) = ("ana".into(), "old friends".into());
    world.command(&Command::SetWeights { weights, actor, reason }).unwrap();
    world.terms.versions[2].release.push('b');
    assert!(matches!(conflict(&world), Conflict::WeightedReleased { .. }));
    world.terms.versions.remove(2);
    assert!(matches!(conflict(&world), Conflict::WeightedGone { .. }));
}

#[test]
fn endpoints_cannot_go_from_one_version_to_another_that_serves() {
    let mut world = World::started(plan());
    world.tick();
    let mut file = listed(&world.terms.versions);
    (file[0].endpoints, file[1].endpoints) = (endpoints(&candidate()), endpoints(&stable()));
    let swapped = foretold_with(&world, &file);
    assert!(
        matches!(&swapped, Consequence::Refused(Conflict::EndpointMoved { to, .. }) if *to == stable().version),
        "{swapped}"
    );
    let mut file = listed(&world.terms.versions);
    file[0].endpoints.push("10.0.0.9:80".into());
    assert!(matches!(foretold_with(&world, &file), Consequence::GoesOn(_)), "a new one may join");
    let mut file = listed(&world.terms.versions);
    file[2].endpoints = endpoints(&candidate());
    assert!(matches!(foretold_with(&world, &file), Consequence::GoesOn(_)), "it serves nobody");
}

#[test]
fn a_second_candidate_waits_until_the_first_one_is_complete() {
    let mut world = with_third(OnBusy::Queue, Start::OnChange);
    assert!(matches!(foretold(&world), Consequence::Queues { .. }), "{}", foretold(&world));
    world.run(MINUTE);
    assert_eq!((&world.rollout().candidate, world.weight()), (&candidate(), bp(1_000)));
    assert_eq!(world.position.queued.as_ref().unwrap().identity, third());
    world.run(MINUTE * 106);
    assert_eq!(world.position.stable, candidate());
    assert_eq!((&world.rollout().candidate, world.weight()), (&third(), bp(1_000)));
    assert!(world.position.queued.is_none());
}

#[test]
fn after_a_rollback_the_queued_one_starts_and_after_an_abort_it_does_not() {
    let mut world = with_third(OnBusy::Queue, Start::OnChange);
    world.tick();
    world.evidence = breached("errors", Value::Share(0.2));
    world.tick();
    world.evidence = healthy();
    world.run(SECOND * 3);
    assert_eq!((&world.rollout().candidate, world.weight()), (&third(), bp(1_000)));

    let mut world = with_third(OnBusy::Queue, Start::OnChange);
    world.tick();
    world.command(&abort()).unwrap();
    world.run(MINUTE);
    assert_eq!((&world.rollout().candidate, world.phase()), (&candidate(), Phase::RolledBack));
    assert!(world.position.queued.is_none() && world.saw("unqueued"));
    world.command(&start()).unwrap();
}

#[test]
fn what_is_queued_does_not_start_in_a_freeze() {
    let mut world = with_third(OnBusy::Queue, Start::OnChange);
    world.tick();
    world.conditions.freeze = Some(freeze());
    world.evidence = breached("errors", Value::Share(0.2));
    world.tick();
    world.evidence = healthy();
    let rest = world.run(MINUTE);
    assert!(matches!(rest.hold_reasons[0], HoldReason::Frozen { .. }), "{}", rest.verdict);
    assert_eq!(world.phase(), Phase::RolledBack);
    world.conditions.freeze = None;
    world.run(SECOND * 3);
    assert_eq!((&world.rollout().candidate, world.weight()), (&third(), bp(1_000)));
}

#[test]
fn a_candidate_that_is_superseded_is_not_held_to_be_bad() {
    let mut world = with_third(OnBusy::Supersede, Start::OnChange);
    assert!(matches!(foretold(&world), Consequence::Supersedes { .. }));
    let decision = world.tick();
    assert_eq!(decision.split.weights.of(&stable().version), BasisPoints::WHOLE);
    assert_eq!((world.phase(), &*world.position.quarantine), (Phase::Superseded, &[][..]));
    assert!(world.saw("superseded") && !world.saw("rolledBack"));
    world.tick();
    assert_eq!((&world.rollout().candidate, world.weight()), (&third(), BasisPoints::ZERO));
    world.run(SECOND * 3);
    assert_eq!(world.weight(), bp(1_000), "from its first step");
}

#[test]
fn a_candidate_may_leave_the_file_that_supersedes_it() {
    let mut world = with_third(OnBusy::Supersede, Start::OnChange);
    world.terms.versions.remove(1);
    assert!(matches!(foretold(&world), Consequence::Supersedes { .. }));
    world.run(SECOND * 4);
    assert_eq!((&world.rollout().candidate, world.weight()), (&third(), bp(1_000)));
}

#[test]
fn by_hand_a_start_queues_supersedes_or_is_refused() {
    let mut world = with_third(OnBusy::Queue, Start::Manual);
    assert!(matches!(foretold(&world), Consequence::GoesOn(_)), "a file alone starts nothing");
    world.command(&begin(false)).unwrap();
    assert!(matches!(foretold(&world), Consequence::Queues { .. }));
    assert_eq!(world.weight(), bp(1_000));
    world.command(&begin(true)).unwrap();
    assert_eq!(world.phase(), Phase::Superseded);
    world.run(SECOND * 3);
    assert_eq!(world.rollout().candidate, third());

    let mut world = with_third(OnBusy::Refuse, Start::Manual);
    assert!(matches!(conflict(&world), Conflict::Busy { .. }));
    assert!(matches!(world.command(&begin(false)), Err(Refusal::UnderWay { .. })));
    world.conditions.freeze = Some(freeze());
    assert!(matches!(world.command(&begin(true)), Err(Refusal::Held(_))));
    world.conditions.freeze = None;
    world.command(&begin(true)).unwrap();
}

#[test]
fn a_file_that_takes_its_next_candidate_back_takes_it_out_of_the_queue() {
    let mut world = with_third(OnBusy::Queue, Start::OnChange);
    world.tick();
    world.terms.plan = Some(unshadowed());
    world.tick();
    assert!(world.position.queued.is_none());
    assert_eq!((&world.rollout().candidate, world.weight()), (&candidate(), bp(1_000)));
}

#[test]
fn a_candidate_that_is_judged_by_copies_lets_no_other_be_named() {
    let mut world = with_third(OnBusy::Queue, Start::OnChange);
    world.terms.plan.as_mut().unwrap().guards = plan().guards;
    assert!(matches!(conflict(&world), Conflict::CopiesElsewhere { .. }));
}

#[test]
fn what_would_raise_is_not_hidden_by_what_only_lowers() {
    let mut world = World::started(plan());
    world.tick();
    world.terms.plan = None;
    let mut file = listed(&world.terms.versions);
    file[0].endpoints.extend(endpoints(&candidate()));
    let told = foretold_with(&world, &file);
    assert!(
        matches!(&told, Consequence::Refused(conflict) if conflict.raises()),
        "a start would take it: {told}"
    );
}
