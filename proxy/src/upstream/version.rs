//! One version of a service, as requests use it.

use super::conn::TlsClients;
use super::endpoint::Endpoint;
use super::group::{Group, Policy, Unavailable};
use super::keeper::{Keeper, Upstreams};
use super::peer::PeerSettings;
use super::pick::Lease;
use super::tls;
use crate::heartbeat::Heartbeats;
use crate::meter::VersionMeter;
use serin_config::model;
use serin_core::ids::{ServiceName, VersionName};
use serin_core::outcome::BadStatuses;
use serin_core::time::Mono;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Its endpoints, its timeouts and its meter. The meter outlives every reload; the group of
/// endpoints outlives those that change nothing about it.
#[derive(Debug)]
pub struct VersionRuntime {
    pub service: ServiceName,
    pub name: VersionName,
    pub release: String,
    pub protocol: model::UpstreamProtocol,
    pub timeouts: model::Timeouts,
    pub meter: Arc<VersionMeter>,
    /// Which statuses speak against the version.
    pub bad: BadStatuses,
    pub(crate) heartbeats: Arc<Heartbeats>,
    keeper: Arc<Keeper>,
    made_from: MadeFrom,
}

/// What the group depends on. Equal means that it can stay.
#[derive(Debug, Clone, PartialEq)]
struct MadeFrom {
    version: model::Version,
    health_check: Option<model::HealthCheck>,
    timeouts: model::Timeouts,
    policy: Policy,
    ca: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    #[error("cannot read the certificates in {file}: {why}")]
    CaFile { file: PathBuf, why: String },
}

impl VersionRuntime {
    pub fn new(
        service: &model::Service,
        version: &model::Version,
        meter: Arc<VersionMeter>,
        previous: Option<&Self>,
        upstreams: &Upstreams,
    ) -> Result<Self, VersionError> {
        let ca = version.tls.ca_file.as_deref().map(tls::read_ca).transpose()?;
        let made_from = MadeFrom {
            version: version.clone(),
            health_check: service.health_check.clone(),
            timeouts: service.timeouts,
            policy: Policy {
                balancing: service.load_balancing,
                outliers: service.outliers,
                slow_start: service.slow_start,
                max_in_flight: service.max_in_flight,
                overload_after: service.adaptive_concurrency.then_some(service.timeouts.response),
            },
            ca: ca.as_ref().map_or(0, |ca| ca.fingerprint),
        };
        let keeper = match previous.filter(|previous| previous.made_from == made_from) {
            Some(unchanged) => Arc::clone(&unchanged.keeper),
            None => {
                let roots = ca.as_ref().map(|ca| Arc::clone(&ca.roots));
                let settings = PeerSettings {
                    protocol: version.protocol,
                    proxy_protocol: version.proxy_protocol,
                    timeouts: service.timeouts,
                    server_name: version.tls.server_name.clone(),
                    tls: Arc::new(TlsClients::new(roots, version.protocol)),
                };
                keeper(&made_from, settings, previous, upstreams)
            }
        };
        Ok(Self {
            service: service.name.clone(),
            name: version.name.clone(),
            release: version.release.clone(),
            protocol: version.protocol,
            timeouts: service.timeouts,
            meter,
            bad: service.objectives.availability.bad.clone(),
            heartbeats: Arc::clone(&upstreams.heartbeats),
            keeper,
            made_from,
        })
    }

    /// Lends an endpoint for one attempt. `exclude` is the one that has just failed.
    pub fn pick(
        &self,
        random: u64,
        exclude: Option<&Endpoint>,
        now: Mono,
    ) -> Result<Lease, Unavailable> {
        self.group().pick(random, exclude, now)
    }

    pub fn group(&self) -> &Arc<Group> {
        self.keeper.group()
    }

    /// Each endpoint that is listed or was found, by its label, and whether any address of it is ready.
    pub fn endpoints_ready(&self, now: Mono) -> BTreeMap<String, bool> {
        let configured = self.made_from.version.endpoints.listed().iter();
        let mut ready: BTreeMap<_, _> = configured.map(|e| (e.to_string(), false)).collect();
        for member in self.group().members().iter() {
            *ready.entry(member.configured.to_string()).or_default() |= member.is_ready(now);
        }
        ready
    }

    /// What is wrong with which of its sources and endpoints, where that is known.
    pub fn troubles(&self) -> Vec<String> {
        let members = self.group().members();
        let of = |endpoint: &std::sync::Arc<Endpoint>| {
            endpoint.trouble().map(|why| format!("{}: {why}", endpoint.address))
        };
        let mut troubles = self.keeper.faults();
        troubles.extend(members.iter().filter_map(of));
        troubles
    }

    /// Times that a name of its endpoints could not be resolved.
    pub fn resolve_failures(&self) -> u64 {
        self.keeper.resolve_failures()
    }

    /// Whether a source of its endpoints says nothing now; `None` where all endpoints are listed by address.
    pub fn is_source_failing(&self) -> Option<bool> {
        self.keeper.is_told().then(|| self.keeper.is_in_the_dark())
    }

    /// Whether every name was resolved once, and every endpoint's health looked at once.
    pub fn is_settled(&self) -> bool {
        self.keeper.is_settled()
    }

    /// Ends the tasks of a version whose place another has taken, unless both share them.
    pub(crate) fn retire(&self, successor: Option<&Self>) {
        if !successor.is_some_and(|other| Arc::ptr_eq(&other.keeper, &self.keeper)) {
            self.keeper.retire();
        }
    }

    pub fn is_ready(&self, now: Mono) -> bool {
        self.group().members().iter().any(|endpoint| self.group().is_ready(endpoint, now))
    }
}

fn keeper(
    made_from: &MadeFrom,
    settings: PeerSettings,
    previous: Option<&VersionRuntime>,
    upstreams: &Upstreams,
) -> Arc<Keeper> {
    let before = previous.map(|previous| &*previous.keeper);
    let group = Arc::new(Group::new(made_from.policy.clone()));
    let endpoints = &made_from.version.endpoints;
    Keeper::new(group, endpoints, settings, made_from.health_check.clone(), before, upstreams)
}
