//! Why a command is not obeyed, as the person who gave it reads it.

use super::evidence::Ready;
use super::position::{GateRef, Identity, Phase};
use super::reason::HoldReason;
use crate::ids::VersionName;
use crate::weights::BasisPoints;
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
    /// The step of this weight waits for no approval; those of the others do.
    NoApproval {
        before: BasisPoints,
        others: Vec<BasisPoints>,
    },
    /// It stands on its last step.
    NoNextStep,
    NotAnApprover {
        actor: String,
        by: Vec<String>,
    },
    NoSuchItem {
        item: String,
        known: Vec<String>,
    },
    /// A completed rollout is taken back only while no other one is under way.
    UndoUnderWay {
        candidate: Identity,
        stable: Identity,
    },
    /// The journal knows nothing that was stable before this.
    NothingBefore(Identity),
    FormerNotListed(Identity),
    FormerReleased {
        identity: Identity,
        listed: String,
    },
    FormerNotReady {
        identity: Identity,
        ready: Option<Ready>,
    },
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
            Self::NoApproval { before, others } if others.is_empty() => {
                write!(f, "the rollout waits for no approval before {before}, nor later")
            }
            Self::NoApproval { before, others } => {
                let others: Vec<String> = others.iter().map(ToString::to_string).collect();
                let others = others.join(" and ");
                write!(
                    f,
                    "the rollout waits for no approval before {before}; it does before {others}, which can be named"
                )
            }
            Self::NoNextStep => f.write_str("no step comes that could wait for an approval"),
            Self::NotAnApprover { actor, by } => {
                write!(f, "{actor} may not approve this step; {} may", by.join(" and "))
            }
            Self::NoSuchItem { item, known } if known.is_empty() => {
                write!(f, "no checklist is ahead that has {item:?}")
            }
            Self::NoSuchItem { item, known } => {
                write!(f, "no checklist ahead has {item:?}; they have: {}", known.join(", "))
            }
            Self::UndoUnderWay { candidate, stable } => write!(
                f,
                "a rollout of {candidate} is under way: abort it first; undo then takes back {stable}"
            ),
            Self::NothingBefore(stable) => write!(
                f,
                "the journal knows of nothing that was stable before {stable}; list what is to replace it and start a rollout, or divide by hand with `serin weights`"
            ),
            Self::FormerNotListed(identity) => write!(
                f,
                "{identity} was stable before and is no longer listed; list it again with its endpoints and reload, then undo"
            ),
            Self::FormerReleased { identity, listed } => write!(
                f,
                "{identity} was stable before, and the configuration gives {} the release {listed} now; list {} with its endpoints again and reload, then undo",
                identity.version, identity.release
            ),
            Self::FormerNotReady { identity, ready: None } => {
                write!(f, "whether {identity} is ready is not known yet; try again in a second")
            }
            Self::FormerNotReady { identity, ready: Some(ready) } => write!(
                f,
                "{} of {} endpoints of {identity} are ready, and half of them must be; start the others, or take what is gone out of the file, then undo",
                ready.ready, ready.total
            ),
            Self::UnknownVersion(version) => write!(f, "the service lists no version {version}"),
            Self::OtherVersions { candidate } => write!(
                f,
                "a rollout of {candidate} is under way: weights can only divide stable and {candidate}"
            ),
        }
    }
}

impl std::error::Error for Refusal {}
