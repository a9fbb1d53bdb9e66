//! The rollout: its plan, its state machine, and the decision.
//!
//! [`decide`] looks at one service: the [`Terms`] of its configuration, its [`Position`], the
//! [`Evidence`] of this moment and what is [`Conditions`]; it answers with a [`Decision`]. Nothing
//! here measures, waits, stores or publishes. [`Pilot`] puts judge and decision together, for
//! the controller and the simulator alike.

mod adopt;
mod aside;
mod by_hand;
mod command;
mod complete;
mod consequence;
mod dark;
mod decide;
mod decision;
mod evidence;
mod gates;
mod guards;
mod inconclusive;
mod paused;
mod pending;
mod pilot;
mod plan;
mod position;
mod publish;
mod queue;
mod reason;
mod refusal;
mod rest;
mod rollback;
mod sentences;
mod spared;
mod supersede;
mod terms;
mod turn;
mod undo;
mod waits;
mod watching;
pub mod windows;
mod words;

pub use crate::measure::Part;
pub use adopt::{adopt_stable, set_aside};
pub use command::{Command, Start as StartCommand, command};
pub use consequence::{Conflict, Consequence, Intent, Listed, Next, foretell};
pub use decide::decide;
pub use decision::{Ask, Decision, Event, Verdict};
pub use evidence::{
    BeforeTest, Bet, BoundedHarm, BurnReading, Concentration, Data, ErrorTest, Evidence, Exposure,
    GuardReading, Harmed, LatencyTest, Met, MissingReading, Named, Outlook, Ready, Samples,
    ShadowReading, SharedCause, SlowClients, Toll, Value,
};
pub use pilot::{Memory, Observed, Pilot, Signal};
pub use plan::{
    Accept, Action, Compared, Dark, Demand, Gate, GateKind, Guard, Harm, OnBusy, OnRollback,
    OnTooFew, Plan, Regression, Rule, Start, Step, Strategy, TimeOfDay, Window, WindowEffect,
    WindowSpan,
};
pub use position::{
    Answer, Aside, Clock, Ended, Former, GateAnswer, GateRef, GateRefKind, Identity, Manual, Pause,
    Phase, Position, Quarantined, Queued, RolloutState, Stage, StandingGuard, Started,
};
pub use publish::{is_news, split_of};
pub use reason::{GoodEnough, Grounds, HoldReason, Idle, RollbackReason};
pub use refusal::Refusal;
pub use terms::{Conditions, Freeze, Terms};
pub use words::{Percent, Rounded, Span, When};

/// How long sessions may drain after a rollback; then they are revoked.
pub const DRAIN_AT_MOST: std::time::Duration = std::time::Duration::from_secs(600);
