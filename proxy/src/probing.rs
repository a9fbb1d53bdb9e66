//! Tries every endpoint of a configuration once, for an operator who is about to use it.
//!
//! Each is connected to as requests would be, its certificate verified, and asked as its health check asks
//! where there is one. Nothing is served, and nothing is written to the state folder.

use crate::meter::VersionMeter;
use crate::upstream::{Upstreams, VersionRuntime, fault, system_resolver};
use serin_config::model::{Config, HealthKind, Service};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What was found out about one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probed {
    pub service: String,
    pub version: String,
    pub endpoint: String,
    /// What is wrong with it.
    pub fault: Option<String>,
}

/// Names get so long to be resolved.
const TO_RESOLVE: Duration = Duration::from_secs(5);
/// Endpoints that are tried at once.
const AT_ONCE: usize = 64;

/// Blocks.
pub fn probe_endpoints(config: &Config) -> io::Result<Vec<Probed>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let upstreams = Upstreams::new(Some(runtime.handle().clone()), system_resolver());
    let mut all: Vec<Probed> = Vec::new();
    let mut tries = Vec::new();
    for service in config.services.values() {
        for version in &service.versions {
            // Checks are made here, once.
            let unchecked = Service { health_check: None, ..service.clone() };
            let meter = Arc::new(VersionMeter::new(1));
            match VersionRuntime::new(&unchecked, version, meter, None, &upstreams) {
                Ok(runtime) => tries.push((service, runtime)),
                Err(why) => {
                    all.extend(version.endpoints.names().into_iter().map(|endpoint| Probed {
                        service: service.name.to_string(),
                        version: version.name.to_string(),
                        endpoint,
                        fault: Some(why.to_string()),
                    }))
                }
            }
        }
    }
    let began = Instant::now();
    while !tries.iter().all(|(_, version)| version.is_settled()) && began.elapsed() < TO_RESOLVE {
        std::thread::sleep(Duration::from_millis(5));
    }
    runtime.block_on(async {
        let mut under_way = JoinSet::new();
        for (service, version) in &tries {
            for (endpoint, ready) in version.endpoints_ready(crate::clock::mono(Instant::now())) {
                if !ready {
                    let fault = Some("its name has no address".to_owned());
                    all.push(Probed { fault, ..about(version, endpoint) });
                }
            }
            let check = service.health_check.as_ref();
            let kind = check.map_or(HealthKind::Tcp, |check| check.kind.clone());
            // TLS included, as for requests.
            let connect = service.timeouts.connect;
            let patience = connect + check.map_or(Duration::ZERO, |check| check.timeout);
            for member in version.group().members().iter() {
                if under_way.len() >= AT_ONCE {
                    all.extend(under_way.join_next().await.and_then(Result::ok));
                }
                let (member, kind) = (Arc::clone(member), kind.clone());
                let about = about(version, member.address.to_string());
                under_way.spawn(async move {
                    let found = fault(&member, &kind, connect);
                    let found = tokio::time::timeout(patience, found).await;
                    let fault = found.unwrap_or_else(|_| Some("no answer in time".to_owned()));
                    Probed { fault, ..about }
                });
            }
        }
        all.extend(under_way.join_all().await);
    });
    all.sort();
    runtime.shutdown_background();
    Ok(all)
}

fn about(version: &VersionRuntime, endpoint: String) -> Probed {
    let (service, version) = (version.service.to_string(), version.name.to_string());
    Probed { service, version, endpoint, fault: None }
}
