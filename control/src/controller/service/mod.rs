//! One service in the controller's care: its pilot, what is published of it, and what waits.

mod command;
mod gates;
mod pending;
mod perform;
mod tick;

use super::checkpoint;
use super::figures::Ledger;
use super::recorder::Recorder;
use super::records;
use crate::command::{Order, Outcome, Refusal};
use crate::journal::schema::{Checkpoint, Rollout, Shaped, TermsShape};
use crate::journal::{Durability, Memory, Ticket};
use crate::view::ServiceView;
pub(crate) use pending::Latest;
use pending::{Failing, GateInquiry, HarmWatch, Pending};
use serin_config::model::Service;
use serin_core::ids::ServiceName;
use serin_core::plane::{DataPlane, Readiness};
use serin_core::rollout::{
    Clock, Conditions, Decision, Evidence, Identity, Listed, Pilot, Position, Terms, is_news,
    split_of,
};
use serin_core::split::Split;
use serin_core::time::{Mono, Now};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

pub(crate) type Reply = oneshot::Sender<Result<Outcome, Refusal>>;

/// How old the drawing of an idle service may be.
const REDRAWN: Duration = Duration::from_secs(30);
/// Commands that wait until a raise is durable.
pub(crate) const QUEUE: usize = 16;

#[derive(Debug)]
pub(crate) struct ServiceRun {
    pub(crate) name: ServiceName,
    pub(crate) pilot: Pilot,
    pub(crate) terms_id: String,
    /// What its versions are in the configuration in force.
    pub(crate) listed: Vec<Listed>,
    /// Names of signals that may be pushed; empty: any.
    signals: Vec<String>,
    /// That is not in the journal yet.
    pub(crate) unrecorded: bool,
    pub(crate) revision: u64,
    pub(crate) published: Arc<Split>,
    pub(crate) published_at: Mono,
    pub(crate) pending: Option<Pending>,
    /// Of the latest decision in force that a restart would not know of.
    pub(crate) not_durable: Option<Ticket>,
    pub(crate) queue: VecDeque<(Order, Reply)>,
    /// A command that was carried out, and is answered with what the next decision makes of it.
    pub(crate) following: Option<(Outcome, Reply)>,
    pub(crate) ledger: Ledger,
    pub(crate) recorder: Recorder,
    pub(crate) record: Option<Rollout>,
    pub(crate) latest: Option<Arc<Latest>>,
    pub(crate) asked: Vec<GateInquiry>,
    /// After a write that failed: no other attempt before this moment.
    pub(crate) not_before: Option<Mono>,
    /// Whose harm was seen first when, since the weight last changed.
    pub(crate) harm: HarmWatch,
    /// Since when stable has kept its objectives, once it was told that it fails one.
    pub(crate) failing: Option<Failing>,
    /// The kind of waiting that was told last.
    pub(crate) told_waiting: Option<crate::view::WaitingFor>,
    /// How the outside sees it, as it was drawn last; `None` when it is to be drawn anew.
    pub(crate) view: Option<Arc<ServiceView>>,
    pub(crate) drawn_at: Mono,
    pub(crate) readiness: Vec<Readiness>,
}

impl ServiceRun {
    /// Goes on from what is remembered of this service, or begins at rest.
    pub(crate) fn resume(
        service: &Service,
        memory: &Memory,
        checkpoint: Option<&Checkpoint>,
        now: Now,
    ) -> Self {
        let terms = Arc::new(terms_of(service));
        let known = memory.positions.get(service.name.as_str()).cloned();
        let (revision, mut position) =
            known.unwrap_or_else(|| (1, Position::at_rest(terms.file_stable())));
        position.clock = Clock::default();
        if let (Some(rollout), Some(checkpoint)) = (&mut position.rollout, checkpoint) {
            let held = checkpoint::held(checkpoint, service.name.as_str(), rollout);
            rollout.held = rollout.held.max(held.unwrap_or_default());
        }
        let record = position
            .rollout
            .as_ref()
            .and_then(|rollout| memory.find_rollout(rollout.id.as_str()).cloned());
        let pilot = match checkpoint
            .and_then(|checkpoint| checkpoint::memory(checkpoint, service, now))
        {
            None => Pilot::new(Arc::clone(&terms), position, now.mono),
            Some((checkpoint, downtime)) => {
                let (pilot, read) =
                    Pilot::resume(Arc::clone(&terms), position, &checkpoint, downtime, now.mono);
                if let Err(fault) = read {
                    tracing::warn!(service = %service.name, %fault, "windows begin anew");
                }
                pilot
            }
        };
        let published = Arc::new(split_of(&terms, pilot.position(), &Evidence::default()));
        Self {
            name: service.name.clone(),
            terms_id: id_of(&terms),
            listed: listed_of(service),
            signals: service.signals.clone(),
            unrecorded: true,
            pilot,
            revision,
            published,
            published_at: now.mono,
            pending: None,
            not_durable: None,
            queue: VecDeque::new(),
            following: None,
            ledger: Ledger::default(),
            recorder: Recorder::default(),
            record,
            latest: None,
            asked: Vec::new(),
            not_before: None,
            harm: HarmWatch::default(),
            failing: None,
            told_waiting: None,
            view: None,
            drawn_at: now.mono,
            readiness: Vec::new(),
        }
    }

