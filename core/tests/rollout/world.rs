//! A plan like the product's example, evidence made by hand, and a service to decide on.

use serin_core::ids::{ServiceName, VersionName};
use serin_core::rollout::*;
use serin_core::slo::Objectives;
use serin_core::split::Scope;
use serin_core::time::{Mono, Now, Wall};
use serin_core::weights::BasisPoints;
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const PARIS: &str = "Europe/Paris";

pub(crate) fn bp(points: u16) -> BasisPoints {
    BasisPoints::new(points).unwrap()
}

pub(crate) fn version(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

pub(crate) fn identity(name: &str, release: &str) -> Identity {
    Identity { version: version(name), release: release.into() }
}

pub(crate) fn stable() -> Identity {
    identity("v41", "2026.11.02")
}

pub(crate) fn candidate() -> Identity {
    identity("v42", "2026.11.20")
}

pub(crate) fn wall(text: &str) -> Wall {
    let zoned: jiff::Zoned = format!("{text}[{PARIS}]").parse().unwrap();
    Wall(zoned.timestamp().as_millisecond())
}

fn step(weight: u16, minutes: u32, of: Scope) -> Step {
    Step { weight: bp(weight), hold: MINUTE * minutes, of }
}

fn guard(name: &str, rule: Rule, over: Duration, lasting: Duration, action: Action) -> Guard {
    Guard { name: name.into(), rule, over, absolute: false, lasting, action }
}

/// The rollout of the product's example, without its gates and windows.
pub(crate) fn plan() -> Plan {
    let conversion =
        Rule::Signal { name: "trialActivation".into(), below: 0.5, of: Compared::Baseline };
    let slow = Rule::Latency { quantile: 0.95, above: SECOND * 2 };
    let zero = Duration::ZERO;
    Plan {
        to: candidate().version,
        release: candidate().release,
        strategy: Strategy::Canary,
        start: Start::Manual,
        on_busy: OnBusy::Queue,
        baseline: BasisPoints::ZERO,
        steps: vec![
            step(1_000, 15, Scope::NewSessions),
            step(5_000, 30, Scope::All),
            step(10_000, 60, Scope::All),
        ],
        evidence: Demand {
            accept: Accept::Proof,
            false_alarm: 0.001,
            min_requests: 500,
            on_too_few: OnTooFew::Hold,
            give_up_after: MINUTE * 60 * 24,
        },
        regression: Regression {
            errors: 1.5,
            client_errors: 2.0,
            latency: 0.2,
            latency_floor: Duration::ZERO,
        },
        guards: vec![
            guard("errors", Rule::ErrorRate { above: 0.01 }, SECOND * 30, zero, Action::Rollback),
            guard("slow", slow, MINUTE, MINUTE * 5, Action::Rollback),
            guard("conversion", conversion, zero, zero, Action::Rollback),
            guard("diffs", Rule::ShadowMismatch { above: 0.005 }, zero, zero, Action::Pause),
        ],
        harm: Harm { failed_requests: Some(200), users: Some(50) },
        rescue: true,
        gates: Vec::new(),
        windows: Vec::new(),
        on_rollback: OnRollback::Revoke,
        dark: None,
    }
}

pub(crate) fn approval(before: u16) -> Gate {
    Gate { before: bp(before), kind: GateKind::Approval }
}

pub(crate) fn webhook(before: u16) -> Gate {
    let url = "http://ci.internal/go".into();
    Gate { before: bp(before), kind: GateKind::Webhook { url, timeout: SECOND * 10 } }
}

/// Tuesday to Thursday afternoons, and nothing from Friday afternoon to Monday morning.
pub(crate) fn windows() -> Vec<Window> {
    let at = |hours: u16| TimeOfDay(hours * 60);
    let (zone, reason) = (PARIS.to_owned(), Some("no Friday deploys".to_owned()));
    let days = WindowSpan::Daily { first: 2, last: 4, from: at(14), to: at(17) };
    let weekend = WindowSpan::Weekly { first: 5, from: at(14), last: 1, to: at(10) };
    vec![
        Window { effect: WindowEffect::Allow, span: days, time_zone: zone.clone(), reason: None },
        Window { effect: WindowEffect::Deny, span: weekend, time_zone: zone, reason },
    ]
}

/// Enough of everything, and nothing wrong.
pub(crate) fn healthy() -> Evidence {
    let reading = |name: &str, threshold| GuardReading {
        name: name.into(),
        observed: Some(Value::Share(0.0005)),
        threshold,
        stable: Some(Value::Share(0.0005)),
        samples: Samples { seen: 4_000, needed: 0 },
        breached: false,
        proven: false,
        shared: false,
        of_few_clients: false,
        missing: None,
    };
    let part = |of| Part { bad: of / 2_000, of };
    Evidence {
        data: Data::Fresh,
        step: Exposure { candidate: part(4_000), stable: part(36_000) },
        promotion: Some(Bet { value: 40.0, needed: 20.0 }),
        guards: vec![
            reading("errors", Value::Share(0.01)),
            reading("slow", Value::Time(SECOND * 2)),
            reading("conversion", Value::Ratio(0.5)),
            reading("diffs", Value::Share(0.005)),
        ],
        budget_left: Some(0.9),
        candidate_ready: Some(Ready { ready: 3, total: 3 }),
        stable_ready: Some(Ready { ready: 3, total: 3 }),
        tripwire: Some(9),
        ..Evidence::default()
    }
}

/// Healthy evidence in which one guard is beyond its threshold.
pub(crate) fn breached(guard: &str, observed: Value) -> Evidence {
    let mut evidence = healthy();
    let reading = evidence.guards.iter_mut().find(|r| r.name == guard).unwrap();
    (reading.breached, reading.proven, reading.observed) = (true, true, Some(observed));
    evidence
}

pub(crate) fn terms(plan: Plan) -> Terms {
    Terms {
        service: ServiceName::new("checkout").unwrap(),
        stable: stable().version,
        versions: vec![stable(), candidate(), identity("v40", "2026.10.01")],
        objectives: Objectives::default(),
        plan: Some(plan),
    }
}

pub(crate) fn start() -> Command {
    Command::Start(StartCommand {
        to: None,
        release: None,
        reason: "ship it".into(),
        committed_at: None,
        supersede: false,
        actor: "ci".into(),
    })
}

/// One service, decided on second by second.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) terms: Terms,
    pub(crate) position: Position,
    pub(crate) evidence: Evidence,
    pub(crate) conditions: Conditions,
    pub(crate) now: Now,
    pub(crate) events: Vec<Event>,
}

