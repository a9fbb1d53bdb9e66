//! What happened, in order, with ids that survive restarts.

use crate::handle::Inner;
use crate::journal::{Record, schema};
use crate::view::{Timestamp, alike};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast;

/// One thing that happened. Ids rise by one with every event, across restarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub id: u64,
    pub at: Timestamp,
    pub kind: EventKind,
    pub service: Option<String>,
    pub rollout: Option<String>,
    /// `P1` to `P3`, where something is wrong.
    pub severity: Option<String>,
    /// One sentence.
    pub message: String,
    /// Who asked for it, when somebody did.
    pub actor: Option<String>,
    /// Basis points by version after the event, when it is about a service.
    pub weights: std::collections::BTreeMap<String, u16>,
}

#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    Started,
    Advanced,
    /// What the rollout waits for has changed.
    Waiting,
    Paused,
    Resumed,
    WeightSet,
    RolledBack,
    /// A completed rollout was taken back.
    Undone,
    /// Another candidate took the place of one under way.
    Superseded,
    Completed,
    Inconclusive,
    /// A rule whose action is to notify, one that holds for a reason, or a stable that fails an
    /// objective.
    Warning,
    Frozen,
    Unfrozen,
    BudgetLow,
    Reloaded,
    ReloadFailed,
    CertificateExpiring,
    /// The journal cannot be written, or can be again.
    JournalFailing,
    JournalRecovered,
}

impl EventKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Advanced => "advanced",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::WeightSet => "weightSet",
            Self::RolledBack => "rolledBack",
            Self::Undone => "undone",
            Self::Superseded => "superseded",
            Self::Completed => "completed",
            Self::Inconclusive => "inconclusive",
            Self::Warning => "warning",
            Self::Frozen => "frozen",
            Self::Unfrozen => "unfrozen",
            Self::BudgetLow => "budgetLow",
            Self::Reloaded => "reloaded",
            Self::ReloadFailed => "reloadFailed",
            Self::CertificateExpiring => "certificateExpiring",
            Self::JournalFailing => "journalFailing",
            Self::JournalRecovered => "journalRecovered",
        }
    }
}

alike! {
    EventKind, schema::EventKind:
    Started, Advanced, Waiting, Paused, Resumed, WeightSet, RolledBack, Undone, Superseded, Completed,
    Inconclusive, Warning, Frozen, Unfrozen, BudgetLow, Reloaded, ReloadFailed, CertificateExpiring,
    JournalFailing, JournalRecovered,
}

impl Event {
    /// As it is stored.
    pub(crate) fn record(self) -> Record {
        let Self { id, at, kind, service, rollout, severity, message, actor, weights } = self;
        let (at, kind) = (at.0, kind.into());
        Record::Event(Box::new(schema::Event {
            id,
            at,
            kind,
            service,
            rollout,
            severity,
            message,
            actor,
            weights,
        }))
    }
}

impl From<schema::Event> for Event {
    fn from(stored: schema::Event) -> Self {
        let schema::Event { id, at, kind, service, rollout, severity, message, actor, weights } =
            stored;
        let (at, kind) = (Timestamp(at), kind.into());
        Self { id, at, kind, service, rollout, severity, message, actor, weights }
    }
}

/// Events from a given id on: first the remembered ones, then those that happen. A reader that is
/// too slow for the live queue is served from the journal again, so it misses nothing.
#[derive(Debug)]
pub struct Subscription {
    inner: Arc<Inner>,
    live: broadcast::Receiver<schema::Event>,
    last: u64,
    replay: VecDeque<schema::Event>,
}

impl Subscription {
    pub(crate) fn new(inner: Arc<Inner>, after: Option<u64>) -> Self {
        let live = inner.events.subscribe();
        let newest = inner.last_event();
        // An id that nobody was given yet is another journal's: of this one the reader knows nothing.
        let last = after.map_or(newest, |after| if after > newest { 0 } else { after });
        let replay = inner.events_after(last).into();
        Self { inner, live, last, replay }
    }

    /// The next event; `None` when control has stopped.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.replay.pop_front() {
                self.last = event.id;
                return Some(event.into());
            }
            match self.live.recv().await {
                Ok(event) if event.id <= self.last => {}
                Ok(event) if event.id == self.last + 1 => {
                    self.last = event.id;
                    return Some(event.into());
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.replay = self.inner.events_after(self.last).into();
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
