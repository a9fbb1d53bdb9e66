//! What no course of events can bring about, over random evidence, commands, restarts, clocks
//! and reloads.

use super::world::*;
use proptest::prelude::{Strategy, *};
use serin_core::rollout::windows::{self, Windowed};
use serin_core::rollout::*;
use serin_core::split::Sessions;
use serin_core::time::Wall;
use serin_core::weights::{BasisPoints, Weights};
use std::time::Duration;

#[derive(Debug, Clone)]
enum Act {
    /// Time passes on both clocks, and is decided on.
    Tick {
        millis: u64,
        times: u16,
    },
    /// The wall clock alone moves.
    Jump {
        millis: i64,
    },
    Restart,
    See(Box<Evidence>),
    Ask(Asked),
    Freeze(bool),
    Replan(u8),
}

#[derive(Debug, Clone)]
enum Asked {
    Start,
    Retry,
    Promote,
    Pause,
    Resume,
    Abort,
    Approve(u16),
    Answer(bool),
    Weight(u16),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => (1u64..3_000, 1u16..120).prop_map(|(millis, times)| Act::Tick { millis, times }),
        1 => (-100_000_000i64..100_000_000).prop_map(|millis| Act::Jump { millis }),
        1 => Just(Act::Restart),
        4 => evidence().prop_map(|e| Act::See(Box::new(e))),
        4 => asked().prop_map(Act::Ask),
        1 => any::<bool>().prop_map(Act::Freeze),
        1 => (0u8..4).prop_map(Act::Replan),
    ];
    prop::collection::vec(act, 1..40)
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![
        Just(Asked::Start),
        Just(Asked::Retry),
        Just(Asked::Promote),
        Just(Asked::Pause),
        Just(Asked::Resume),
        Just(Asked::Abort),
        prop::sample::select(vec![1_000u16, 5_000, 10_000]).prop_map(Asked::Approve),
        any::<bool>().prop_map(Asked::Answer),
        (0u16..=10_000).prop_map(Asked::Weight),
    ]
}

/// Mostly healthy, so that rollouts get somewhere before something goes wrong.
fn evidence() -> impl Strategy<Value = Evidence> {
    let rare = || prop::bool::weighted(0.06);
    let data = prop_oneof![
        8 => Just(Data::Fresh),
        1 => Just(Data::Missing),
        1 => (0u64..100).prop_map(|s| Data::Stale { age: SECOND * s as u32 }),
        1 => (1u64..100).prop_map(|s| Data::Late { by: SECOND * s as u32 }),
    ];
    let numbers = (0u64..2_000, 0f64..60.0, prop::option::of(-0.2f64..1.0), 0u64..260, 0u32..4);
    let bad = (rare(), rare(), rare(), rare(), rare(), rare(), rare());
    (data, numbers, bad).prop_map(|(data, (seen, bet, budget_left, harmed, ready), bad)| {
        let mut evidence = healthy();
        evidence.data = data;
        evidence.step.candidate = Part { bad: 0, of: seen };
        evidence.promotion = Some(Bet { value: bet, needed: 20.0 });
        evidence.budget_left = budget_left.map(|left| left.max(0.05));
        evidence.harm.failed_requests = if bad.0 { harmed } else { 0 };
        evidence.candidate_ready = Some(Ready { ready, total: 3 });
        let names = [(bad.1, "errors"), (bad.2, "slow"), (bad.3, "diffs")];
        for (_, name) in names.into_iter().filter(|(bad, _)| *bad) {
            evidence.guards = breached(name, Value::Share(0.2)).guards;
        }
        let test = ErrorTest {
            value: 2_000.0,
            needed: 1_000.0,
            floor: 2_000.0,
            candidate: Part { bad: 20, of: seen },
            stable: Part { bad: 2, of: 9 * seen },
            worse: true,
            of_few_clients: false,
        };
        evidence.errors = bad.4.then_some(test);
        evidence.before = bad.6.then_some(BeforeTest {
            value: 2_000.0,
            needed: 1_000.0,
            limit: 0.004,
            candidate: Part { bad: 20, of: seen },
            stable: Part { bad: 90, of: 90_000 },
            worse: true,
            of_few_clients: false,
        });
        evidence.shared_cause = bad.5.then_some(SharedCause { candidate: 0.3, stable: 0.3 });
        evidence
    })
}

