//! One service, as requests meet it: its versions, the split in force, and the choice between them.
//!
//! The split stands behind one atomic pointer; a request loads it once and decides everything
//! from that value. The publication, the splitters and the meters outlive a reload; versions are
//! made anew by each configuration and keep what has not changed.
//!
//! Two brakes work here without asking control. The tripwire of a thread sends its new requests
//! to stable after a run of candidate failures; the harm budget admits a request to the candidate
//! only while failures and requests in flight together stay within it.

mod assign;
mod harm;
mod publication;

pub use assign::{Assigned, Because, Candidacy, Who};
pub use harm::{Harm, Reservation};
pub use publication::Publication;

use crate::meter::VersionMeter;
use crate::session::{SessionError, Sessions};
use crate::shadow::{Mirror, Shadows};
use crate::upstream::{
    Attempted, EndpointsState, RetryBudget, RetryPermit, RetryPolicy, Upstreams, VersionError,
    VersionRuntime,
};
use arc_swap::ArcSwap;
use publication::{Prepared, Shared};
use serin_config::model;
use serin_core::ids::{Epoch, ServiceName, VersionName};
use serin_core::measure::{FailedOnStable, ServiceCounts, ServiceLatencies, Sources};
use serin_core::outcome::{Ending, Failure};
use serin_core::plane::Readiness;
use serin_core::split::Split;
use serin_core::time::Mono;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub struct Service {
    pub name: ServiceName,
    pub config: model::Service,
    versions: Vec<Arc<VersionRuntime>>,
    sessions: Sessions,
    retries: RetryPolicy,
    prepared: ArcSwap<Prepared>,
    shared: Arc<Shared>,
    shadow: Option<Arc<Mirror>>,
    /// Its health checks fail for so many endpoints that they decide nothing.
    overruled: AtomicBool,
    sources: Mutex<Option<KnownSources>>,
}

/// Of so many failures of an epoch, and so many networks that were noted at first.
type KnownSources = ((Epoch, u64, u64), Arc<Sources>);

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("service {0} lists no version")]
    NoVersion(ServiceName),
    #[error("service {service}: {why}")]
    Version { service: ServiceName, why: VersionError },
    #[error("service {service}: {why}")]
    Session { service: ServiceName, why: SessionError },
}

/// What a service is built into.
#[derive(Debug)]
pub struct Surroundings<'a> {
    pub threads: usize,
    pub state_dir: &'a Path,
    pub upstreams: &'a Upstreams,
    pub(crate) shadows: &'a Shadows,
}

impl Service {
    pub fn new(
        config: &model::Service,
        previous: Option<&Self>,
        around: &Surroundings<'_>,
    ) -> Result<Self, ServiceError> {
        let name = &config.name;
        let mut versions = Vec::new();
        for version in &config.versions {
            let before = previous.and_then(|previous| previous.version(&version.name));
            let meter = before.map_or_else(
                || Arc::new(VersionMeter::new(around.threads)),
                |before| Arc::clone(&before.meter),
            );
            let runtime =
                VersionRuntime::new(config, version, meter, before.map(|b| &**b), around.upstreams)
                    .map_err(|why| ServiceError::Version { service: name.clone(), why })?;
            versions.push(Arc::new(runtime));
        }
        if versions.is_empty() {
            return Err(ServiceError::NoVersion(name.clone()));
        }
        let sessions = Sessions::new(config, around.state_dir)
            .map_err(|why| ServiceError::Session { service: name.clone(), why })?;
        let at_rest = || Shared::at_rest(name.clone(), config.stable.clone(), around.threads);
        let shared = previous.map_or_else(|| Arc::new(at_rest()), |p| Arc::clone(&p.shared));
        let prepared = Prepared::new(shared.publication(), &versions, &config.stable);
        let to = config.shadow.as_ref().and_then(|s| versions.iter().find(|v| v.name == s.to));
        let before = previous.and_then(|previous| previous.shadow.as_deref());
        let shadow = to.and_then(|to| Mirror::new(config, to, before, around.shadows));
        Ok(Self {
            name: name.clone(),
            config: config.clone(),
            versions,
            sessions,
            retries: RetryPolicy::new(config.retries.clone()),
            prepared: ArcSwap::from_pointee(prepared),
            shared,
            shadow: shadow.map(Arc::new),
            overruled: AtomicBool::new(previous.is_some_and(Self::overrules_checks)),
            sources: Mutex::default(),
        })
    }

    pub fn version(&self, name: &VersionName) -> Option<&Arc<VersionRuntime>> {
        self.versions.iter().find(|version| version.name == *name)
    }

    pub fn versions(&self) -> &[Arc<VersionRuntime>] {
        &self.versions
    }

    /// What copies its requests.
    pub(crate) fn shadow(&self) -> Option<&Arc<Mirror>> {
        self.shadow.as_ref()
    }

    /// The version that the service falls back to now.
    pub fn stable(&self) -> Arc<VersionRuntime> {
        Arc::clone(self.prepared.load().stable())
    }

    pub fn split(&self) -> Arc<Split> {
        Arc::clone(self.prepared.load().split())
    }

    /// Puts a split in force. Refused when it is of a lower epoch than one before.
    pub(crate) fn publish(&self, split: Arc<Split>) -> bool {
        let published = self.shared.publish(split);
        if published {
            self.prepare();
        }
        published
    }

    /// Takes over what was published while it was built, and what copies are held against.
    pub(crate) fn come_into_force(&self) {
        self.prepare();
        if let Some(shadow) = &self.shadow {
            shadow.enforce();
        }
    }

