//! Where one service stands: everything that must survive a crash, and nothing else.
//!
//! Plain values with public fields, because control stores them; only [`decide`](super::decide)
//! and [`command`](super::command) make new ones. Time spent is kept as durations, never as
//! moments of a clock, so a restart resumes the same step with the same remaining hold.

use super::plan::Step;
use crate::ids::{Epoch, RolloutId, VersionName};
use crate::split::Scope;
use crate::time::{Now, Wall};
use crate::weights::{BasisPoints, Weights};
use std::fmt;
use std::time::Duration;

/// What makes a release this release: the same version name with another release is another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    pub version: VersionName,
    pub release: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.release == self.version.as_str() {
            return fmt::Display::fmt(&self.version, f);
        }
        write!(f, "{} ({})", self.version, self.release)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    pub stable: Identity,
    /// Of the latest rollout; 0 before the first.
    pub epoch: Epoch,
    /// The rollout under way, or the one that ended last.
    pub rollout: Option<RolloutState>,
    /// Rejected releases: they start again only after an explicit retry.
    pub quarantine: Vec<Quarantined>,
    /// Weights set by hand while no rollout is under way.
    pub manual: Option<Manual>,
    /// What starts when the rollout under way has ended.
    pub queued: Option<Queued>,
    /// Releases that were stable or had a rollout, the latest last: `onChange` starts each once.
    pub seen: Vec<Identity>,
    /// What was stable before, the latest last: where an undo goes back to.
    pub former: Vec<Former>,
    /// Not stored: a restart begins with `Clock::default()`.
    pub clock: Clock,
}

/// One rollout's way through its plan.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutState {
    pub id: RolloutId,
    pub epoch: Epoch,
    /// Picks the users who go first; made from the id, so that every proxy has the same.
    pub salt: u64,
    pub candidate: Identity,
    /// The plan's steps as they were when the weight in force was decided: a reload that
    /// changes them is noticed, and raises nothing.
    pub steps: Vec<Step>,
    pub phase: Phase,
    pub stage: Stage,
    /// The candidate's weight in force.
    pub weight: BasisPoints,
    pub of: Scope,
    /// How long the present stage has been watched. Pauses and missing data do not count.
    pub held: Duration,
    /// Guards that are breached now, and for how long.
    pub standing: Vec<StandingGuard>,
    /// Breaches that were reported in this stage, or paused for and not cleared since.
    pub acted: Vec<String>,
    pub answers: Vec<GateAnswer>,
    /// A person asked to leave this stage without its remaining hold and evidence.
    pub promoted: bool,
    pub pause: Option<Pause>,
    pub ended: Option<Ended>,
    /// It has stepped aside, or is back on probation.
    pub aside: Option<Aside>,
    /// How often it came back: each time the comparison with stable begins anew.
    pub returns: u32,
    /// How long open sessions have been draining since a rollback.
    pub drained: Duration,
    pub started: Started,
    /// When the present stage began.
    pub stage_at: Wall,
}

/// The states of product and API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Asked for; something stands against the first step.
    Pending,
    /// The candidate only gets copies.
    Dark,
    /// A step's hold is running.
    Running,
    /// The hold is over, or cannot be counted, and something stands against the next step.
    Holding,
    /// A person or a guard stopped it; the weight stays.
    Paused,
    /// `giveUpAfter` has passed without an answer; the weight stays and a person decides.
    Inconclusive,
    RolledBack,
    /// Another candidate took its place; nothing was held against it.
    Superseded,
    Complete,
}

