//! The product's example, move by move.

use super::world::*;
use serin_core::rollout::*;
use serin_core::slo::Promise;
use serin_core::split::{Scope, Sessions};
use serin_core::weights::Weights;
use std::time::Duration;

#[test]
fn a_healthy_release_goes_through_its_steps_and_becomes_stable() {
    let mut world = World::started(plan());
    world.tick();
    assert_eq!((world.phase(), world.weight()), (Phase::Running, bp(1_000)));
    assert_eq!(world.rollout().of, Scope::NewSessions);
    world.run(MINUTE * 15 - SECOND);
    assert_eq!(world.weight(), bp(1_000), "the first hold is not over");
    world.tick();
    assert_eq!((world.weight(), world.rollout().of), (bp(5_000), Scope::All));
    world.run(MINUTE * 30);
    assert_eq!(world.weight(), bp(10_000));
    let before = world.run(MINUTE * 60 - SECOND);
    assert_eq!(before.next.stable, stable(), "stable is kept warm until the last hold ends");
    let last = world.tick();
    assert!(matches!(last.verdict, Verdict::Complete(_)), "{}", last.verdict);
    assert_eq!(world.position.stable, candidate());
    assert_eq!(last.split.weights.of(&candidate().version), bp(10_000));
    assert_eq!(last.split.rollout, None);
}

#[test]
fn errors_over_one_percent_go_back_at_once() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("errors", Value::Share(0.2));
    let decision = world.tick();
    assert_eq!(decision.verdict.as_str(), "rollback");
    assert_eq!(decision.split.weights.of(&candidate().version), bp(0));
    let rollout = decision.split.rollout.unwrap();
    assert_eq!(rollout.sessions, Sessions::Revoke);
    let why = &world.rollout().ended.as_ref().unwrap().why;
    assert_eq!(why, "guard errors: 20% against a limit of 1%, stable 0.05%, 4000 samples");
    assert_eq!(world.position.quarantine.len(), 1);
}

#[test]
fn a_guard_whose_window_is_within_its_limit_does_not_act_whatever_was_proven_once() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    // Twelve failures in a row are proof, and nothing to go back for among 4,514 requests.
    world.evidence = breached("errors", Value::Share(0.002_7));
    world.evidence.guards[0].breached = false;
    let decision = world.run(MINUTE);
    assert_eq!(world.phase(), Phase::Running, "{}", decision.verdict);
    assert!(!decision.hold_reasons.iter().any(|o| matches!(o, HoldReason::GuardStanding { .. })));
}

#[test]
fn slow_answers_go_back_after_five_minutes_without_a_break() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("slow", Value::Time(SECOND * 3));
    let standing = world.run(MINUTE * 4);
    assert!(matches!(standing.hold_reasons[0], HoldReason::GuardStanding { .. }));
    world.evidence = healthy();
    world.tick();
    world.evidence = breached("slow", Value::Time(SECOND * 3));
    world.run(MINUTE * 5);
    assert_eq!(world.phase(), Phase::Running, "the break began it anew");
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack);
    assert_eq!(world.rollout().ended.as_ref().unwrap().label, "slow");
}

#[test]
fn half_the_activations_of_stable_go_back() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("conversion", Value::Ratio(0.4));
    let decision = world.tick();
    assert!(decision.verdict.to_string().contains("conversion: 40% of stable's"));
}

#[test]
fn nothing_but_rollbacks_happens_between_friday_and_monday() {
    let mut world = World::started(Plan { windows: windows(), ..plan() });
    world.tick();
    assert_eq!(world.weight(), bp(1_000));
    world.now.wall = wall("2026-11-27T13:59");
    world.run(MINUTE * 60);
    let closed = world.tick();
    assert_eq!((world.phase(), world.weight()), (Phase::Holding, bp(1_000)));
    assert_eq!(
        closed.verdict.to_string(),
        "hold: outside the deploy windows (no Friday deploys); opens 2026-12-01 13:00 UTC"
    );
    assert!(matches!(world.command(&promote()), Err(Refusal::Held(_))));
    world.evidence = breached("errors", Value::Share(0.2));
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack);
}

