//! What may be asked of control, and how it answers.

use crate::controller::ConsequenceView;
use crate::journal::schema;
use crate::view::RolloutState;
use serde::{Deserialize, Serialize};
use serin_core::ids::{ServiceName, VersionName};
use serin_core::time::Wall;
use serin_core::weights::{BasisPoints, Weights};
use std::fmt;

/// Who asks, as the journal remembers it: `token operator`, `unix uid 1000`, `onChange`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(pub String);

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Start(StartRollout),
    /// Goes to the next step now, past holds, approvals and missing evidence; never past a guard.
    Promote {
        reason: String,
        /// Refused unless the rollout is on this step, from 1; 0 is before the first. A repeated
        /// promotion of one step is then no promotion of the next one.
        from_step: Option<u32>,
    },
    Pause {
        reason: String,
    },
    Resume {
        reason: String,
    },
    /// Back to stable, on the operator's word.
    Abort {
        reason: String,
    },
    /// Lets a gate pass, as far as one person can; hold and evidence are still waited for.
    Approve {
        reason: String,
        /// The weight of the step that waits; `None`: of the next one.
        before: Option<BasisPoints>,
    },
    /// Says that an item of a checklist is done, or is not done after all.
    Tick {
        reason: String,
        item: String,
        done: bool,
    },
    /// Takes back the rollout that completed last: what was stable before it gets everything again.
    Undo {
        reason: String,
    },
    /// Begins the last rollout anew, in an epoch of its own, also when its release is quarantined.
    Retry {
        reason: String,
    },
    /// Weights by hand. Between stable and the candidate the rollout is paused there; without a
    /// rollout any versions can have them.
    Weights {
        weights: Weights,
        reason: String,
    },
}

impl Command {
    /// Empty when none was given.
    pub fn reason(&self) -> &str {
        match self {
            Self::Start(start) => &start.reason,
            Self::Promote { reason, .. }
            | Self::Pause { reason }
            | Self::Resume { reason }
            | Self::Abort { reason }
            | Self::Approve { reason, .. }
            | Self::Tick { reason, .. }
            | Self::Undo { reason }
            | Self::Retry { reason }
            | Self::Weights { reason, .. } => reason,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct StartRollout {
    /// `None`: the version that the configuration names.
    pub to: Option<VersionName>,
    pub reason: String,
    /// Refused when it is not the release that the configuration gives that version.
    pub release: Option<String>,
    /// When the change was committed: the beginning of its lead time.
    pub committed_at: Option<Wall>,
    /// Takes the place of a rollout under way, whatever `onBusy` says.
    pub supersede: bool,
}

/// A command with its circumstances.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub command: Command,
    pub actor: Actor,
    /// The [`ServiceView::revision`](crate::ServiceView) that the caller has seen; the order is
    /// refused when the service has moved on.
    pub if_revision: Option<u64>,
    /// The same key with the same command is carried out once, across restarts too.
    pub idempotency_key: Option<String>,
}

impl Order {
    pub fn new(command: Command, actor: Actor) -> Self {
        Self { command, actor, if_revision: None, idempotency_key: None }
    }
}

/// What came of a command. By now it is in force, and durable unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub service: String,
    /// The service's revision after the command.
    pub revision: u64,
    /// The rollout that the command was about.
    pub rollout: Option<String>,
    pub state: Option<RolloutState>,
    /// One sentence for the operator.
    pub message: String,
    /// `false` for what lowers a weight on a disk that does not answer: it is in force, and a crash
    /// before it is written would bring back what was before.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Whether this is the remembered answer to an idempotency key seen before.
    pub repeated: bool,
}

/// What was written is durable.
fn yes() -> bool {
    true
}

impl From<&Outcome> for schema::Outcome {
    fn from(shown: &Outcome) -> Self {
        Self {
            service: shown.service.clone(),
            revision: shown.revision,
            rollout: shown.rollout.clone(),
            state: shown.state.map(Into::into),
            message: shown.message.clone(),
            durable: shown.durable,
            repeated: shown.repeated,
        }
    }
}

impl From<&schema::Outcome> for Outcome {
    fn from(stored: &schema::Outcome) -> Self {
        Self {
            service: stored.service.clone(),
            revision: stored.revision,
            rollout: stored.rollout.clone(),
            state: stored.state.map(Into::into),
            message: stored.message.clone(),
            durable: stored.durable,
            repeated: stored.repeated,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    UnknownService(String),
    UnknownVersion {
        service: ServiceName,
        version: String,
    },
    /// The order was made for another revision.
    Stale {
        expected: u64,
        current: u64,
    },
    /// It makes no sense in the present state; the text says what would.
    NotNow(String),
    /// Not by this caller; the text says by whom.
    Forbidden(String),
    /// It never makes sense.
    Invalid(String),
    /// The key was used with another command.
    KeyReused,
    /// A freeze, or an empty budget, stands in the way.
    Frozen(String),
    /// The record could not be made durable, so nothing was done.
    NotDurable(String),
    /// A configuration that contradicts the journal: where, and what to do.
    Contradicts(Vec<ConsequenceView>),
    /// Too many commands are waiting.
    Busy,
    /// Control is shutting down.
    Stopped,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownService(name) => write!(f, "there is no service {name:?}"),
            Self::UnknownVersion { service, version } => {
                write!(f, "service {service} has no version {version:?}")
            }
            Self::Stale { expected, current } => write!(
                f,
                "the service is at revision {current}, not {expected}; read it again and decide anew"
            ),
            Self::NotNow(why) | Self::Forbidden(why) | Self::Invalid(why) | Self::Frozen(why) => {
                f.write_str(why)
            }
            Self::Contradicts(all) => {
                let all: Vec<String> =
                    all.iter().map(|c| format!("{}: {}", c.path, c.message)).collect();
                f.write_str(&all.join("; "))
            }
            Self::KeyReused => f.write_str("this idempotency key was used with another command"),
            Self::NotDurable(why) => {
                write!(f, "nothing was done, because it could not be recorded: {why}")
            }
            Self::Busy => f.write_str("too many commands are waiting; try again"),
            Self::Stopped => f.write_str("control is shutting down"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Business counts of one version since the last push: `good` of `total`.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    pub version: VersionName,
    pub name: String,
    pub good: u64,
    pub total: u64,
}
