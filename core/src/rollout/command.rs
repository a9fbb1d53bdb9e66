//! What a person or a pipeline asks for. A command changes what is wanted and may lower a
//! weight at once; it is the next decision that raises one, if nothing stands against it.
//! The one exception is a weight set by hand.

use super::decision::Decision;
use super::evidence::Evidence;
use super::position::{Answer, GateRef, Identity, Phase, Position};
use super::reason::Objection;
use super::terms::{Outside, Terms};
use crate::ids::VersionName;
use crate::time::{Now, Wall};
use crate::weights::{BasisPoints, Weights};
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Start(Start),
    /// Leaves the present stage without its remaining hold and evidence, and grants what a
    /// person can grant. Never skips a guard, a freeze or a window.
    Promote {
        actor: String,
    },
    Pause {
        actor: String,
        reason: String,
    },
    Resume {
        actor: String,
    },
    Abort {
        actor: String,
        reason: String,
    },
    /// Lifts the quarantine of what the plan brings in, and starts it.
    Retry(Start),
    SetWeights {
        weights: Weights,
        actor: String,
        reason: String,
    },
    /// An approval alone: hold and evidence are still waited for.
    Approve {
        before: BasisPoints,
        actor: String,
    },
    /// What came of an [`Ask`](super::Ask).
    GateAnswered {
        gate: GateRef,
        answer: Answer,
        actor: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Must be what the plan brings in, when given.
    pub to: Option<VersionName>,
    /// Must be the listed release of it, when given.
    pub release: Option<String>,
    pub reason: String,
    pub committed_at: Option<Wall>,
    pub actor: String,
}

/// Why a command changes nothing. Each says what would help.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    NoPlan,
    /// The command names another version than the plan.
    NotPlanned {
        asked: VersionName,
        planned: VersionName,
    },
    NotThatRelease {
        asked: String,
        listed: String,
    },
    AlreadyStable(Identity),
    UnderWay {
        phase: Phase,
        candidate: Identity,
    },
    NoRollout,
    /// The rollout is in a phase in which this means nothing.
    Phase {
        phase: Phase,
        command: &'static str,
    },
    Quarantined {
        identity: Identity,
        why: String,
    },
    NotQuarantined(Identity),
    Objected(Vec<Objection>),
    NoSuchGate(GateRef),
    UnknownVersion(VersionName),
    /// Weights during a rollout can only divide stable and candidate.
    OtherVersions {
        candidate: VersionName,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlan => f.write_str("the service has no rollout in its configuration"),
            Self::NotPlanned { asked, planned } => {
                write!(f, "the plan brings in {planned}, not {asked}; change `rollout.to` first")
            }
            Self::NotThatRelease { asked, listed } => {
                write!(f, "the configuration lists release {listed}, not {asked}")
            }
            Self::AlreadyStable(identity) => write!(f, "{identity} is stable already"),
            Self::UnderWay { phase, candidate } => {
                write!(f, "a rollout of {candidate} is {phase}; abort it first")
            }
            Self::NoRollout => f.write_str("no rollout is under way"),
            Self::Phase { phase, command } => {
                write!(f, "cannot {command} a rollout that is {phase}")
            }
            Self::Quarantined { identity, why } => {
                write!(f, "{identity} was rejected ({why}); use retry to start it again")
            }
            Self::NotQuarantined(identity) => {
                write!(f, "{identity} was not rejected; use start")
            }
            Self::Objected(objections) => {
                let all: Vec<String> = objections.iter().map(ToString::to_string).collect();
                f.write_str(&all.join("; "))
            }
            Self::NoSuchGate(gate) => write!(f, "the rollout does not wait for {gate}"),
            Self::UnknownVersion(version) => write!(f, "the service lists no version {version}"),
            Self::OtherVersions { candidate } => write!(
                f,
                "a rollout of {candidate} is under way: weights can only divide stable and {candidate}"
            ),
        }
    }
}

impl std::error::Error for Refusal {}

/// Performs a command on a position.
pub fn command(
    terms: &Terms,
    position: &Position,
    evidence: &Evidence,
    outside: &Outside,
    command: &Command,
    now: Now,
) -> Result<Decision, Refusal> {
    let _ = (terms, position, evidence, outside, command, now);
    Err(Refusal::NoRollout)
}