    /// Looks whether health checks are to be believed. Called when one has found something new, and
    /// every now and then.
    pub fn weigh_checks(&self, now: Mono) {
        let Some(check) = &self.config.health_check else { return };
        let of = |standing: EndpointsState, version: &Arc<VersionRuntime>| {
            standing.and(version.group(), now)
        };
        let standing = self.versions.iter().fold(EndpointsState::default(), of);
        let overrule = standing.overrules(check.panic_below);
        for version in &self.versions {
            version.group().overrule_checks(overrule);
        }
        if self.overruled.swap(overrule, Relaxed) == overrule {
            return;
        }
        let (service, EndpointsState { ready, total, .. }) = (&self.name, standing);
        if overrule {
            tracing::error!(
                %service, ready, total,
                "health checks fail for most endpoints and are overruled: every endpoint is tried"
            );
        } else {
            tracing::info!(%service, ready, total, "health checks decide again");
        }
    }

    pub fn overrules_checks(&self) -> bool {
        self.overruled.load(Relaxed)
    }

    /// Takes over what was published through another configuration of it.
    pub(crate) fn prepare(&self) {
        let publication = self.shared.publication();
        let prepared = Prepared::new(publication, &self.versions, &self.config.stable);
        self.prepared.store(Arc::new(prepared));
    }
}

/// When an attempt has failed.
impl Service {
    /// A permit to try again, if policy and budget allow it.
    pub fn retry(&self, attempted: &Attempted) -> Option<RetryPermit> {
        if !self.retries.wants(attempted) {
            return None;
        }
        let in_flight = self.versions.iter().map(|version| version.meter.in_flight()).sum();
        self.shared.retry_budget().take(self.retries.allowed(in_flight))
    }

    pub fn retry_budget(&self) -> &RetryBudget {
        self.shared.retry_budget()
    }

    /// Who answers in a version's stead: stable, when nobody of the version is ready and the
    /// operator asked for failover, or when a candidate failed an idempotent request and the
    /// rollout rescues. A forced cohort wants its version and nothing else.
    pub fn stand_in(
        &self,
        exchange: &crate::meter::RequestMeter,
        attempted: &Attempted,
    ) -> Option<Arc<VersionRuntime>> {
        let prepared = self.prepared.load();
        let stable = prepared.stable();
        if stable.name == exchange.version().name
            || exchange.counting() == crate::meter::Counting::Cohort
            || attempted.answered
        {
            return None;
        }
        // A name without addresses has nobody either.
        let nobody = attempted.ending == Ending::Failed(Failure::NoEndpoint)
            || (attempted.ending == Ending::Failed(Failure::Connect)
                && exchange.version().group().members().is_empty());
        let failover = nobody && self.config.failover == model::Failover::Stable;
        let repeatable = attempted.replayable && (attempted.idempotent || !attempted.sent);
        let rescue = exchange.is_rescued() && repeatable;
        (failover || rescue).then(|| Arc::clone(stable))
    }
}

/// What control asks.
impl Service {
    pub fn counts(&self) -> ServiceCounts {
        let prepared = self.prepared.load();
        let candidate = prepared.split().candidate();
        let tripped = prepared.publication().is_tripped();
        let counts = |version: &Arc<VersionRuntime>| {
            let its = tripped && candidate == Some(&version.name);
            version.meter.counts(version.name.clone(), its)
        };
        let (failed_requests, failed_users) = prepared.publication().failed();
        ServiceCounts {
            checks_overruled: self.overrules_checks(),
            versions: self.versions.iter().map(counts).collect(),
            failed_requests,
            failed_users,
            sources: self.sources(&prepared),
        }
    }

    /// Where the requests of the rollout in force come from: made anew only when the candidate had
    /// another failure or more is known of the traffic, since this is asked with every tick.
    fn sources(&self, prepared: &Prepared) -> Option<Arc<Sources>> {
        let rollout = prepared.split().rollout.as_ref()?;
        let candidate = self.version(&rollout.candidate)?;
        let failures = candidate.meter.failures(rollout.epoch);
        let stable = prepared.stable();
        let noted = [candidate, stable].into_iter().map(|version| version.meter.networks_noted());
        let mark = (rollout.epoch, failures, noted.sum());
        let mut known = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, sources)) = &*known
            && *of == mark
        {
            return Some(Arc::clone(sources));
        }
        let on_stable = stable.meter.latest_failures(rollout.epoch).into_iter();
        let on_stable = on_stable.map(|f| FailedOnStable { at: f.at, network: f.network });
        let mut sources = Sources {
            failed: candidate.meter.latest_failures(rollout.epoch),
            failed_on_stable: on_stable.collect(),
            served: Vec::new(),
        };
        candidate.meter.networks_served(&mut sources.served);
        stable.meter.networks_served(&mut sources.served);
        let sources = Arc::new(sources);
        *known = Some((mark, Arc::clone(&sources)));
        Some(sources)
    }

    pub fn latencies(&self, now_micros: u64) -> ServiceLatencies {
        let of = |version: &Arc<VersionRuntime>| {
            let late = version.heartbeats.stretch();
            version.meter.latencies(version.name.clone(), now_micros, late)
        };
        ServiceLatencies { versions: self.versions.iter().map(of).collect() }
    }

    pub fn readiness(&self, now: Mono) -> Vec<Readiness> {
        let of = |version: &Arc<VersionRuntime>| {
            let (ready, total) = version.group().readiness(now);
            Readiness {
                troubles: version.troubles(),
                ..Readiness::new(version.name.clone(), ready, total)
            }
        };
        self.versions.iter().map(of).collect()
    }
}