#[test]
fn with_less_than_a_tenth_of_the_budget_nothing_starts_without_a_person() {
    let mut world = World::started(plan());
    world.evidence.budget_left = Some(0.08);
    let decision = world.run(MINUTE * 60);
    assert_eq!((world.phase(), world.weight()), (Phase::Pending, bp(0)));
    assert_eq!(decision.verdict.to_string(), "hold: 8% of the error budget is left, under 10%");
    world.command(&promote()).unwrap();
    world.tick();
    assert_eq!(world.weight(), bp(1_000));
}

#[test]
fn with_half_of_the_budget_each_step_waits_for_a_confirmation() {
    let mut world = World::started(plan());
    world.evidence.budget_left = Some(0.3);
    world.tick();
    assert_eq!(world.weight(), bp(0));
    world.command(&Command::Approve { before: Some(bp(1_000)), actor: "ana".into() }).unwrap();
    world.tick();
    assert_eq!(world.weight(), bp(1_000));
    world.run(MINUTE * 20);
    assert_eq!(world.weight(), bp(1_000), "the second step needs its own");
    assert!(world.saw("budgetLow"));
}

#[test]
fn gates_are_asked_when_all_else_is_ready_and_hold_until_they_grant() {
    let mut world =
        World::started(Plan { gates: vec![approval(5_000), webhook(10_000)], ..plan() });
    let waiting = world.run(MINUTE * 20);
    assert_eq!(waiting.verdict.to_string(), "hold: waits for an approval before 50%");
    assert_eq!(world.phase(), Phase::Holding);
    world.command(&Command::Approve { before: Some(bp(5_000)), actor: "ana".into() }).unwrap();
    assert!(world.tick().asks.is_empty());
    assert_eq!(world.weight(), bp(5_000));
    assert!(world.run(MINUTE * 29).asks.is_empty(), "not before the hold is over");
    let asked = world.run(MINUTE * 2).asks;
    let gate = asked[0].gate.clone();
    let answer = |answer| Command::GateAnswered { gate: gate.clone(), answer, actor: "ci".into() };
    world.command(&answer(Answer::Refused { detail: "red".into() })).unwrap();
    let refused = world.tick();
    assert!(refused.verdict.to_string().ends_with("which refused: red"), "{}", refused.verdict);
    assert_eq!(refused.asks.len(), 1, "it is asked again");
    world.command(&answer(Answer::Granted)).unwrap();
    world.tick();
    assert_eq!(world.weight(), bp(10_000));
}

#[test]
fn too_little_traffic_is_neither_promoted_nor_condemned() {
    let mut world = World::started(plan());
    world.tick();
    world.evidence.step.candidate = Part { bad: 1, of: 12 };
    world.evidence.promotion = Some(Bet { value: 0.7, needed: 20.0 });
    let waiting = world.run(MINUTE * 60 * 23);
    assert_eq!(waiting.verdict.to_string(), "hold: 12 of 500 requests seen");
    let given_up = world.run(MINUTE * 60 * 2);
    assert_eq!(given_up.verdict.as_str(), "inconclusive");
    assert_eq!((world.phase(), world.weight()), (Phase::Inconclusive, bp(1_000)));
    assert!(world.saw("inconclusive"));
    world.evidence = breached("errors", Value::Share(0.2));
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack, "a guard outranks it");
}

#[test]
fn what_happens_with_too_few_requests_is_the_operators_choice() {
    for (on_too_few, phase) in
        [(OnTooFew::Pause, Phase::Inconclusive), (OnTooFew::Rollback, Phase::RolledBack)]
    {
        let mut world =
            World::started(Plan { evidence: Demand { on_too_few, ..plan().evidence }, ..plan() });
        world.evidence.step.candidate = Part { bad: 0, of: 12 };
        world.run(MINUTE * 16);
        assert_eq!(world.phase(), phase);
        assert_eq!(world.position.quarantine, [], "the release is not blamed");
    }
}

fn burn(long: f64, short: f64) -> BurnReading {
    BurnReading {
        name: "fast".into(),
        promise: Promise::Availability,
        long: Some(long),
        short: Some(short),
        threshold: 14.4,
        above: true,
        proven: true,
        of_few_clients: false,
        stable: Some(0.5),
        shared: false,
        samples: 900,
    }
}

