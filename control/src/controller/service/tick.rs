//! One look at a service: collect, decide, perform.

use super::ServiceRun;
use super::pending::Failing;
use crate::controller::shared::{Shared, bare};
use crate::controller::telling::weights_of;
use crate::event::{Event, EventKind};
use crate::journal::schema::Rollout;
use crate::journal::{Durability, Record};
use crate::view::Timestamp;
use serin_core::measure::ServiceCounts;
use serin_core::rollout::Observed;
use serin_core::slo::Severity;
use serin_core::time::Now;
use std::time::Duration;

/// Stable keeps its objectives again when it did so for this long: rates flicker about a limit.
const KEPT_AGAIN: Duration = Duration::from_secs(60);

impl ServiceRun {
    /// In its second a service looks at latencies, figures and objectives, too.
    pub(crate) fn tick(&mut self, shared: &mut Shared, second: bool, now: Now) {
        let counts = shared.plane.counts(&self.name);
        let readiness = shared.plane.readiness(&self.name);
        let known = |counts| self.is_at_rest() && self.ledger.knows_latencies(counts);
        let latencies = if second && !counts.as_ref().is_some_and(known) {
            shared.plane.latencies(&self.name)
        } else {
            None
        };
        self.ledger.observe(counts.as_ref(), latencies.as_ref(), now.mono);
        if second {
            self.recorder.record(&self.ledger, &self.published, now);
        }
        let before = self.pilot.position().clone();
        let observed = Observed {
            counts: counts.as_ref(),
            latencies: latencies.as_ref(),
            readiness: &readiness,
            own_lag: shared.own_lag,
        };
        if self.readiness != readiness || second && self.has_other_figures(now.mono) {
            self.view = None;
        }
        let decision = self.pilot.tick(observed, &shared.conditions, now);
        self.watch_harm(Timestamp(now.wall));
        if second && let Some(record) = self.count_late_harm(counts.as_ref()) {
            let records = vec![Record::Rollout(Box::new(record))];
            drop(shared.journal.commit(records, Durability::BestEffort));
        }
        self.note(&before, &decision, &shared.conditions, now);
        self.readiness = readiness;
        if second {
            self.watch_objectives(shared, now);
        }
        self.perform(shared, decision, None, now);
        self.answer_following(shared, now);
    }

    /// Objectives are watched whether or not there is a rollout.
    fn watch_objectives(&mut self, shared: &mut Shared, now: Now) {
        let Some((message, severity)) = self.objectives_news(now) else { return };
        self.view = None;
        let event = Event {
            service: Some(self.name.to_string()),
            severity: severity.map(|severity| severity.as_str().to_owned()),
            weights: weights_of(&self.published),
            ..bare(EventKind::Warning, message, now)
        };
        tracing::warn!(service = %self.name, event = event.kind.as_str(), "{}", event.message);
        shared.tell(event, Durability::BestEffort);
        shared.changed();
    }

    /// That stable fails an objective, or that it keeps them again.
    fn objectives_news(&mut self, now: Now) -> Option<(String, Option<Severity>)> {
        let stable = self.pilot.position().stable.version.clone();
        let missed = self.pilot.slo().missed(&stable, now.mono);
        match (missed, &mut self.failing) {
            (Some(_), Some(failing)) if failing.version == stable => {
                failing.seen = now.mono;
                None
            }
            (Some(missed), _) => {
                let since = Timestamp(now.wall);
                self.failing = Some(Failing { version: stable.clone(), since, seen: now.mono });
                let said = format!("stable {stable} fails its objective: {missed}");
                Some((said, Some(missed.severity)))
            }
            (None, Some(failing)) if now.mono.since(failing.seen) >= KEPT_AGAIN => {
                self.failing = None;
                Some((format!("stable {stable} keeps its objectives again"), None))
            }
            (None, _) => None,
        }
    }

    /// What was in flight when a rollout ended and failed only then is its harm as well. Gives the
    /// record that says so, when there is more of it.
    fn count_late_harm(&mut self, counts: Option<&ServiceCounts>) -> Option<Rollout> {
        let record = self.record.as_mut().filter(|record| record.state.is_over())?;
        let counts = counts.filter(|c| c.failed_requests > record.harm.failed_requests)?;
        record.harm.failed_requests = counts.failed_requests;
        record.harm.users = record.harm.users.max(counts.failed_users);
        Some(record.clone())
    }

    /// Failures since the weight last changed, for the time that it took to restore.
    fn watch_harm(&mut self, at: Timestamp) {
        let failed = self.pilot.evidence().harm.failed_requests;
        if failed > self.harm.failed {
            self.harm.since.get_or_insert(at);
        }
        self.harm.failed = failed;
    }
}
