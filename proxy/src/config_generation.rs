//! One generation of the configuration, ready for requests.
//!
//! A request loads the generation once and takes everything from it, so it never sees a mixture of two
//! configurations. A new generation is built beside the old one and takes over what has not changed:
//! splits, meters, endpoints with their health, rates, keys. What cannot be built leaves the old
//! generation in force.

use crate::heartbeat::Heartbeats;
use crate::request::loop_mark::LoopMark;
use crate::route::{ClientRates, Route, RouteError, RouteTable};
use crate::service::{Service, ServiceError, Surroundings};
use crate::shadow::Shadows;
use crate::spans::Spans;
use crate::upstream::{Upstreams, system_resolver};
use serin_config::model::Config;
use serin_core::ids::{RouteName, ServiceName};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct ConfigGeneration {
    pub config: Arc<Config>,
    /// From 1; each configuration that is built has the next.
    pub generation: u64,
    pub routes: RouteTable,
    services: BTreeMap<ServiceName, Arc<Service>>,
    clients: Arc<ClientRates>,
    pub(crate) spans: Spans,
    pub(crate) shadows: Shadows,
    pub(crate) heartbeats: Arc<Heartbeats>,
    pub(crate) loop_mark: LoopMark,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Route(#[from] RouteError),
}

/// What stays the same from one configuration to the next.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Threads that serve requests, numbered from 0; see [`crate::thread::ThreadId`].
    pub threads: usize,
    pub upstreams: Upstreams,
    pub(crate) spans: Spans,
    pub(crate) shadows: Shadows,
    loop_mark: LoopMark,
}

impl Environment {
    /// `runtime` runs health checks and the resolution of names; without one there are none.
    pub fn new(threads: usize, runtime: Option<tokio::runtime::Handle>) -> Self {
        let mut upstreams = Upstreams::new(runtime, system_resolver());
        upstreams.heartbeats = Arc::new(Heartbeats::new(threads));
        let spans = Spans::default();
        let shadows = Shadows::new(spans.clone());
        let loop_mark = LoopMark::new(crate::thread::random());
        Self { threads, upstreams, spans, shadows, loop_mark }
    }

    /// Starts the threads that this configuration needs, beside those that serve.
    pub(crate) fn begin(&self, config: &Config) -> io::Result<()> {
        if config.services.values().any(|service| service.shadow.is_some()) {
            self.shadows.start()?;
        }
        self.spans.apply(config.tracing.as_ref())
    }
}

impl ConfigGeneration {
    pub fn build(
        config: Arc<Config>,
        previous: Option<&ConfigGeneration>,
        environment: &Environment,
    ) -> Result<ConfigGeneration, ConfigError> {
        let upstreams = environment.upstreams.clone().joining(previous.is_some());
        let around = Surroundings {
            threads: environment.threads,
            state_dir: &config.state_dir,
            upstreams: &upstreams,
            shadows: &environment.shadows,
        };
        let mut services = BTreeMap::new();
        for (name, service) in &config.services {
            let before = previous.and_then(|previous| previous.services.get(name));
            let service = Service::new(service, before.map(|b| &**b), &around)?;
            services.insert(name.clone(), Arc::new(service));
        }
        let clients = previous.map_or_else(
            || Arc::new(ClientRates::new(crate::thread::random())),
            |previous| Arc::clone(&previous.clients),
        );
        let routes = routes(&config, &services, &clients, previous)?;
        let generation = previous.map_or(1, |previous| previous.generation + 1);
        let (spans, shadows) = (environment.spans.clone(), environment.shadows.clone());
        let heartbeats = upstreams.heartbeats;
        Ok(ConfigGeneration {
            config,
            generation,
            routes,
            services,
            clients,
            spans,
            shadows,
            heartbeats,
            loop_mark: environment.loop_mark.clone(),
        })
    }

    pub fn service(&self, name: &ServiceName) -> Option<&Arc<Service>> {
        self.services.get(name)
    }

    /// Waits until every endpoint's name was resolved once and its health looked at once, so that
    /// the first requests of a configuration find somebody; at most for `patience`. Blocks: not for
    /// a thread that serves requests.
    pub fn settle(&self, patience: Duration) {
        let began = Instant::now();
        let versions = || self.services().flat_map(|service| service.versions());
        while !versions().all(|version| version.is_settled()) && began.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Whoever has joined and did not pass may be all there is.
        self.weigh_checks(Instant::now());
    }

    /// Looks whether the health checks of each service are to be believed.
    pub(crate) fn weigh_checks(&self, now: Instant) {
        self.services().for_each(|service| service.weigh_checks(crate::clock::mono(now)));
    }

    /// Ends the tasks that look after upstreams for which `successor` has its own.
    pub(crate) fn retire(&self, successor: &ConfigGeneration) {
        for service in self.services() {
            let same = successor.service(&service.name);
            if let Some(shadow) = service.shadow() {
                let next = same.and_then(|service| service.shadow());
                shadow.retire(next.map(|next| &**next));
            }
            for version in service.versions() {
                let same = same.and_then(|service| service.version(&version.name));
                version.retire(same.map(|version| &**version));
            }
        }
    }

    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }
}

fn routes(
    config: &Config,
    services: &BTreeMap<ServiceName, Arc<Service>>,
    clients: &Arc<ClientRates>,
    previous: Option<&ConfigGeneration>,
) -> Result<RouteTable, RouteError> {
    let before: HashMap<&RouteName, &Arc<Route>> = previous
        .iter()
        .flat_map(|previous| previous.routes.routes())
        .map(|route| (&route.name, route))
        .collect();
    let compiled = config.routes.iter().map(|route| {
        let before = before.get(&route.name).map(|route| &***route);
        Route::new(route, services, clients, before).map(Arc::new)
    });
    RouteTable::new(&config.routes, compiled.collect::<Result<_, _>>()?)
}
