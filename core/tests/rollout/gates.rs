//! What people say to gates.

use super::world::*;
use serin_core::rollout::*;

fn approve(actor: &str) -> Command {
    Command::Approve { before: None, actor: actor.into() }
}

fn promote_as(actor: &str) -> Command {
    Command::Promote { actor: actor.into() }
}

fn tick(item: &str, done: bool) -> Command {
    Command::Tick { item: item.into(), done, actor: "ana".into() }
}

fn approvals(count: u32, by: &[&str]) -> Gate {
    let by = by.iter().map(ToString::to_string).collect();
    Gate { before: bp(5_000), kind: GateKind::Approvals { count, by } }
}

fn checklist(items: &[&str]) -> Gate {
    let items = items.iter().map(ToString::to_string).collect();
    Gate { before: bp(5_000), kind: GateKind::Checklist { items } }
}

/// On its first step, with these gates before the second.
fn waiting(gates: Vec<Gate>) -> World {
    let mut world = World::started(Plan { gates, ..plan() });
    world.tick();
    assert_eq!(world.weight(), bp(1_000));
    world
}

#[test]
fn an_approval_waits_for_hold_and_evidence_and_a_promotion_does_not() {
    let mut world = waiting(vec![approval(5_000)]);
    world.command(&approve("ana")).unwrap();
    world.run(MINUTE * 14);
    assert_eq!(world.weight(), bp(1_000));
    world.run(MINUTE * 2);
    assert_eq!(world.weight(), bp(5_000));
    let mut world = waiting(vec![approval(5_000)]);
    world.command(&promote()).unwrap();
    world.tick();
    assert_eq!(world.weight(), bp(5_000));
}

#[test]
fn an_approval_of_nothing_is_refused_with_what_waits_for_one() {
    let mut world = waiting(vec![approval(10_000)]);
    let refused = world.command(&approve("ana")).unwrap_err();
    assert!(refused.to_string().contains("it does before 100%"), "{refused}");
    let ahead = Command::Approve { before: Some(bp(10_000)), actor: "ana".into() };
    world.command(&ahead).unwrap();
    world.run(MINUTE * 46);
    assert_eq!(world.weight(), bp(10_000));
    let refused = world.command(&approve("ana")).unwrap_err();
    assert_eq!(refused, Refusal::NoNextStep);
}

#[test]
fn several_have_to_be_different_people_of_those_who_are_named() {
    let mut world = waiting(vec![approvals(2, &["lead", "qa", "sre"])]);
    let refused = world.command(&approve("ana")).unwrap_err();
    assert_eq!(refused.to_string(), "ana may not approve this step; lead and qa and sre may");
    world.command(&approve("lead")).unwrap();
    world.command(&approve("lead")).unwrap();
    let held = world.run(MINUTE * 20);
    assert_eq!(
        held.verdict.to_string(),
        "hold: waits for 2 approvals before 50%; given by lead; qa or sre may"
    );
    world.command(&approve("qa")).unwrap();
    world.tick();
    assert_eq!(world.weight(), bp(5_000));
}

#[test]
fn a_promotion_counts_for_its_author_alone_and_keeps_until_the_others_have_come() {
    let mut world = waiting(vec![approvals(2, &["lead", "qa"])]);
    world.command(&promote_as("ana")).unwrap();
    world.tick();
    world.command(&promote_as("lead")).unwrap();
    world.run(MINUTE);
    assert_eq!(world.weight(), bp(1_000));
    world.command(&approve("qa")).unwrap();
    world.tick();
    assert_eq!(world.weight(), bp(5_000));
}

#[test]
fn whoever_is_no_longer_named_no_longer_counts() {
    let mut world = waiting(vec![approvals(1, &["lead"])]);
    world.command(&approve("lead")).unwrap();
    world.terms.plan.as_mut().unwrap().gates = vec![approvals(1, &["qa"])];
    world.run(MINUTE * 20);
    assert_eq!(world.weight(), bp(1_000));
}

#[test]
fn a_checklist_waits_for_every_item_whoever_promotes() {
    let mut world = waiting(vec![checklist(&["backup", "support told"])]);
    let refused = world.command(&tick("bakup", true)).unwrap_err();
    assert!(refused.to_string().ends_with("they have: backup, support told"), "{refused}");
    world.command(&tick("backup", true)).unwrap();
    world.command(&promote()).unwrap();
    let held = world.tick();
    assert_eq!(held.verdict.to_string(), "hold: waits for the checklist before 50%: support told");
    world.command(&tick("support told", true)).unwrap();
    world.command(&tick("backup", false)).unwrap();
    assert_eq!(world.tick().hold_reasons.len(), 1);
    assert_eq!(world.events.last().unwrap().to_string(), "ana took back \"backup\" before 50%");
    world.command(&tick("backup", true)).unwrap();
    world.tick();
    assert_eq!(world.weight(), bp(5_000));
}