#[test]
fn an_outage_of_both_versions_is_held_and_blames_nobody() {
    let mut world = World::started(plan());
    world.tick();
    world.evidence.shared_cause = Some(SharedCause { candidate: 0.4, stable: 0.41 });
    world.evidence.burns = vec![burn(40.0, 400.0)];
    let held = world.run(MINUTE * 30);
    assert_eq!(world.weight(), bp(1_000));
    assert!(held.hold_reasons.iter().any(|o| matches!(o, HoldReason::SharedCause(_))));
    let guard = breached("errors", Value::Share(0.4));
    world.evidence.guards = guard.guards;
    let back = world.tick();
    assert!(back.verdict.to_string().ends_with("(shared cause: stable is bad as well)"));
    assert_eq!(world.position.quarantine, [], "an absolute guard goes back without blame");
}

#[test]
fn a_burning_candidate_goes_back_with_the_rules_severity() {
    let mut world = World::started(plan());
    world.tick();
    world.evidence.burns = vec![burn(15.0, 20.0)];
    world.evidence.burns[0].proven = false;
    world.tick();
    assert_eq!(world.phase(), Phase::Running, "one failure of twenty burns fast, too");
    world.evidence.burns[0].proven = true;
    world.tick();
    assert_eq!(world.rollout().ended.as_ref().unwrap().label, "burn.fast");
}

#[test]
fn the_harm_cap_ends_it_whatever_the_statistics_say() {
    let mut world = World::started(plan());
    world.tick();
    world.evidence.harm = Harmed { failed_requests: 199, users: 49, ..Harmed::default() };
    let near = world.tick();
    let ceiling = near.split.rollout.unwrap().harm_ceiling;
    assert_eq!((ceiling.failed_requests, ceiling.users), (Some(200), Some(50)));
    world.evidence.harm.users = 50;
    world.tick();
    assert_eq!(world.rollout().ended.as_ref().unwrap().label, "harm.users");
}

#[test]
fn a_cap_on_users_says_requests_where_users_cannot_be_told_apart() {
    let why = |users| {
        let mut world = World::started(plan());
        world.tick();
        world.evidence.harm.users = 51;
        let (networks, of) = (40, 51);
        world.evidence.concentration =
            Some(Concentration { of, spread: of, networks, users, ..few_clients() });
        world.tick().verdict.to_string()
    };
    assert!(why(Some(51)).contains("51 users were hurt, 50 may be"), "{}", why(Some(51)));
    let keyless = why(None);
    assert!(keyless.contains("51 requests failed, 50 users may be hurt"), "{keyless}");
    assert!(keyless.contains("users cannot be told apart"), "{keyless}");
}

#[test]
fn a_guard_without_for_says_no_time() {
    let mut world = World::started(plan());
    world.tick();
    world.evidence = breached("errors", Value::Share(0.5));
    world.evidence.guards[0].proven = false;
    world.tick();
    world.evidence.guards[0].proven = true;
    let why = world.tick().verdict.to_string();
    assert!(why.contains("guard errors") && !why.contains(", for "), "{why}");
}

#[test]
fn the_harm_cap_is_for_what_stable_does_not_explain() {
    let mut world = World::started(plan());
    world.tick();
    let (forgiven, earlier) =
        (Toll { requests: 700, users: 30 }, Toll { requests: 600, users: 20 });
    let repeated = 0;
    world.evidence.harm = Harmed { failed_requests: 899, repeated, users: 79, forgiven, earlier };
    let near = world.tick();
    assert_eq!(world.phase(), Phase::Running);
    let ceiling = near.split.rollout.unwrap().harm_ceiling;
    assert_eq!(
        (ceiling.failed_requests, ceiling.users),
        (Some(300), Some(60)),
        "what an earlier process counted is not in this one's count"
    );
    world.evidence.harm.failed_requests = 900;
    world.tick();
    let ended = world.rollout().ended.clone().unwrap();
    assert_eq!(ended.label, "harm.failedRequests");
    let why = "900 requests failed, 200 may beyond the 700 that stable's own failures explain";
    assert_eq!(ended.why, why);
}

