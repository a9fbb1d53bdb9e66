//! Configurations in a few words.

use serin_config::model::*;
use serin_core::ids::{Epoch, RolloutId, RouteName, ServiceName, VersionName};
use serin_core::slo::Objectives;
use serin_core::split::{HarmCeiling, InForce, Scope, Sessions, Split};
use serin_core::weights::{BasisPoints, Weights};
use serin_proxy::config_generation::{ConfigGeneration, Environment};
use serin_proxy::meter::About;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// What is told of a request.
pub(crate) fn about(request_id: &str) -> About<'_> {
    About { request_id, client: CLIENT, route: None, method: "GET", endpoint: None }
}

pub(crate) fn service_name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

pub(crate) fn version_name(text: &str) -> VersionName {
    VersionName::new(text).unwrap()
}

pub(crate) fn endpoint(text: &str) -> Endpoint {
    let (host, port) = text.rsplit_once(':').unwrap();
    let host = match host.parse() {
        Ok(ip) => EndpointHost::Ip(ip),
        Err(_) => EndpointHost::Name(host.to_owned()),
    };
    Endpoint { host, port: port.parse().unwrap(), tls: false }
}

pub(crate) fn version(name: &str, endpoints: &[&str]) -> Version {
    Version {
        name: version_name(name),
        release: name.to_owned(),
        endpoints: endpoints.iter().map(|e| endpoint(e)).collect(),
        protocol: UpstreamProtocol::Http1,
        proxy_protocol: UpstreamProxyProtocol::Off,
        tls: UpstreamTls::default(),
    }
}

/// `shop`, with a version `v1` that is stable and a version `v2`, one endpoint each.
pub(crate) fn shop() -> Service {
    Service {
        name: service_name("shop"),
        stable: version_name("v1"),
        versions: vec![version("v1", &["127.0.0.1:1001"]), version("v2", &["127.0.0.1:2001"])],
        load_balancing: LoadBalancing::RoundRobin,
        health_check: None,
        outliers: Outliers {
            consecutive_failures: 5,
            eject_for: Duration::from_secs(30),
            max_ejected: 0.5,
        },
        timeouts: Timeouts {
            connect: Duration::from_secs(1),
            response: Duration::from_secs(30),
            idle: Duration::from_secs(60),
        },
        retries: Retries {
            attempts: 1,
            on: vec![RetryOn::ConnectFailure, RetryOn::Reset, RetryOn::Status(503)],
            budget: 0.2,
        },
        session: SessionBy::None,
        failover: Failover::None,
        slow_start: Duration::ZERO,
        max_in_flight: 0,
        adaptive_concurrency: true,
        signals: Vec::new(),
        shadow: None,
        objectives: Objectives::default(),
        rollout: None,
    }
}

pub(crate) fn config(services: Vec<Service>, routes: Vec<Route>) -> Config {
    Config {
        listeners: Vec::new(),
        admin: Admin {
            address: AdminAddress::Tcp("127.0.0.1:0".parse().unwrap()),
            tokens: Vec::new(),
            hosts: Vec::new(),
            tls: None,
            probes: None,
        },
        state_dir: PathBuf::from("/nonexistent"),
        services: services.into_iter().map(|s| (s.name.clone(), s)).collect(),
        routes,
        access_log: AccessLog {
            format: AccessLogFormat::Off,
            to: AccessLogTo::Stdout,
            sample: BasisPoints::WHOLE,
        },
        tracing: None,
        notifications: Vec::new(),
        hash: String::new(),
    }
}

pub(crate) fn generation(config: Config) -> ConfigGeneration {
    ConfigGeneration::build(Arc::new(config), None, &Environment::new(4, None)).unwrap()
}

pub(crate) fn matching(path: PathMatch) -> Match {
    Match {
        path,
        methods: Vec::new(),
        headers: Vec::new(),
        query: Vec::new(),
        cookies: Vec::new(),
        client_ip: Vec::new(),
    }
}

pub(crate) fn prefix(path: &str) -> Match {
    matching(PathMatch::Prefix(path.to_owned()))
}

/// A route that answers by itself.
pub(crate) fn route(name: &str, hostnames: &[&str], matches: Vec<Match>) -> Route {
    Route {
        name: RouteName::new(name).unwrap(),
        listeners: Vec::new(),
        hostnames: hostnames.iter().map(|h| (*h).to_owned()).collect(),
        matches,
        action: RouteAction::Respond {
            status: 200,
            content_type: "text/plain".to_owned(),
            body: name.to_owned(),
        },
        request: HeaderEdits::default(),
        response: HeaderEdits::default(),
        rewrite: None,
        limits: RouteLimits::default(),
        path_parameters: PathParameters::Refuse,
        expose_version: false,
    }
}

/// `v2` against `v1`, at a weight in percent.
pub(crate) fn rollout(epoch: u64, percent: u16) -> InForce {
    InForce {
        id: RolloutId::new(&service_name("shop"), Epoch(epoch)),
        epoch: Epoch(epoch),
        salt: epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        candidate: version_name("v2"),
        weight: BasisPoints::new(percent * 100).unwrap(),
        of: Scope::All,
        sessions: Sessions::Honour,
        tripwire: None,
        harm_ceiling: HarmCeiling::default(),
        rescue: false,
    }
}

pub(crate) fn split(rollout: InForce) -> Arc<Split> {
    Arc::new(Split {
        service: service_name("shop"),
        stable: version_name("v1"),
        weights: Weights::two(version_name("v1"), version_name("v2"), rollout.weight),
        rollout: Some(rollout),
    })
}

/// A plane of one service, and the service.
pub(crate) fn plane_of(
    service: Service,
) -> (serin_proxy::plane::Plane, Arc<serin_proxy::service::Service>) {
    let name = service.name.clone();
    let plane = serin_proxy::plane::Plane::new(generation(config(vec![service], Vec::new())));
    let service = Arc::clone(plane.generation().service(&name).unwrap());
    (plane, service)
}

pub(crate) fn who(headers: &http::HeaderMap) -> serin_proxy::service::Who<'_> {
    serin_proxy::service::Who {
        headers,
        client_ip: CLIENT,
        secure: false,
        wall: &|| serin_core::time::Wall(1_800_000_000_000),
    }
}

pub(crate) const GOOD: serin_core::outcome::Ending =
    serin_core::outcome::Ending::Answered { status: 200, grpc: None };
pub(crate) const BAD: serin_core::outcome::Ending =
    serin_core::outcome::Ending::Answered { status: 500, grpc: None };

/// Waits for a condition, for as long as a slow machine may need.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "it never came true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