fn plans() -> impl Strategy<Value = Plan> {
    let strategies =
        prop::sample::select(vec![Strategy_::Canary, Strategy_::BlueGreen, Strategy_::Rolling]);
    (strategies, any::<[bool; 7]>()).prop_map(
        |(strategy, [dated, gated, dark, auto, drain, few, keeps])| {
            let whole =
                |minutes| Step { weight: bp(10_000), hold: MINUTE * minutes, ..plan().steps[0] };
            Plan {
                strategy,
                baseline: if keeps { bp(200) } else { bp(0) },
                steps: match strategy {
                    Strategy_::BlueGreen | Strategy_::BigBang => vec![whole(3)],
                    Strategy_::Canary | Strategy_::Rolling => {
                        let hold = MINUTE * 3;
                        plan().steps.into_iter().map(|step| Step { hold, ..step }).collect()
                    }
                },
                windows: if dated { windows() } else { Vec::new() },
                gates: if gated { vec![approval(5_000), webhook(10_000)] } else { Vec::new() },
                dark: dark.then_some(Dark { hold: MINUTE, comparisons: 0, mismatch_below: 0.01 }),
                start: if auto { Start::OnChange } else { Start::Manual },
                on_rollback: if drain { OnRollback::Drain } else { OnRollback::Revoke },
                evidence: Demand {
                    accept: Accept::Proof,
                    on_too_few: if few { OnTooFew::Rollback } else { OnTooFew::Hold },
                    give_up_after: MINUTE * 20,
                    ..plan().evidence
                },
                ..plan()
            }
        },
    )
}

use serin_core::rollout::Strategy as Strategy_;

/// Drives a world and checks every single decision.
#[derive(Debug)]
struct Checked {
    world: World,
    /// A candidate that was rolled back and that no person has started since.
    rejected: Option<Identity>,
    unsettled: Duration,
    jumped: i64,
}

impl Checked {
    fn new(plan: Plan) -> Self {
        let zero = Duration::ZERO;
        let world = World::new(plan);
        Self { world, rejected: None, unsettled: zero, jumped: 0 }
    }

    fn act(&mut self, act: Act) -> Result<(), TestCaseError> {
        match act {
            Act::Tick { millis, times } => {
                for _ in 0..times {
                    self.tick(Duration::from_millis(millis))?;
                }
            }
            Act::Jump { millis } => {
                self.jumped += millis;
                self.world.now.wall = Wall(self.world.now.wall.0 + millis);
            }
            Act::Restart => {
                let before = self.weight();
                self.world.restart();
                (self.unsettled, self.jumped) = (Duration::ZERO, 0);
                self.world.decide();
                prop_assert!(self.weight() <= before, "a restart raised the weight");
                self.note();
            }
            Act::See(evidence) => self.world.evidence = *evidence,
            Act::Freeze(on) => {
                let freeze = Freeze { by: "a".into(), reason: "b".into(), since: Wall(0) };
                self.world.conditions.freeze = on.then_some(freeze);
            }
            Act::Replan(kind) => self.replan(kind),
            Act::Ask(asked) => self.ask(asked)?,
        }
        Ok(())
    }

    fn replan(&mut self, kind: u8) {
        let plan = self.world.terms.plan.get_or_insert_with(plan);
        match kind {
            0 => plan.steps.iter_mut().for_each(|step| step.hold += MINUTE),
            1 => plan.steps = vec![Step { weight: bp(10_000), ..plan.steps[0] }],
            2 => plan.release.push('x'),
            _ => plan.guards.truncate(2),
        }
        let release = plan.release.clone();
        self.world.terms.versions[1].release = release;
    }