#[test]
fn a_ceiling_that_sinks_is_told_at_once_and_one_that_rises_within_a_second() {
    let mut world = World::started(plan());
    world.evidence.harm.failed_requests = 10;
    let told = world.tick().split;
    world.evidence.harm.forgiven.requests = 50;
    let higher = world.tick().split;
    assert!(!is_news(&told, &higher, SECOND / 2));
    assert!(is_news(&told, &higher, SECOND));
    assert!(is_news(&higher, &told, Duration::ZERO));
}

#[test]
fn a_restart_resumes_the_same_step_with_the_same_remaining_hold() {
    let mut world = World::started(plan());
    world.run(MINUTE * 10);
    let left = world.rollout().hold_left();
    world.restart();
    world.now.wall = serin_core::time::Wall(world.now.wall.0 + 3_600_000);
    world.decide();
    assert_eq!(world.rollout().hold_left(), left, "an hour of downtime is no hold");
    world.run(left.unwrap());
    assert_eq!(world.weight(), bp(5_000));
}

#[test]
fn a_clock_that_jumps_moves_nothing_until_it_has_settled() {
    let mut world = World::started(Plan { windows: windows(), ..plan() });
    world.tick();
    world.now.wall = wall("2026-11-24T18:00");
    world.run(MINUTE * 30);
    assert_eq!(world.phase(), Phase::Holding, "the window is closed");
    world.now.wall = wall("2026-11-25T14:30");
    for _ in 0..60 {
        let decision = world.tick();
        assert_eq!(world.weight(), bp(1_000), "{}", decision.verdict);
    }
    world.run(SECOND * 2);
    assert_eq!(world.weight(), bp(5_000), "it stayed what it is");
    assert!(world.saw("clockJumped"));
}

#[test]
fn old_numbers_hold_and_stop_the_hold() {
    let mut world = World::started(plan());
    world.run(MINUTE * 10);
    world.evidence.data = Data::Stale { age: SECOND * 5 };
    let held = world.run(MINUTE * 60);
    assert_eq!((world.phase(), world.weight()), (Phase::Holding, bp(1_000)));
    assert_eq!(held.verdict.to_string(), "hold: the latest numbers are 5s old");
    world.evidence = healthy();
    world.run(MINUTE * 5);
    assert_eq!(world.weight(), bp(1_000));
    world.run(SECOND * 2);
    assert_eq!(world.weight(), bp(5_000));
}

fn late() -> Data {
    Data::Late { by: Duration::from_millis(1_200) }
}

#[test]
fn what_own_threads_measured_late_holds_and_stops_the_hold() {
    let mut world = World::started(plan());
    world.run(MINUTE * 10);
    world.evidence.data = late();
    let held = world.run(MINUTE * 60);
    assert_eq!((world.phase(), world.weight()), (Phase::Holding, bp(1_000)));
    let says = "hold: not observing: own threads were 1.2s late";
    assert_eq!(held.verdict.to_string(), says);
    world.evidence = healthy();
    world.run(MINUTE * 5);
    assert_eq!(world.weight(), bp(1_000));
    world.run(SECOND * 2);
    assert_eq!(world.weight(), bp(5_000));
}

#[test]
fn a_guard_that_must_stand_for_a_while_grows_no_older_while_own_threads_are_late() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("slow", Value::Time(SECOND * 3));
    world.run(MINUTE * 4);
    world.evidence.data = late();
    world.run(MINUTE * 10);
    assert_eq!(world.phase(), Phase::Holding);
    world.evidence.data = Data::Fresh;
    world.run(MINUTE + SECOND * 2);
    assert_eq!(world.phase(), Phase::RolledBack);
}

#[test]
fn failures_that_backends_answered_go_back_while_own_threads_are_late() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("errors", Value::Share(0.2));
    world.evidence.data = late();
    assert_eq!(world.tick().verdict.as_str(), "rollback");
}

#[test]
fn a_person_who_promotes_need_not_wait_for_own_threads() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence.data = late();
    world.command(&promote()).unwrap();
    world.tick();
    assert_eq!(world.weight(), bp(5_000));
}