    /// Before the first tick: what it goes on from is in force.
    pub(crate) fn begin(&mut self, plane: &dyn DataPlane) {
        plane.publish(Arc::clone(&self.published));
        self.readiness = plane.readiness(&self.name);
    }

    pub(crate) fn set_service(&mut self, service: &Service) {
        let terms = Arc::new(terms_of(service));
        self.terms_id = id_of(&terms);
        self.listed = listed_of(service);
        self.signals.clone_from(&service.signals);
        self.unrecorded = true;
        self.pilot.set_terms(terms);
        self.view = None;
    }

    /// Nothing is under way that a failure could end: no rollout, and no decision on its way to the disk.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.pending.is_none() && self.pilot.position().active().is_none()
    }

    /// Something of it goes on that is looked at in every tick.
    pub(crate) fn is_awake(&self) -> bool {
        !self.is_at_rest() || self.is_busy() || self.not_durable.is_some()
    }

    /// Whether what was drawn of it last is no longer so, for a service at rest. What only fades, like a
    /// burn rate over hours, is drawn now and then.
    pub(crate) fn has_other_figures(&self, now: Mono) -> bool {
        self.ledger.is_moving() || now.since(self.drawn_at) >= REDRAWN
    }

    /// A decision that lowers a weight waits a moment for its record.
    pub(crate) fn is_lowering(&self) -> bool {
        self.pending.as_ref().is_some_and(|p| p.durability == Durability::Required)
    }

    /// Whether commands that raise something have to wait for one that came before.
    pub(crate) fn is_busy(&self) -> bool {
        self.pending.is_some() || self.following.is_some()
    }

    pub(crate) fn must_publish(&self, split: &Split, now: Mono) -> bool {
        is_news(&self.published, split, now.since(self.published_at))
    }

    /// Keeps a decision about a rollout under way, with what it was made from, for whoever asks why.
    pub(crate) fn note(
        &mut self,
        before: &Position,
        decision: &Decision,
        conditions: &Conditions,
        now: Now,
    ) {
        let taken_back = records::taken_back(decision);
        if before.active().is_none() && decision.next.active().is_none() && taken_back.is_none() {
            return;
        }
        let rollout = decision.next.rollout.as_ref();
        if let Some(rollout) = rollout.filter(|r| taken_back.is_none_or(|undone| r.id == *undone)) {
            self.latest = Some(Arc::new(Latest {
                service: self.name.to_string(),
                rollout: rollout.id.to_string(),
                terms: self.terms_id.clone(),
                position: before.clone(),
                evidence: self.pilot.evidence().clone(),
                conditions: conditions.clone(),
                now,
                decision: decision.clone(),
                candidate: rollout.candidate.version.clone(),
            }));
        }
    }
}

pub(crate) fn listed_of(service: &Service) -> Vec<Listed> {
    let listed = |v: &serin_config::model::Version| Listed {
        identity: Identity { version: v.name.clone(), release: v.release.clone() },
        endpoints: v.endpoints.names(),
    };
    // By name, as whoever reads the journal finds them.
    let mut all: Vec<Listed> = service.versions.iter().map(listed).collect();
    all.sort_by(|a, b| a.identity.cmp(&b.identity));
    all
}

pub(crate) fn terms_of(service: &Service) -> Terms {
    let identity = |v: &serin_config::model::Version| Identity {
        version: v.name.clone(),
        release: v.release.clone(),
    };
    Terms {
        service: service.name.clone(),
        stable: service.stable.clone(),
        versions: service.versions.iter().map(identity).collect(),
        objectives: service.objectives.clone(),
        plan: service.rollout.clone(),
    }
}

/// The same terms have the same id in every run.
fn id_of(terms: &Terms) -> String {
    let text = serde_json::to_string(&Shaped::<TermsShape>(terms.clone())).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}