    fn tick(&mut self, gap: Duration) -> Result<(), TestCaseError> {
        let before = self.world.position.clone();
        let first = before.clock.last.is_none();
        self.world.now = self.world.now.plus(gap);
        let jumped = !first && self.jumped.unsigned_abs() > 2_000;
        self.unsettled = match jumped {
            true => Duration::from_secs(60),
            false => self.unsettled.saturating_sub(gap.min(Duration::from_secs(2))),
        };
        let World { terms, evidence, conditions, now, .. } = &self.world;
        let decision = decide(terms, &before, evidence, conditions, *now);
        let again = decide(terms, &before, evidence, conditions, *now);
        prop_assert_eq!(&decision, &again, "decide is not deterministic");
        self.check_guards(&before, &decision)?;
        self.check_rise(&before, &decision, first, jumped)?;
        self.check_split(&decision)?;
        self.check_reasons(&decision)?;
        self.jumped = 0;
        self.world.position = decision.next;
        self.note();
        Ok(())
    }

    /// Whatever the rollout waits for, a breach that acts takes it back in the same decision.
    fn check_guards(&self, before: &Position, decision: &Decision) -> Result<(), TestCaseError> {
        let Some(rollout) = before.active() else { return Ok(()) };
        let away = rollout.aside.is_some() && rollout.weight == BasisPoints::ZERO;
        let Some(acting) = self.acting(rollout).filter(|_| !away) else { return Ok(()) };
        if rollout.phase == Phase::Pending {
            return Ok(());
        }
        let goes_on = matches!(rollout.phase, Phase::Running | Phase::Holding);
        let plan = self.world.terms.plan.as_ref();
        // Who is no longer in the file goes without a second strike.
        let meant = plan.is_some_and(|plan| plan.release == rollout.candidate.release);
        let whole = rollout.weight == BasisPoints::WHOLE;
        let compared = goes_on && meant && rollout.aside.is_none() && !whole;
        if acting == "regression" && compared {
            let after = decision.next.rollout.as_ref().unwrap();
            prop_assert!(after.aside.is_some(), "the first proof did not step aside");
            prop_assert_eq!(after.weight, BasisPoints::ZERO);
            return Ok(());
        }
        prop_assert_eq!(decision.verdict.as_str(), "rollback", "{:?} hid a guard", rollout.phase);
        let after = decision.next.rollout.as_ref().unwrap();
        prop_assert_eq!((after.phase, after.weight), (Phase::RolledBack, BasisPoints::ZERO));
        Ok(())
    }

    fn acting(&self, rollout: &RolloutState) -> Option<&str> {
        let evidence = &self.world.evidence;
        let plan = self.world.terms.plan.as_ref()?;
        let proven = |name: &str| {
            let planned = plan.guards.iter().any(|guard| guard.name == name);
            planned && evidence.guards.iter().any(|r| r.name == name && r.proven)
        };
        let harmed = evidence.harm.failed_requests >= 200 && rollout.weight > BasisPoints::ZERO;
        let stood = rollout.standing.iter().find(|s| s.guard == "slow");
        let slow = proven("slow") && stood.is_some_and(|s| s.lasted >= MINUTE * 5);
        [
            (proven("errors"), "errors"),
            (slow, "slow"),
            (harmed, "harm"),
            (evidence.errors.is_some_and(|test| test.worse), "regression"),
            (evidence.before.is_some_and(|test| test.worse), "regression"),
        ]
        .into_iter()
        .find_map(|(acts, name)| acts.then_some(name))
    }

