//! Taking a completed rollout back.

use super::world::*;
use serin_core::rollout::*;
use serin_core::split::Sessions;
use serin_core::weights::{BasisPoints, Weights};

fn undo() -> Command {
    Command::Undo { actor: "ana".into(), reason: "checkout is empty".into() }
}

/// v42 is stable, and v41 was.
fn completed() -> World {
    completed_by(plan())
}

fn completed_by(plan: Plan) -> World {
    let mut world = World::started(plan);
    world.run(MINUTE * 110);
    assert_eq!(world.position.stable, candidate());
    world.evidence.former_ready = Some(Ready { ready: 3, total: 3 });
    world
}

/// The file brings in v43, after v42.
fn next(world: &mut World, more: Plan) -> Identity {
    let third = identity("v43", "2026.11.27");
    world.terms.versions.push(third.clone());
    let Identity { version, release } = third.clone();
    world.terms.plan = Some(Plan { to: version, release, ..more });
    third
}

#[test]
fn what_was_stable_before_gets_everything_and_the_release_is_blamed() {
    let mut world = completed();
    let decision = world.command(&undo()).unwrap();
    assert_eq!(world.position.stable, stable());
    assert_eq!(decision.split.stable, stable().version);
    assert_eq!(decision.split.weights, {
        Weights::two(stable().version, candidate().version, BasisPoints::ZERO)
    });
    assert_eq!(world.phase(), Phase::RolledBack);
    let ended = world.rollout().ended.clone().unwrap();
    assert!(ended.blamed && ended.by == "ana" && ended.label == "undone", "{ended:?}");
    assert_eq!(
        decision.events.last().unwrap().to_string(),
        "v42 (2026.11.20) was taken back: v41 (2026.11.02) is stable again, undone by ana: checkout is empty"
    );
    assert!(matches!(world.command(&start()), Err(Refusal::Quarantined { .. })));
    assert!(world.command(&retry()).is_ok());
}

#[test]
fn open_sessions_leave_at_once_though_a_rollback_would_let_them_drain() {
    let mut world = completed_by(Plan { on_rollback: OnRollback::Drain, ..plan() });
    let decision = world.command(&undo()).unwrap();
    assert_eq!(decision.split.rollout.unwrap().sessions, Sessions::Revoke);
    world.run(MINUTE);
    assert!(!world.saw("drained"));
}

#[test]
fn nothing_starts_by_itself_after_it() {
    let mut world = completed();
    world.terms.plan.as_mut().unwrap().start = Start::OnChange;
    world.command(&undo()).unwrap();
    world.run(MINUTE * 60);
    assert_eq!((world.position.stable.clone(), world.weight()), (stable(), BasisPoints::ZERO));
    assert!(world.position.active().is_none());
}

#[test]
fn a_freeze_and_weights_by_hand_do_not_stand_in_its_way() {
    let mut world = completed();
    world.terms.plan = None;
    let weights = Weights::two(candidate().version, version("v40"), bp(2_000));
    let (actor, reason) = ("ana".to_owned(), String::new());
    world.command(&Command::SetWeights { weights, actor, reason }).unwrap();
    let (by, reason, since) = ("ben".into(), "a fair".into(), world.now.wall);
    world.conditions.freeze = Some(Freeze { by, reason, since });
    let decision = world.command(&undo()).unwrap();
    assert_eq!(decision.split.weights.of(&stable().version), BasisPoints::WHOLE);
    assert_eq!(world.position.manual, None);
}

#[test]
fn it_can_be_done_again_until_nothing_is_known_that_was_before() {
    let mut world = completed();
    let third = next(&mut world, plan());
    world.command(&start()).unwrap();
    world.run(MINUTE * 110);
    assert_eq!(world.position.stable, third);
    world.command(&undo()).unwrap();
    assert_eq!(world.position.stable, candidate());
    world.command(&undo()).unwrap();
    assert_eq!(world.position.stable, stable());
    let refused = world.command(&undo()).unwrap_err();
    assert_eq!(refused, Refusal::NothingBefore(stable()));
}

#[test]
fn a_rollout_that_came_after_it_keeps_its_own_end() {
    let mut world = completed();
    next(&mut world, plan());
    world.command(&start()).unwrap();
    world.tick();
    let refused = world.command(&undo()).unwrap_err();
    assert!(refused.to_string().contains("abort it first"), "{refused}");
    world.command(&abort()).unwrap();
    let (last, epoch) = (world.rollout().clone(), world.position.epoch);
    let decision = world.command(&undo()).unwrap();
    assert_eq!((world.position.stable.clone(), world.position.epoch), (stable(), epoch));
    assert_eq!(world.rollout(), &last);
    // An epoch is never published after a later one.
    assert_eq!(decision.split.rollout.unwrap().epoch, epoch);
}

#[test]
fn it_is_refused_with_what_to_do_when_what_was_before_is_not_there() {
    let mut world = completed();
    for (ready, total) in [(0, 3), (1, 3)] {
        world.evidence.former_ready = Some(Ready { ready, total });
        let refused = world.command(&undo()).unwrap_err();
        assert!(refused.to_string().contains("start the others"), "{refused}");
    }
    world.evidence.former_ready = None;
    assert!(world.command(&undo()).unwrap_err().to_string().contains("not known yet"));
    world.evidence.former_ready = Some(Ready { ready: 2, total: 3 });
    let listed = std::mem::take(&mut world.terms.versions);
    world.terms.versions = vec![candidate(), identity("v41", "2026.12.01")];
    let refused = world.command(&undo()).unwrap_err();
    assert!(refused.to_string().contains("the release 2026.12.01 now"), "{refused}");
    world.terms.versions.remove(1);
    let refused = world.command(&undo()).unwrap_err();
    assert!(refused.to_string().contains("list it again"), "{refused}");
    assert_eq!(world.position.stable, candidate());
    world.terms.versions = listed;
    world.command(&undo()).unwrap();
}