#[test]
fn draining_sessions_have_ten_minutes_and_then_leave() {
    let mut world = World::started(Plan { on_rollback: OnRollback::Drain, ..plan() });
    world.tick();
    world.evidence = breached("errors", Value::Share(0.2));
    let sessions = |decision: Decision| decision.split.rollout.unwrap().sessions;
    assert_eq!(sessions(world.tick()), Sessions::Drain);
    assert_eq!(sessions(world.run(MINUTE * 5)), Sessions::Drain);
    world.restart();
    assert_eq!(sessions(world.run(MINUTE * 4)), Sessions::Drain, "a restart begins no new ten");
    assert_eq!(sessions(world.run(MINUTE * 2)), Sessions::Revoke);
    assert!(world.saw("drained"));
}

#[test]
fn a_guard_that_pauses_does_so_once_and_a_resume_holds_while_it_stands() {
    let mut world = World::started(plan());
    world.tick();
    world.evidence = breached("diffs", Value::Share(0.02));
    world.tick();
    assert_eq!(world.phase(), Phase::Paused);
    assert_eq!(world.rollout().pause.as_ref().unwrap().guard.as_deref(), Some("diffs"));
    world.command(&resume()).unwrap();
    let decision = world.run(MINUTE * 30);
    assert_eq!((world.phase(), world.weight()), (Phase::Holding, bp(1_000)));
    assert!(matches!(decision.hold_reasons[0], HoldReason::GuardStanding { .. }));
    world.evidence = healthy();
    world.tick();
    assert_eq!(world.weight(), bp(5_000));
}

#[test]
fn the_dark_phase_sends_copies_only_until_enough_of_them_agree() {
    let dark = Dark { hold: MINUTE * 5, comparisons: 1_000, mismatch_below: 0.01 };
    let mut world = World::started(Plan { dark: Some(dark), ..plan() });
    let decision = world.tick();
    assert_eq!((world.phase(), world.weight()), (Phase::Dark, bp(0)));
    assert_eq!(decision.split.rollout, None);
    world.evidence.shadow = ShadowReading { compared: 999, mismatched: 0, failed: 0 };
    world.run(MINUTE * 6);
    assert_eq!(world.phase(), Phase::Dark);
    world.evidence.shadow = ShadowReading { compared: 2_000, mismatched: 40, failed: 0 };
    let differing = world.tick();
    assert!(differing.verdict.to_string().contains("2% differ"), "{}", differing.verdict);
    world.evidence.shadow = ShadowReading { compared: 2_000, mismatched: 0, failed: 40 };
    world.tick();
    assert_eq!(world.phase(), Phase::Dark, "a copy that failed was answered otherwise too");
    world.evidence.shadow = ShadowReading { compared: 2_000, mismatched: 4, failed: 0 };
    world.tick();
    assert_eq!(world.weight(), bp(1_000));
}

#[test]
fn blue_green_is_one_step_behind_its_gates_and_switches_back_in_one() {
    let steps = vec![Step { weight: bp(10_000), hold: MINUTE * 60, of: Scope::All }];
    let gates = vec![approval(10_000)];
    let mut world = World::started(Plan { strategy: Strategy::BlueGreen, steps, gates, ..plan() });
    world.run(MINUTE);
    assert_eq!((world.phase(), world.weight()), (Phase::Pending, bp(0)));
    world.command(&Command::Approve { before: Some(bp(10_000)), actor: "ana".into() }).unwrap();
    assert_eq!(world.tick().split.weights.of(&candidate().version), bp(10_000));
    world.evidence = breached("errors", Value::Share(0.2));
    assert_eq!(world.tick().split.weights.of(&stable().version), bp(10_000));
}

#[test]
fn rolling_opens_a_step_when_its_endpoints_are_ready_and_closes_it_when_they_are_not() {
    let step = |weight| Step { weight: bp(weight), hold: MINUTE, of: Scope::All };
    let steps = vec![step(3_333), step(6_666), step(10_000)];
    let mut world = World::started(Plan { strategy: Strategy::Rolling, steps, ..plan() });
    world.evidence.candidate_ready = Some(Ready { ready: 0, total: 3 });
    world.run(MINUTE);
    assert_eq!(world.weight(), bp(0));
    world.evidence.candidate_ready = Some(Ready { ready: 2, total: 3 });
    let decision = world.run(MINUTE * 5);
    assert_eq!(world.weight(), bp(6_666));
    assert!(matches!(decision.hold_reasons[0], HoldReason::TooFewReady { .. }));
    world.evidence.candidate_ready = Some(Ready { ready: 1, total: 3 });
    world.tick();
    assert_eq!(world.weight(), bp(3_333));
    assert!(world.saw("steppedBack"));
    world.evidence.candidate_ready = Some(Ready { ready: 3, total: 3 });
    world.run(MINUTE * 4);
    assert_eq!(world.phase(), Phase::Complete);
}