    fn check_rise(
        &self,
        before: &Position,
        decision: &Decision,
        first: bool,
        jumped: bool,
    ) -> Result<(), TestCaseError> {
        let weight = |p: &Position| p.active().map_or(BasisPoints::ZERO, |rollout| rollout.weight);
        let completed = matches!(decision.verdict, Verdict::Complete(_));
        if weight(&decision.next) <= weight(before) && !completed {
            return Ok(());
        }
        let World { evidence, conditions, now, terms, .. } = &self.world;
        let plan = terms.plan.as_ref().unwrap();
        let phase = before.active().map(|rollout| rollout.phase);
        let promoted = before.active().is_some_and(|rollout| rollout.promoted);
        let believed = match evidence.data {
            Data::Fresh => true,
            Data::Late { .. } => promoted,
            Data::Stale { .. } | Data::Missing => false,
        };
        prop_assert!(believed, "rose on {:?}", evidence.data);
        prop_assert!(!first, "rose on a restart");
        prop_assert!(!jumped && self.unsettled.is_zero(), "rose by a clock that jumped");
        prop_assert!(conditions.freeze.is_none(), "rose in a freeze");
        prop_assert_eq!(windows::look(&plan.windows, now.wall), Windowed::Open);
        prop_assert!(evidence.shared_cause.is_none(), "rose in an outage");
        let standing = matches!(phase, Some(Phase::Paused | Phase::Inconclusive) | None);
        prop_assert!(!standing, "rose from {phase:?}");
        prop_assert!(decision.hold_reasons.is_empty(), "rose over {:?}", decision.hold_reasons);
        Ok(())
    }

    fn check_split(&self, decision: &Decision) -> Result<(), TestCaseError> {
        let Some(rollout) = &decision.next.rollout else { return Ok(()) };
        let to_candidate = decision.split.weights.of(&rollout.candidate.version);
        match rollout.phase {
            Phase::Complete => {
                // As far as the file still lists it.
                if decision.next.stable == rollout.candidate && decision.next.manual.is_none() {
                    prop_assert_eq!(to_candidate, BasisPoints::WHOLE);
                }
            }
            Phase::RolledBack | Phase::Superseded | Phase::Pending | Phase::Dark
                if decision.next.stable.version != rollout.candidate.version
                    && decision.next.manual.is_none() =>
            {
                prop_assert_eq!(to_candidate, BasisPoints::ZERO);
                let sessions = decision.split.rollout.as_ref().map(|r| r.sessions);
                prop_assert_ne!(sessions, Some(Sessions::Honour));
            }
            Phase::RolledBack | Phase::Superseded | Phase::Pending | Phase::Dark => {}
            Phase::Running | Phase::Holding | Phase::Paused | Phase::Inconclusive => {
                prop_assert_eq!(to_candidate, rollout.weight);
            }
        }
        Ok(())
    }

    /// Nothing stands still without saying what for.
    fn check_reasons(&self, decision: &Decision) -> Result<(), TestCaseError> {
        prop_assert!(!decision.verdict.to_string().is_empty());
        match &decision.verdict {
            Verdict::Hold(why) | Verdict::Inconclusive(why) => {
                prop_assert_eq!(Some(why), decision.hold_reasons.first());
            }
            Verdict::Advance(_)
            | Verdict::Rollback(_)
            | Verdict::Complete(_)
            | Verdict::Supersede(_) => {
                prop_assert!(decision.hold_reasons.is_empty());
            }
        }
        Ok(())
    }