impl World {
    /// A Tuesday, half an hour into the window.
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            terms: terms(plan),
            position: Position::at_rest(stable()),
            evidence: healthy(),
            conditions: Conditions::default(),
            now: Now { mono: Mono(1_000), wall: wall("2026-11-24T14:30") },
            events: Vec::new(),
        }
    }

    pub(crate) fn started(plan: Plan) -> Self {
        let mut world = Self::new(plan);
        world.tick();
        world.command(&start()).unwrap();
        world
    }

    /// A second passes, and is decided on.
    pub(crate) fn tick(&mut self) -> Decision {
        self.now = self.now.plus(SECOND);
        self.decide()
    }

    pub(crate) fn decide(&mut self) -> Decision {
        let decision =
            decide(&self.terms, &self.position, &self.evidence, &self.conditions, self.now);
        self.take(&decision);
        decision
    }

    fn take(&mut self, decision: &Decision) {
        self.position = decision.next.clone();
        self.events.extend(decision.events.iter().cloned());
    }

    /// Ticks for so long, and returns the last decision.
    pub(crate) fn run(&mut self, time: Duration) -> Decision {
        for _ in 1..time.as_secs() {
            self.tick();
        }
        self.tick()
    }

    pub(crate) fn command(&mut self, asked: &Command) -> Result<Decision, Refusal> {
        let World { terms, position, evidence, conditions, now, .. } = self;
        let decision = command(terms, position, evidence, conditions, asked, *now)?;
        self.take(&decision);
        Ok(decision)
    }

    /// What a restart forgets.
    pub(crate) fn restart(&mut self) {
        self.position.clock = Clock::default();
        self.now.mono = Mono(0);
    }

    pub(crate) fn rollout(&self) -> &RolloutState {
        self.position.rollout.as_ref().unwrap()
    }

    pub(crate) fn weight(&self) -> BasisPoints {
        self.rollout().weight
    }

    pub(crate) fn phase(&self) -> Phase {
        self.rollout().phase
    }

    pub(crate) fn saw(&self, name: &str) -> bool {
        self.events.iter().any(|event| event.name() == name)
    }
}

pub(crate) fn pause() -> Command {
    Command::Pause { actor: "ana".into(), reason: "looking".into() }
}

pub(crate) fn resume() -> Command {
    Command::Resume { actor: "ana".into() }
}

pub(crate) fn promote() -> Command {
    Command::Promote { actor: "ana".into() }
}

pub(crate) fn abort() -> Command {
    Command::Abort { actor: "ana".into(), reason: "not today".into() }
}

pub(crate) fn retry() -> Command {
    let Command::Start(asked) = start() else { unreachable!() };
    Command::Retry(asked)
}