#[test]
fn a_new_release_starts_by_itself_once() {
    let mut world = World::new(Plan { start: Start::OnChange, ..plan() });
    world.run(SECOND * 3);
    assert_eq!(world.weight(), bp(1_000));
    world.command(&abort()).unwrap();
    let decision = world.run(MINUTE);
    assert_eq!(world.phase(), Phase::RolledBack);
    assert_eq!(decision.verdict.to_string(), "hold: the planned release had its rollout");
    let next = identity("v42", "2026.11.21");
    world.terms.versions[1] = next.clone();
    world.terms.plan.as_mut().unwrap().release = next.release.clone();
    world.run(SECOND * 3);
    assert_eq!((&world.rollout().candidate, world.weight()), (&next, bp(1_000)));
}

#[test]
fn a_start_with_another_release_of_the_candidate_takes_the_old_one_back() {
    let mut world = World::started(plan());
    world.tick();
    world.terms.versions[1].release = "2026.11.21".into();
    world.terms.plan.as_mut().unwrap().release = "2026.11.21".into();
    world.tick();
    assert_eq!(world.rollout().ended.as_ref().unwrap().label, "unlisted");
    assert_eq!(world.position.quarantine, []);
}

#[test]
fn a_reload_that_changes_the_steps_raises_nothing() {
    let mut world = World::started(plan());
    world.run(MINUTE * 20);
    assert_eq!(world.weight(), bp(5_000));
    let step = |weight| Step { weight: bp(weight), hold: MINUTE * 10, of: Scope::All };
    world.terms.plan.as_mut().unwrap().steps = vec![step(2_500), step(7_500), step(10_000)];
    world.tick();
    assert_eq!((world.weight(), world.rollout().stage), (bp(5_000), Stage::Step(0)));
    world.run(MINUTE * 9);
    assert_eq!(world.weight(), bp(5_000), "its hold began anew");
    world.run(MINUTE * 2);
    assert_eq!(world.weight(), bp(7_500));
}

#[test]
fn a_reload_that_raises_the_step_under_way_begins_its_hold_anew() {
    let mut world = World::started(plan());
    world.run(MINUTE * 10);
    assert_eq!((world.weight(), world.rollout().stage), (bp(1_000), Stage::Step(0)));
    world.terms.plan.as_mut().unwrap().steps[0].weight = bp(2_000);
    let decision = world.tick();
    assert_eq!(world.weight(), bp(1_000));
    let held =
        |o: &HoldReason| matches!(o, HoldReason::HoldRunning { left } if *left > MINUTE * 14);
    assert!(decision.hold_reasons.iter().any(held), "{:?}", decision.hold_reasons);
    world.run(MINUTE * 14);
    assert_eq!(world.weight(), bp(1_000), "its hold began anew");
    // A second change, still under the first step.
    world.terms.plan.as_mut().unwrap().steps[0].weight = bp(1_500);
    world.run(MINUTE * 14);
    assert_eq!(world.weight(), bp(1_000), "and again");
    world.run(MINUTE * 2);
    assert_eq!((world.weight(), world.rollout().stage), (bp(1_500), Stage::Step(0)));
}

#[test]
fn a_weight_by_hand_under_the_first_step_is_held_as_long_as_that_step() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    let weights = Weights::two(stable().version, candidate().version, bp(300));
    let (actor, reason) = ("ana".to_owned(), "careful".to_owned());
    world.command(&Command::SetWeights { weights, actor, reason }).unwrap();
    world.command(&resume()).unwrap();
    world.run(MINUTE * 14);
    assert_eq!((world.weight(), world.phase()), (bp(300), Phase::Running));
    world.run(MINUTE * 2);
    assert_eq!(world.weight(), bp(1_000));
}

