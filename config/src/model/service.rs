//! Services, their versions, and how their endpoints are treated.

use super::admin::Secret;
use super::endpoint::Endpoints;
use super::json_path::JsonPath;
use crate::file::{AboveZero, Share, settings};
use serin_core::ids::{RouteName, ServiceName, VersionName};
use serin_core::rollout::Plan;
use serin_core::slo::Objectives;
use serin_core::weights::BasisPoints;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    pub name: ServiceName,
    /// Only until the journal knows better.
    pub stable: VersionName,
    /// In the order of the file.
    pub versions: Vec<Version>,
    pub load_balancing: LoadBalancing,
    pub health_check: Option<HealthCheck>,
    pub outliers: Outliers,
    pub timeouts: Timeouts,
    pub retries: Retries,
    pub session: SessionBy,
    pub failover: Failover,
    /// Endpoints that join get a rising share over this time; zero switches it off.
    pub slow_start: Duration,
    /// Per endpoint; 0 is no limit.
    pub max_in_flight: u32,
    /// What an overloaded endpoint bears is found out.
    pub adaptive_concurrency: bool,
    pub shadow: Option<Shadow>,
    pub objectives: Objectives,
    /// Where there are some, no other is pushed or read.
    pub signals: Vec<String>,
    pub rollout: Option<Plan>,
}

impl Service {
    pub fn version(&self, name: &VersionName) -> Option<&Version> {
        self.versions.iter().find(|v| v.name == *name)
    }

    /// Every latency that the configuration names: the edges of the metric's buckets.
    pub fn latency_edges(&self) -> Vec<Duration> {
        let objective = self.objectives.latency.iter().map(|l| l.under);
        let guards = self.rollout.iter().flat_map(|plan| &plan.guards);
        let named = guards.filter_map(|guard| match &guard.rule {
            serin_core::rollout::Rule::Latency { above, .. } => Some(*above),
            serin_core::rollout::Rule::ErrorRate { .. }
            | serin_core::rollout::Rule::Signal { .. }
            | serin_core::rollout::Rule::ShadowMismatch { .. }
            | serin_core::rollout::Rule::ShadowErrors { .. } => None,
        });
        let mut edges: Vec<Duration> = objective.chain(named).collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub name: VersionName,
    /// The version's name when the file says none.
    pub release: String,
    pub endpoints: Endpoints,
    pub protocol: UpstreamProtocol,
    /// How its endpoints are told of their clients.
    pub proxy_protocol: UpstreamProxyProtocol,
    /// Verification of a TLS upstream.
    pub tls: UpstreamTls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    Http1,
    Http2,
    /// ALPN over TLS, HTTP/1.1 otherwise.
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpstreamProxyProtocol {
    #[default]
    Off,
    V1,
    V2,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// Instead of the system's roots.
    pub ca_file: Option<PathBuf>,
    /// Instead of the endpoint's host.
    pub server_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadBalancing {
    RoundRobin,
    /// Power of two choices.
    LeastRequest,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    pub kind: HealthKind,
    pub interval: Duration,
    pub timeout: Duration,
    pub unhealthy_after: u32,
    pub healthy_after: u32,
    /// Checks are overruled while a smaller share of the service's endpoints is ready, 0.5 for 50%.
    pub panic_below: f64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthKind {
    Http { path: String, host: Option<String> },
    Tcp,
    Grpc { service: String },
}

settings! {
    /// Takes endpoints out that fail requests.
    Outliers, "`outliers`" {
        /// Failed requests in a row that take an endpoint out. One that fails far more often than the version's others is taken out earlier; 0 switches off both.
        "consecutiveFailures" consecutive_failures: u32 = u64("5") where 0..=1_000_000,
        /// How long it stays out.
        "ejectFor" eject_for: Duration = Duration("30s") where AboveZero,
        /// The share of a version's endpoints that may be out at once.
        "maxEjected" max_ejected: f64 = Share("50%"),
    }
}

settings! {
    /// How long to wait for a backend.
    Timeouts, "`timeouts`" {
        /// For a connection, its TLS handshake included.
        "connect" connect: Duration = Duration("1s") where AboveZero,
        /// From the request's last byte to the head of the answer.
        "response" response: Duration = Duration("30s") where AboveZero,
        /// Between two bytes of a body, of an upgraded connection, and of a connection that is kept.
        "idle" idle: Duration = Duration("60s") where AboveZero,
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Retries {
    /// Beyond the first; 0 switches retries off.
    pub attempts: u32,
    pub on: Vec<RetryOn>,
    /// Retries as a share of the requests in flight, 0.2 for 20%.
    pub budget: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    ConnectFailure,
    Reset,
    Timeout,
    Status(u16),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionBy {
    None,
    Cookie {
        name: String,
        ttl: Duration,
        /// The first signs; the others verify, too. Without any a key is made and kept in the state
        /// folder.
        keys: Vec<Secret>,
    },
    Header {
        name: String,
    },
    ClientIp,
}

/// What becomes of a version's share when none of its endpoints is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// 503.
    None,
    Stable,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Shadow {
    pub to: VersionName,
    pub share: BasisPoints,
    /// Upper case.
    pub methods: Vec<String>,
    /// Only requests of these routes; empty means all that lead to the service.
    pub routes: Vec<RouteName>,
    pub max_body: u64,
    pub timeout: Duration,
    pub max_in_flight: u32,
    pub redact_headers: Vec<String>,
    /// `$.card.number`; applied to JSON bodies of copies.
    pub redact_json: Vec<JsonPath>,
    pub compare: Option<Compare>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    pub status: bool,
    pub headers: Vec<String>,
    pub body: CompareBody,
    pub ignore: Vec<JsonPath>,
    /// Ask stable twice for some safe requests, and leave out what differs by itself.
    pub noise: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareBody {
    None,
    Bytes,
    Json,
}