impl Phase {
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Dark,
        Self::Running,
        Self::Holding,
        Self::Paused,
        Self::Inconclusive,
        Self::RolledBack,
        Self::Superseded,
        Self::Complete,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dark => "dark",
            Self::Running => "running",
            Self::Holding => "holding",
            Self::Paused => "paused",
            Self::Inconclusive => "inconclusive",
            Self::RolledBack => "rolledBack",
            Self::Superseded => "superseded",
            Self::Complete => "complete",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Nothing more will happen to this rollout.
    pub fn is_over(self) -> bool {
        matches!(self, Self::RolledBack | Self::Superseded | Self::Complete)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far the rollout has come, whatever it is doing there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Before the first step. The weight is 0, or one set by hand.
    Before,
    Dark,
    /// Index into the plan's steps.
    Step(u16),
}

#[derive(Debug, Clone, PartialEq)]
pub struct StandingGuard {
    pub guard: String,
    pub lasted: Duration,
}

/// Names a gate for as long as the plan keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateRef {
    pub before: BasisPoints,
    pub kind: GateRefKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateRefKind {
    Approval,
    /// Of a checklist.
    Item {
        item: String,
    },
    Webhook {
        url: String,
    },
    /// Answered by the evidence, never by a command.
    Shadow,
    /// The budget policy's confirmation, as if it were a gate before every step.
    Budget,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateAnswer {
    pub gate: GateRef,
    pub answer: Answer,
    pub by: String,
    pub at: Wall,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Granted,
    /// It said no, or nothing that can be understood; asked again until it grants.
    Refused {
        detail: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub by: String,
    pub why: String,
    pub at: Wall,
    /// The guard or burn rule that paused.
    pub guard: Option<String>,
}

/// The comparison had proof once. Fresh traffic decides whether it was the candidate's doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The label of a rollback by it.
    pub rule: String,
    pub why: String,
    /// Its weight before, and when it is back.
    pub weight: BasisPoints,
    /// How much longer it gets no traffic.
    pub away: Duration,
    /// For how much longer, once it is back, less proof than usual sends it to stable for good.
    pub probation: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub at: Wall,
    pub by: String,
    /// Bounded: a guard's name or one of a few words. The metric's label.
    pub label: String,
    pub why: String,
    /// The release was found to be bad, and is quarantined.
    pub blamed: bool,
    /// The candidate's weight just before.
    pub reached: BasisPoints,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub at: Wall,
    pub by: String,
    pub reason: String,
    /// When the change was committed, for the lead time.
    pub committed_at: Option<Wall>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    pub identity: Identity,
    pub by: RolloutId,
    pub at: Wall,
    pub why: String,
}

/// A candidate that waits for another one's rollout to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    pub identity: Identity,
    pub started: Started,
}

/// A version that was stable until a rollout made another one stable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    pub identity: Identity,
    pub ended_by: RolloutId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manual {
    pub weights: Weights,
    pub by: String,
    pub reason: String,
    pub at: Wall,
}

/// What the decider remembers from one tick to the next, and forgets when it restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// The last decision's moment.
    pub last: Option<Now>,
    /// For how long the wall clock must still agree with the other one before it is believed.
    pub unsettled: Duration,
}

impl Position {
    /// A service that has never had a rollout.
    pub fn at_rest(stable: Identity) -> Self {
        Self {
            seen: vec![stable.clone()],
            stable,
            epoch: Epoch::default(),
            rollout: None,
            quarantine: Vec::new(),
            manual: None,
            queued: None,
            former: Vec::new(),
            clock: Clock::default(),
        }
    }

    /// The rollout under way.
    pub fn active(&self) -> Option<&RolloutState> {
        self.rollout.as_ref().filter(|rollout| !rollout.phase.is_over())
    }

    /// Whether `other` says the same but for how much time has passed: then it need not be
    /// stored before it is acted upon, only now and then.
    pub fn equals_but_for_time(&self, other: &Self) -> bool {
        let Self { stable, epoch, rollout, quarantine, manual, queued, seen, former, clock: _ } =
            self;
        let same_rollout = match (rollout, &other.rollout) {
            (Some(rollout), Some(other)) => rollout.equals_but_for_time(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_rollout
            && (stable, epoch, manual) == (&other.stable, &other.epoch, &other.manual)
            && former == &other.former
            && (quarantine, queued, seen) == (&other.quarantine, &other.queued, &other.seen)
    }
}

impl RolloutState {
    fn equals_but_for_time(&self, other: &Self) -> bool {
        let Self {
            id,
            epoch,
            salt,
            candidate,
            steps,
            phase,
            stage,
            weight,
            of,
            held: _,
            standing,
            acted,
            answers,
            promoted,
            pause,
            ended,
            aside,
            returns,
            drained: _,
            started,
            stage_at,
        } = self;
        let strike = |aside: &Option<Aside>| {
            aside.as_ref().map(|aside| (aside.rule.clone(), aside.why.clone(), aside.weight))
        };
        let names = standing.iter().map(|s| &s.guard);
        let same_guards = names.eq(other.standing.iter().map(|s| &s.guard));
        same_guards
            && returns == &other.returns
            && strike(aside) == strike(&other.aside)
            && (id, epoch, salt) == (&other.id, &other.epoch, &other.salt)
            && (candidate, steps) == (&other.candidate, &other.steps)
            && (phase, stage, stage_at) == (&other.phase, &other.stage, &other.stage_at)
            && (weight, of, promoted) == (&other.weight, &other.of, &other.promoted)
            && (acted, answers) == (&other.acted, &other.answers)
            && (pause, ended, started) == (&other.pause, &other.ended, &other.started)
    }

    pub fn step(&self) -> Option<&Step> {
        match self.stage {
            Stage::Step(index) => self.steps.get(usize::from(index)),
            Stage::Before | Stage::Dark => None,
        }
    }

    /// How long the weight in force is to be watched. One under the first step, which somebody set or
    /// a reload left behind, is held for as long as that step.
    pub fn hold(&self) -> Option<Duration> {
        let step = match self.stage {
            Stage::Before if self.weight > BasisPoints::ZERO => self.steps.first(),
            Stage::Before | Stage::Dark | Stage::Step(_) => self.step(),
        };
        step.map(|step| step.hold)
    }

    pub fn hold_left(&self) -> Option<Duration> {
        self.hold().map(|hold| hold.saturating_sub(self.held))
    }
}
