//! Puts a pilot on a simulated data plane and lets time pass, as the controller does: tick,
//! store, publish, answer gates; and restarts with what was stored.

use super::plane::{Plane, WORKED_OFF_IN};
use super::recorded::RecordedCounts;
use super::script::{Entry, Happening, Made, Report, Simulation, Source, Told};
use crate::rollout::{
    Answer, Command, Conditions, Decision, Event, Freeze, GateRef, HoldReason, Memory, Observed,
    Pilot, Position, Signal, Verdict, is_news, split_of,
};
use crate::split::Split;
use crate::time::{Mono, Now, Wall};
use crate::weights::BasisPoints;
use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

/// A reason to wait is told when it has lasted so long: numbers flicker.
const TOLD_AFTER: Duration = Duration::from_secs(5);
/// One of the same kind is told again in the same stage when so much time has passed.
const TOLD_AGAIN: Duration = Duration::from_secs(3_600);
const STORE_POSITION: Duration = Duration::from_secs(1);
const STORE_MEMORY: Duration = Duration::from_secs(10);
const PUSH_SIGNALS: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// How late the threads of a starved host are.
const STARVED_LAG: Duration = Duration::from_millis(800);

/// The same simulation always gives the same report.
pub fn run(simulation: Simulation) -> Report {
    let length = simulation.length;
    let mut stage = Stage::new(simulation);
    while stage.at < length {
        stage.at = (stage.at + stage.tick).min(length);
        stage.happen();
        stage.tick();
    }
    stage.report()
}

#[derive(Debug)]
struct Stage {
    pilot: Pilot,
    played: Played,
    conditions: Conditions,
    at: Duration,
    tick: Duration,
    starts: Wall,
    clock_off_ms: i64,
    /// When the running process began.
    process: Duration,
    silent_until: Duration,
    starved_until: Duration,
    happenings: VecDeque<(Duration, Happening)>,
    webhooks: (Duration, Answer),
    asked: Vec<(Duration, GateRef)>,
    stored: (Position, Memory),
    split: Split,
    published_at: Duration,
    entries: Vec<Entry>,
    waits: Option<Waits>,
    told_waits: Vec<ToldWait>,
    waiting: Vec<HoldReason>,
}

/// The reason that was met last.
#[derive(Debug)]
struct Waits {
    why: HoldReason,
    entry: Entry,
    told: bool,
}

#[derive(Debug)]
struct ToldWait {
    kind: Discriminant<HoldReason>,
    /// When its stage began.
    stage: Option<Wall>,
    at: Duration,
}

#[derive(Debug)]
enum Played {
    Made(Box<Plane>),
    Recorded(RecordedCounts),
}