#[test]
fn a_tripped_thread_is_let_go_again_when_the_tests_do_not_confirm_it() {
    let mut world = World::started(plan());
    world.tick();
    world.evidence.tripped = true;
    let decision = world.tick();
    assert!(decision.lift_trip && decision.hold_reasons.contains(&HoldReason::Tripped));
    assert_eq!(decision.split.rollout.unwrap().tripwire.unwrap().get(), 9);
}

#[test]
fn a_gap_in_which_nobody_watched_is_no_hold() {
    let mut world = World::started(plan());
    world.tick();
    world.now = world.now.plus(MINUTE * 60);
    world.decide();
    assert!(world.rollout().held <= Duration::from_secs(2));
}

#[test]
fn a_guard_on_a_signal_that_never_comes_holds_and_says_so() {
    let mut world = World::started(plan());
    world.tick();
    let conversion = world.evidence.guards.iter_mut().find(|r| r.name == "conversion").unwrap();
    (conversion.observed, conversion.missing) = (None, Some(MissingReading::NoSignal));
    let waiting = world.run(MINUTE * 60);
    assert_eq!(world.weight(), bp(1_000));
    let says = "hold: guard conversion sees nothing: no such signal was pushed";
    assert_eq!(waiting.verdict.to_string(), says);
    world.run(MINUTE * 60 * 24);
    assert_eq!(world.phase(), Phase::Inconclusive, "and no release waits for ever");
    world.command(&promote()).unwrap();
    world.tick();
    assert_eq!(world.weight(), bp(5_000), "a person may go on without it");
}

/// Nobody is with stable any more, so nothing of its signals comes.
#[test]
fn at_full_weight_a_signal_is_not_missed_of_stable() {
    let mut world = World::started(plan());
    world.tick();
    while world.weight() < bp(10_000) {
        world.command(&promote()).unwrap();
        world.tick();
    }
    let conversion = world.evidence.guards.iter_mut().find(|r| r.name == "conversion").unwrap();
    (conversion.observed, conversion.missing) = (None, Some(MissingReading::NoBaseline));
    world.run(MINUTE * 60 * 24);
    assert_eq!(world.phase(), Phase::Complete);
}

/// What would have acted if it counted.
fn of_few_clients(reading: &GuardReading) -> GuardReading {
    GuardReading { breached: false, proven: false, of_few_clients: true, ..reading.clone() }
}

fn few_clients() -> Concentration {
    let named = |name: &str| vec![Named { name: name.into(), count: 60 }];
    Concentration {
        met: Met::Failed,
        of: 60,
        spread: 1,
        elsewhere: 60,
        users: Some(60),
        networks: 1,
        by_network: named("192.0.2.0/24"),
        by_route: named("shop"),
        by_method: named("POST"),
        by_endpoint: named("10.0.2.21:8080"),
    }
}

#[test]
fn failures_of_a_few_clients_hold_and_what_else_is_wrong_goes_back() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("errors", Value::Share(0.2));
    world.evidence.guards[0] = of_few_clients(&world.evidence.guards[0]);
    world.evidence.concentration = Some(few_clients());
    let decision = world.run(MINUTE * 30);
    assert_eq!((world.weight(), decision.verdict.as_str()), (bp(1_000), "hold"));
    let says = "hold: errors holds: its failures are those of clients whose requests fail on stable as well; 60 of 60 failures came from 192.0.2.0/24 (60 users); 60 on route shop, 60 POST, 60 by 10.0.2.21:8080";
    assert_eq!(decision.verdict.to_string(), says);
    assert_eq!(world.events.iter().filter(|e| e.name() == "warned").count(), 1, "told once");
    // Everybody else fails, too: six in a hundred without them.
    world.evidence = breached("errors", Value::Share(0.06));
    world.evidence.concentration = Some(few_clients());
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack);
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("slow", Value::Time(SECOND * 3));
    world.evidence.concentration = Some(few_clients());
    world.run(MINUTE * 6);
    assert_eq!(world.phase(), Phase::RolledBack, "a time is not theirs to choose");
}

#[test]
fn nobody_is_sent_back_to_a_stable_that_is_provably_worse() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("errors", Value::Share(0.02));
    world.evidence.stable_worse = Some(SharedCause { candidate: 0.02, stable: 0.5 });
    let decision = world.tick();
    assert_eq!((world.phase(), world.weight()), (Phase::Paused, bp(1_000)));
    let why = decision.verdict.to_string();
    assert!(why.contains("stable is provably worse (candidate 2% bad, stable 50% bad)"), "{why}");
    assert!(world.saw("warned") && world.saw("paused"));
    world.evidence.harm.failed_requests = 200;
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack, "a cap on harm is the last word");
}

