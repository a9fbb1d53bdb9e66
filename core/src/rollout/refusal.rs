//! Why a command is not obeyed, as the person who gave it reads it.

use super::position::{GateRef, Identity, Phase};
use super::reason::HoldReason;
use crate::ids::VersionName;
use std::fmt;

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
    /// Nothing to retry: it was neither rejected nor is it the last rollout's.
    NotTried(Identity),
    /// Weights were set by hand.
    ByHand,
    Held(Vec<HoldReason>),
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
                write!(
                    f,
                    "a rollout of {candidate} is {phase}; abort it first, or start with `--supersede`"
                )
            }
            Self::NoRollout => f.write_str("no rollout is under way"),
            Self::Phase { phase, command } => {
                write!(f, "cannot {command} a rollout that is {phase}")
            }
            Self::Quarantined { identity, why } => {
                write!(f, "{identity} was rejected ({why}); use retry to start it again")
            }
            Self::NotTried(identity) => write!(f, "{identity} had no rollout yet; use start"),
            Self::ByHand => {
                f.write_str("weights were set by hand; give everything to stable first")
            }
            Self::Held(hold_reasons) => {
                let all: Vec<String> = hold_reasons.iter().map(ToString::to_string).collect();
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
