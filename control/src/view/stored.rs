//! Views of what is stored. Whoever adds a field to a view says here what it is for what was written
//! before there was one: the disk is not asked.

use super::{
    BadRequest, Comparison, CountView, FailuresView, Figures, FreezeView, HarmView, RolloutRecord,
    RolloutState, TimelineEntry, Timestamp, Unit,
};
use crate::journal::schema;
use serin_core::rollout::Phase;

impl From<&schema::Rollout> for RolloutRecord {
    fn from(stored: &schema::Rollout) -> Self {
        Self {
            id: stored.id.clone(),
            service: stored.service.clone(),
            from: stored.from.clone(),
            to: stored.to.clone(),
            release: stored.release.clone(),
            state: stored.state.into(),
            reason: stored.reason.clone(),
            start_reason: stored.start_reason.clone(),
            started_by: stored.started_by.clone(),
            started_at: Timestamp(stored.started_at),
            ended_at: stored.ended_at.map(Timestamp),
            completed_at: stored.completed_at.map(Timestamp),
            committed_at: stored.committed_at.map(Timestamp),
            severity: stored.severity.clone(),
            blamed: stored.blamed,
            harmed_at: stored.harmed_at.map(Timestamp),
            reached: stored.reached,
            harm: stored.harm.into(),
            failures: stored.failures.as_ref().map(Into::into),
            comparison: stored.comparison.map(Into::into),
            timeline: stored.timeline.iter().map(Into::into).collect(),
        }
    }
}

impl From<&schema::Entry> for TimelineEntry {
    fn from(stored: &schema::Entry) -> Self {
        Self {
            at: Timestamp(stored.at),
            what: stored.what.clone(),
            weight: stored.weight,
            actor: stored.actor.clone(),
            reason: stored.reason.clone(),
        }
    }
}

impl From<schema::Harm> for HarmView {
    fn from(stored: schema::Harm) -> Self {
        Self {
            failed_requests: stored.failed_requests,
            failed_requests_limit: stored.failed_requests_limit,
            failed_requests_forgiven: stored.failed_requests_forgiven,
            users: stored.users,
            users_limit: stored.users_limit,
            users_forgiven: stored.users_forgiven,
            users_told_apart: stored.users_told_apart,
        }
    }
}

impl From<schema::Comparison> for Comparison {
    fn from(stored: schema::Comparison) -> Self {
        Self { candidate: stored.candidate.into(), stable: stored.stable.into() }
    }
}

impl From<schema::Figures> for Figures {
    fn from(stored: schema::Figures) -> Self {
        let schema::Figures {
            requests,
            bad,
            requests_per_second,
            error_ratio,
            p50_ms,
            p95_ms,
            p99_ms,
        } = stored;
        Self { requests, bad, requests_per_second, error_ratio, p50_ms, p95_ms, p99_ms }
    }
}

impl From<Figures> for schema::Figures {
    fn from(shown: Figures) -> Self {
        let Figures { requests, bad, requests_per_second, error_ratio, p50_ms, p95_ms, p99_ms } =
            shown;
        Self { requests, bad, requests_per_second, error_ratio, p50_ms, p95_ms, p99_ms }
    }
}

impl From<&schema::Failures> for FailuresView {
    fn from(stored: &schema::Failures) -> Self {
        let counts = |counts: &[schema::Count]| {
            let count = |c: &schema::Count| CountView { name: c.name.clone(), count: c.count };
            counts.iter().map(count).collect()
        };
        Self {
            of: stored.of,
            users: stored.users,
            networks: stored.networks,
            failing_on_stable: stored.failing_on_stable,
            concentrated: stored.concentrated,
            summary: stored.summary.clone(),
            by_network: counts(&stored.by_network),
            by_route: counts(&stored.by_route),
            by_method: counts(&stored.by_method),
            by_endpoint: counts(&stored.by_endpoint),
        }
    }
}

impl From<&schema::BadRequest> for BadRequest {
    fn from(stored: &schema::BadRequest) -> Self {
        Self {
            request_id: stored.request_id.clone(),
            what: stored.what.clone(),
            at: Timestamp(stored.at),
        }
    }
}

impl From<&schema::Freeze> for FreezeView {
    fn from(stored: &schema::Freeze) -> Self {
        let schema::Freeze { since, reason, by } = stored;
        Self { since: Timestamp(*since), reason: reason.clone(), by: by.clone() }
    }
}

impl From<&FreezeView> for schema::Freeze {
    fn from(shown: &FreezeView) -> Self {
        let FreezeView { since, reason, by } = shown;
        Self { since: since.0, reason: reason.clone(), by: by.clone() }
    }
}

/// Two enums of the same cases, either from the other.
macro_rules! alike {
    ($shown:ty, $stored:ty: $($case:ident),+ $(,)?) => {
        impl From<$stored> for $shown {
            fn from(stored: $stored) -> Self {
                match stored { $(<$stored>::$case => Self::$case),+ }
            }
        }

        impl From<$shown> for $stored {
            fn from(shown: $shown) -> Self {
                match shown { $(<$shown>::$case => Self::$case),+ }
            }
        }
    };
}
pub(crate) use alike;

alike! {
    RolloutState, Phase:
    Pending, Dark, Running, Holding, Paused, Inconclusive, RolledBack, Superseded, Complete,
}

alike! {
    Unit, schema::Unit:
    Share, Seconds, Ratio, Requests, Users, Endpoints, BurnRate, Evidence,
}