#[test]
fn more_answers_of_4xx_than_stable_hold_and_are_told_once() {
    let mut world = World::started(plan());
    world.tick();
    world.evidence.client_errors = Some(ErrorTest {
        value: 2_000.0,
        needed: 1_000.0,
        floor: 2_000.0,
        candidate: Part { bad: 40, of: 400 },
        stable: Part { bad: 36, of: 3_600 },
        worse: true,
        of_few_clients: false,
    });
    let waiting = world.run(MINUTE * 20);
    assert_eq!(world.weight(), bp(1_000));
    let says = "hold: more answers of 4xx than stable: 40 of 400, stable 36 of 3600";
    assert_eq!(waiting.verdict.to_string(), says);
    assert_eq!(world.events.iter().filter(|e| e.name() == "warned").count(), 1);
    world.command(&promote()).unwrap();
    world.tick();
    assert_eq!(world.weight(), bp(5_000), "a person may go on");
}

#[test]
fn slow_requests_of_a_few_clients_hold_and_those_of_everybody_go_back() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("slow", Value::Time(SECOND * 3));
    let requests = |spread| Concentration {
        met: Met::Slow,
        of: 40,
        spread,
        networks: 1,
        by_network: vec![Named { name: "192.0.2.0/24".into(), count: 40 }],
        ..Concentration::default()
    };
    let slow = |spread| SlowClients {
        rule: "slow".into(),
        observed: 0.1,
        limit: 0.05,
        requests: requests(spread),
    };
    let slow_reading = world.evidence.guards[1].clone();
    world.evidence.guards[1] = of_few_clients(&slow_reading);
    world.evidence.slow_clients = vec![slow(1)];
    let held = world.run(MINUTE * 10);
    assert_eq!(world.weight(), bp(1_000));
    let says = "hold: slow holds: its slow requests are those of few clients; \
                40 of 40 slow requests came from 192.0.2.0/24";
    assert_eq!(held.verdict.to_string(), says);
    assert!(world.saw("warned"), "{:?}", world.events);
    world.evidence.guards[1] = slow_reading;
    world.run(MINUTE * 6);
    assert_eq!(world.phase(), Phase::RolledBack);
}

#[test]
fn a_guard_that_stable_breaches_as_well_holds_and_is_told_once() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    world.evidence = breached("errors", Value::Share(0.031));
    world.evidence.guards[0].stable = Some(Value::Share(0.029));
    world.evidence.guards[0].shared = true;
    let decision = world.run(MINUTE);
    let says = "hold: guard errors reads 3.1% against a limit of 1%, and holds: stable is no better with 2.9%";
    assert_eq!(decision.verdict.to_string(), says);
    assert_eq!(world.events.iter().filter(|event| event.name() == "warned").count(), 1);
    // Nor does the time of one that must stand for a while go on.
    world.evidence = breached("slow", Value::Time(SECOND * 3));
    world.evidence.guards[1].shared = true;
    world.run(MINUTE * 6);
    world.evidence.guards[1].shared = false;
    world.run(MINUTE * 4);
    assert_eq!(world.weight(), bp(1_000));
    world.run(MINUTE * 2);
    assert_eq!(world.phase(), Phase::RolledBack);
}

#[test]
fn a_burn_rule_that_accuses_both_holds_with_both_rates() {
    let mut world = World::started(plan());
    world.run(MINUTE);
    let both = BurnReading { stable: Some(13.9), shared: true, ..burn(15.0, 21.0) };
    world.evidence.burns = vec![both];
    let decision = world.run(MINUTE);
    let says = "hold: burn rule fast: burning 15.0 times as fast as the budget allows; its limit is 14.4, stable's rate 13.9";
    assert_eq!(decision.verdict.to_string(), says);
    assert_eq!(world.weight(), bp(1_000));
    world.evidence.burns[0].shared = false;
    world.tick();
    assert_eq!(world.phase(), Phase::RolledBack);
}
