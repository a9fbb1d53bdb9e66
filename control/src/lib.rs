//! Rollouts that act, survive and explain themselves: the tick, the journal, the admin API.
//!
//! [`Control::start`] takes a checked configuration and a data plane and returns once the first
//! splits are in force. Everything outside (the admin API, the command line, a test) speaks to
//! it through a [`Handle`], which is cheap to clone and never blocks the tick: reading is one
//! atomic load, and a command is answered only when its record is durable.

pub mod api;
mod command;
mod control;
mod controller;
mod event;
mod gates;
mod handle;
mod history;
pub mod journal;
mod metrics;
mod notify;
mod outbound;
mod stepped;
pub mod trial;
mod view;

pub use command::{Actor, Command, Order, Outcome, Refusal, Signal, StartRollout};
pub use control::{Control, Options, StartError, lock};
pub use controller::{
    ConsequenceView, OnBusyIntent, RolloutIntent, ServiceIntent, VersionIntent, intents,
};
pub use event::{Event, EventKind, Subscription};
pub use handle::Handle;
pub use stepped::Stepped;
pub use view::{
    BadRequest, BurnView, CanarySideView, CanaryView, Comparison, ConfigView, Dora, EvidenceView,
    Figures, FreezeView, GateView, GuardView, HarmView, Health, HistoryView, ItemView, PlanView,
    ProofView, ReloadView, RolloutRecord, RolloutState, RolloutView, ServiceView, SloView,
    Snapshot, StepView, TimelineEntry, Timestamp, VersionHistory, VersionRole, VersionView,
    WaitingFor, Why,
};
pub use view::{BesideView, DifferenceSampleView, DifferenceView, PlaceView, QuantilesView};
pub use view::{CountView, FailuresView, MissedView};
pub use view::{ShadowResultsView, ShadowView, Unit};

/// Every metric of this side.
pub fn metrics() -> impl Iterator<Item = &'static serin_core::metrics::Metric> {
    metrics::CONTROL.iter().copied()
}