    fn ask(&mut self, asked: Asked) -> Result<(), TestCaseError> {
        let by_a_person = matches!(asked, Asked::Start | Asked::Retry | Asked::Weight(_));
        let by_hand = matches!(asked, Asked::Weight(_));
        let before = self.weight();
        let gate = GateRef {
            before: bp(10_000),
            kind: GateRefKind::Webhook { url: "http://ci.internal/go".into() },
        };
        let actor = "ci".to_owned();
        let answered = |answer| Command::GateAnswered { gate: gate.clone(), answer, actor };
        let command = match asked {
            Asked::Start => start(),
            Asked::Retry => retry(),
            Asked::Promote => promote(),
            Asked::Pause => pause(),
            Asked::Resume => resume(),
            Asked::Abort => abort(),
            Asked::Approve(at) => Command::Approve { before: Some(bp(at)), actor: "ana".into() },
            Asked::Answer(true) => answered(Answer::Granted),
            Asked::Answer(false) => answered(Answer::Refused { detail: "no".into() }),
            Asked::Weight(points) => Command::SetWeights {
                weights: Weights::two(
                    self.world.position.stable.version.clone(),
                    {
                        let other = candidate().version;
                        let same = self.world.position.stable.version == other;
                        if same { stable().version } else { other }
                    },
                    bp(points),
                ),
                actor: "ana".into(),
                reason: "by feel".into(),
            },
        };
        let done = self.world.command(&command);
        if done.is_ok() && by_a_person {
            self.rejected = None;
        }
        prop_assert!(by_hand || self.weight() <= before, "{command:?} raised the weight itself");
        if let Err(refusal) = done {
            prop_assert!(!refusal.to_string().is_empty());
        }
        self.note();
        Ok(())
    }

    fn weight(&self) -> BasisPoints {
        self.world.position.active().map_or(BasisPoints::ZERO, |rollout| rollout.weight)
    }

    /// Remembers what was rolled back, and finds it in traffic again.
    fn note(&mut self) {
        let Some(rollout) = &self.world.position.rollout else { return };
        if let Some(rejected) = &self.rejected {
            assert!(
                rollout.candidate != *rejected || rollout.phase == Phase::RolledBack,
                "a rollback was undone without a person"
            );
        }
        if rollout.phase == Phase::RolledBack {
            self.rejected = Some(rollout.candidate.clone());
        }
    }
}

/// Few by default; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_decision_keeps_every_promise(plan in plans(), acts in acts()) {
        let mut checked = Checked::new(plan);
        for act in acts {
            checked.act(act)?;
        }
    }

    /// From wherever chance has led: with healthy numbers, open windows and no person, a
    /// rollout ends, or holds for something that only a person or a gate can give.
    #[test]
    fn every_path_ends_or_says_what_it_waits_for(plan in plans(), acts in acts()) {
        let mut checked = Checked::new(plan);
        for act in acts {
            checked.act(act)?;
        }
        let world = &mut checked.world;
        world.evidence = healthy();
        world.conditions.freeze = None;
        if let Some(plan) = &mut world.terms.plan {
            plan.windows.clear();
        }
        let last = world.run(MINUTE * 60);
        let phase = world.position.rollout.as_ref().map(|rollout| rollout.phase);
        match (phase, &last.verdict) {
            (None | Some(Phase::Complete | Phase::RolledBack), _) => {}
            (Some(_), Verdict::Hold(HoldReason::Paused { .. } | HoldReason::Gate { .. })) => {}
            (Some(Phase::Inconclusive), Verdict::Inconclusive(_)) => {}
            (phase, verdict) => prop_assert!(false, "{phase:?} for ever: {verdict}"),
        }
    }

    /// A decision's position that was never stored is as if it had never been.
    #[test]
    fn a_restart_from_any_stored_position_is_no_less_safe(plan in plans(), acts in acts()) {
        let mut checked = Checked::new(plan);
        for act in acts {
            let stored = checked.world.position.clone();
            checked.act(act)?;
            let mut revived = World::new(checked.world.terms.plan.clone().unwrap());
            revived.terms = checked.world.terms.clone();
            revived.evidence = checked.world.evidence.clone();
            revived.position = Position { clock: Clock::default(), ..stored.clone() };
            let decision = revived.decide();
            let weight = |p: &Position| p.active().map_or(bp(0), |rollout| rollout.weight);
            prop_assert!(weight(&decision.next) <= weight(&stored));
        }
    }
}