impl Stage {
    fn new(simulation: Simulation) -> Self {
        let Simulation { terms, position, source, happenings, .. } = simulation;
        let terms = Arc::new(terms);
        let pilot = Pilot::new(Arc::clone(&terms), position.clone(), Mono(0));
        let split = split_of(&terms, &position, pilot.evidence());
        let played = match source {
            Source::Made(mut made) => {
                made.draw(simulation.length, simulation.seed);
                let Made { traffic, behaviours, .. } = *made;
                let plane = Plane::new(traffic, behaviours, split.clone(), simulation.seed);
                Played::Made(Box::new(plane))
            }
            Source::Recorded(recording) => {
                let versions: Vec<_> = terms.versions.iter().map(|v| v.version.clone()).collect();
                Played::Recorded(RecordedCounts::new(&versions, recording))
            }
        };
        let mut happenings = happenings;
        happenings.sort_by_key(|(at, _)| *at);
        Self {
            stored: (position, Memory::default()),
            pilot,
            played,
            conditions: Conditions::default(),
            at: Duration::ZERO,
            tick: simulation.tick.max(Duration::from_millis(1)),
            starts: simulation.starts,
            clock_off_ms: 0,
            process: Duration::ZERO,
            silent_until: Duration::ZERO,
            starved_until: Duration::ZERO,
            happenings: happenings.into(),
            webhooks: simulation.webhooks,
            asked: Vec::new(),
            split,
            published_at: Duration::ZERO,
            entries: Vec::new(),
            waits: None,
            told_waits: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        let since = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        Now {
            mono: Mono(0).plus(self.at.saturating_sub(self.process)),
            wall: Wall(self.starts.0 + since(self.at) + self.clock_off_ms),
        }
    }

    fn happen(&mut self) {
        while self.happenings.front().is_some_and(|(at, _)| *at <= self.at) {
            let Some((_, happening)) = self.happenings.pop_front() else { return };
            match happening {
                Happening::Ask(command) => self.ask(command),
                Happening::Freeze { by, reason } => {
                    let (by2, reason2, since) = (by.clone(), reason.clone(), self.now().wall);
                    self.conditions.freeze = Some(Freeze { by: by2, reason: reason2, since });
                    self.tell(Told::Frozen { by, reason });
                }
                Happening::Thaw => {
                    self.conditions.freeze = None;
                    self.tell(Told::Thawed);
                }
                Happening::Restart { downtime } => self.restart(downtime),
                Happening::Clock { by_ms } => {
                    self.clock_off_ms += by_ms;
                    self.tell(Told::ClockSet { by_ms });
                }
                Happening::Silence { lasts } => {
                    self.silent_until = self.at + lasts;
                    self.tell(Told::Silent { lasts });
                }
                Happening::Starve { lasts } => {
                    self.starved_until = self.at + lasts + WORKED_OFF_IN;
                    if let Played::Made(plane) = &mut self.played {
                        plane.starve(self.at, lasts);
                    }
                    self.tell(Told::Starved { lasts });
                }
                Happening::Reload(terms) => {
                    self.pilot.set_terms(Arc::new(*terms));
                    self.tell(Told::Reloaded);
                }
            }
        }
    }

    fn ask(&mut self, command: Command) {
        match self.pilot.command(&command, &self.conditions, self.now()) {
            Ok(decision) => self.perform(decision),
            Err(why) => self.tell(Told::Refused { asked: command, why }),
        }
    }

    /// Everything that was not stored is gone.
    fn restart(&mut self, downtime: Duration) {
        self.tell(Told::Restarted { downtime });
        self.at += downtime;
        self.process = self.at;
        self.asked.clear();
        let (position, memory) = self.stored.clone();
        let terms = Arc::clone(self.pilot.terms());
        let (pilot, _) = Pilot::resume(terms, position, &memory, downtime, Mono(0));
        self.pilot = pilot;
        match &mut self.played {
            Played::Made(plane) => plane.restart(self.at),
            Played::Recorded(recorded) => recorded.restart(),
        }
    }

    fn tick(&mut self) {
        let every = |period: Duration, at: Duration, tick: Duration| {
            at.as_nanos() / period.as_nanos()
                != at.saturating_sub(tick).as_nanos() / period.as_nanos()
        };
        let (at, tick) = (self.at, self.tick);
        self.answer_gates();
        if every(PUSH_SIGNALS, at, tick) {
            self.push_signals();
        }
        let (counts, latencies, readiness) = match &mut self.played {
            Played::Made(plane) => {
                plane.advance(at);
                let latencies = every(Duration::from_secs(1), at, tick).then(|| plane.latencies());
                (plane.counts(), latencies, plane.readiness())
            }
            Played::Recorded(recorded) => {
                recorded.advance(at);
                let latencies =
                    every(Duration::from_secs(1), at, tick).then(|| recorded.latencies());
                (recorded.counts(), latencies, recorded.readiness())
            }
        };
        let silent = at < self.silent_until;
        let observed = Observed {
            counts: (!silent).then_some(&counts),
            latencies: latencies.as_ref().filter(|_| !silent),
            readiness: &readiness,
            own_lag: (at < self.starved_until).then_some(STARVED_LAG),
        };
        let decision = self.pilot.tick(observed, &self.conditions, self.now());
        if every(STORE_MEMORY, at, tick) {
            self.stored.1 = self.pilot.memory();
        }
        if every(STORE_POSITION, at, tick) {
            self.stored.0 = decision.next.clone();
        }
        self.perform(decision);
    }

    /// Store, publish, tell: what the controller does with a decision.
    fn perform(&mut self, decision: Decision) {
        if !decision.next.equals_but_for_time(self.pilot.position()) {
            self.stored.0 = decision.next.clone();
        }
        let ago = self.at.saturating_sub(self.published_at);
        if decision.lift_trip || is_news(&self.split, &decision.split, ago) {
            match &mut self.played {
                Played::Made(plane) => plane.publish(&decision.split),
                Played::Recorded(recorded) => recorded.publish(&decision.split),
            }
            self.split = decision.split;
            self.published_at = self.at;
        }
        self.pilot.commit(decision.next);
        for ask in decision.asks {
            if !self.asked.iter().any(|(_, gate)| *gate == ask.gate) {
                self.asked.push((self.at, ask.gate));
            }
        }
        match decision.verdict {
            verdict @ (Verdict::Advance(_) | Verdict::Complete(_)) => {
                self.tell_events(decision.events);
                self.tell(Told::Verdict(verdict));
                self.waits = None;
            }
            Verdict::Hold(why) => {
                self.tell_events(decision.events);
                self.wait(why);
            }
            Verdict::Rollback(_) | Verdict::Inconclusive(_) | Verdict::Supersede(_) => {
                self.tell_events(decision.events);
            }
        }
        self.waiting = decision.hold_reasons;
    }

    fn answer_gates(&mut self) {
        let (delay, answer) = self.webhooks.clone();
        let due: Vec<(Duration, GateRef)> =
            self.asked.extract_if(.., |(asked, _)| self.at >= *asked + delay).collect();
        for (_, gate) in due {
            let answer = answer.clone();
            let again = matches!(answer, Answer::Refused { .. });
            self.ask(Command::GateAnswered { gate: gate.clone(), answer, actor: "webhook".into() });
            if again {
                self.asked.push((self.at + ASK_AGAIN, gate));
            }
        }
    }

    fn push_signals(&mut self) {
        let now = self.now();
        let Played::Made(plane) = &mut self.played else { return };
        for (version, name, good, total) in plane.take_signals() {
            self.pilot.signal(&Signal { version, name, good, total }, now);
        }
    }

    fn tell_events(&mut self, events: Vec<Event>) {
        // The verdict says these with its grounds.
        let said_twice = |e: &Event| matches!(e, Event::Advanced { .. } | Event::Completed { .. });
        let events = events.into_iter().filter(|event| !said_twice(event));
        events.for_each(|event| self.tell(Told::Event(event)));
    }

    fn tell(&mut self, told: Told) {
        let entry = self.entry(told);
        self.entries.push(entry);
    }

    fn entry(&self, told: Told) -> Entry {
        let rollout = self.pilot.position().rollout.as_ref();
        Entry {
            at: self.at,
            wall: self.now().wall,
            phase: rollout.map(|rollout| rollout.phase),
            weight: rollout.map_or(BasisPoints::ZERO, |rollout| rollout.weight),
            told,
        }
    }

    /// Tells a reason once it has lasted, and not again soon: numbers flicker.
    fn wait(&mut self, why: HoldReason) {
        let over = self.pilot.position().rollout.as_ref().is_some_and(|c| c.phase.is_over());
        let is_command = matches!(why, HoldReason::Accepted | HoldReason::JustStarted);
        if is_command || over {
            return;
        }
        match &mut self.waits {
            Some(waits) if discriminant(&waits.why) == discriminant(&why) => {
                let lasted = self.at.saturating_sub(waits.entry.at) >= TOLD_AFTER;
                if lasted && !std::mem::replace(&mut waits.told, true) {
                    let entry = waits.entry.clone();
                    self.tell_wait(&why, entry);
                }
            }
            Some(_) | None => {
                let entry = self.entry(Told::Waits(why.clone()));
                self.waits = Some(Waits { why, entry, told: false });
            }
        }
    }

    fn tell_wait(&mut self, why: &HoldReason, entry: Entry) {
        let stage = self.pilot.position().rollout.as_ref().map(|rollout| rollout.stage_at);
        let (kind, at) = (discriminant(why), self.at);
        let again = |told: &ToldWait| {
            let often = !matches!(why, HoldReason::HoldRunning { .. });
            told.stage != stage || (often && at.saturating_sub(told.at) >= TOLD_AGAIN)
        };
        let before = self.told_waits.iter().position(|told| told.kind == kind);
        if before.is_none_or(|index| again(&self.told_waits[index])) {
            self.entries.push(entry);
            self.told_waits.retain(|told| told.kind != kind);
            self.told_waits.push(ToldWait { kind, stage, at });
        }
    }

    fn report(mut self) -> Report {
        self.entries.sort_by_key(|entry| entry.at);
        Report {
            entries: self.entries,
            totals: match &self.played {
                Played::Made(plane) => plane.totals(),
                Played::Recorded(recorded) => recorded.totals(),
            },
            position: self.pilot.position().clone(),
            waiting: self.waiting,
        }
    }
}
