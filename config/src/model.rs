//! What the program runs on: everything resolved, defaults filled in, nothing optional that
//! the program would have to ask about again.
//!
//! `file/` holds the other set of types, what a file says; `check/` turns those into these.
//! Everything here compares with `==`, so that a reload can tell what has changed.

use ipnet::IpNet;
use serin_core::ids::{RouteName, ServiceName, VersionName};
use serin_core::rollout::Plan;
use serin_core::slo::{Objectives, Severity};
use serin_core::weights::BasisPoints;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub listeners: Vec<Listener>,
    pub admin: Admin,
    pub state_dir: PathBuf,
    pub services: BTreeMap<ServiceName, Service>,
    /// In the order of the files; precedence is not decided here.
    pub routes: Vec<Route>,
    pub access_log: AccessLog,
    pub tracing: Option<Tracing>,
    pub notifications: Vec<Notification>,
    pub lanes: Lanes,
    /// A hash of everything the files say, as hex.
    pub hash: String,
}

/// `full` switches the fast lane off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lanes {
    Both,
    Full,
}

// --- listeners ---------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    pub name: String,
    pub address: SocketAddr,
    /// `None` for plain HTTP.
    pub tls: Option<Tls>,
    pub proxy_protocol: ProxyProtocol,
    /// Peers whose `X-Forwarded-*`, `Forwarded` and PROXY headers are believed.
    pub trusted: Vec<IpNet>,
    pub limits: ListenerLimits,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    pub certificates: Vec<Certificate>,
    pub min_version: TlsVersion,
    pub client_auth: ClientAuth,
}

/// Opened and matched by the check; opened again by whoever serves them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuth {
    Off,
    Optional { ca_file: PathBuf },
    Required { ca_file: PathBuf },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    Off,
    V1V2,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerLimits {
    pub max_connections: u32,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    pub max_header_bytes: u64,
    pub max_headers: u32,
    pub max_uri_bytes: u64,
    /// The slowest that a request body may come, in bytes per second, after a grace of `header_timeout`.
    pub min_body_rate: u64,
    pub max_streams: u32,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_header_bytes: 32 * 1024,
            max_headers: 100,
            max_uri_bytes: 8 * 1024,
            min_body_rate: 240,
            max_streams: 100,
        }
    }
}

// --- admin -------------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    pub address: AdminAddress,
    pub tokens: Vec<Token>,
    /// Host headers that are answered, beside the address itself and loopback names.
    pub hosts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub role: Role,
    pub secret: Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Viewer,
    Operator,
}

/// Read from a file; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    pub file: PathBuf,
    value: String,
}

impl Secret {
    pub fn new(file: PathBuf, value: String) -> Self {
        Self { file, value }
    }

    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret(from {:?})", self.file)
    }
}

// --- services ----------------------------------------------------------------------------

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
    pub shadow: Option<Shadow>,
    pub objectives: Objectives,
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
    pub endpoints: Vec<Endpoint>,
    pub protocol: UpstreamProtocol,
    /// Verification of a TLS upstream.
    pub tls: UpstreamTls,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub host: EndpointHost,
    pub port: u16,
    pub tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointHost {
    Ip(std::net::IpAddr),
    /// Resolved again and again, never on a request's way.
    Name(String),
}

impl std::fmt::Display for Endpoint {
    /// As metrics and messages name it: `10.0.1.11:8080`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            EndpointHost::Ip(ip) => write!(f, "{}", SocketAddr::new(*ip, self.port)),
            EndpointHost::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    Http1,
    Http2,
    /// ALPN over TLS, HTTP/1.1 otherwise.
    Auto,
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    pub kind: HealthKind,
    pub interval: Duration,
    pub timeout: Duration,
    pub unhealthy_after: u32,
    pub healthy_after: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthKind {
    Http { path: String, host: Option<String> },
    Tcp,
    Grpc { service: String },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outliers {
    /// 0 switches ejection off.
    pub consecutive_failures: u32,
    pub eject_for: Duration,
    /// A share of the version's endpoints, 0.5 for 50%.
    pub max_ejected: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// From the request's last byte to the response head.
    pub response: Duration,
    /// Between two bytes of a body, of an upgraded connection, and of a kept upstream connection.
    pub idle: Duration,
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
        /// Without one a key is made and kept in the state folder.
        key: Option<Secret>,
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
    pub max_body: u64,
    pub timeout: Duration,
    pub max_in_flight: u32,
    pub redact_headers: Vec<String>,
    /// `$.card.number`; applied to JSON bodies of copies.
    pub redact_json: Vec<String>,
    pub compare: Option<Compare>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    pub status: bool,
    pub headers: Vec<String>,
    pub body: CompareBody,
    /// JSON paths.
    pub ignore: Vec<String>,
    /// Ask stable twice for some safe requests, and leave out what differs by itself.
    pub noise: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareBody {
    None,
    Bytes,
    Json,
}

// --- routes ------------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub name: RouteName,
    /// Names of listeners. Empty: every listener.
    pub listeners: Vec<String>,
    /// Empty: every host. `*.example.com` matches one label or more.
    pub hostnames: Vec<String>,
    /// Any of them; never empty (no `matches` in the file is one that matches all).
    pub matches: Vec<Match>,
    pub action: RouteAction,
    pub request: HeaderEdits,
    pub response: HeaderEdits,
    pub rewrite: Option<Rewrite>,
    pub limits: RouteLimits,
    /// Answers carry `x-serin-version`.
    pub expose_version: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteAction {
    /// `version` forces a cohort.
    Forward {
        service: ServiceName,
        version: Option<VersionName>,
    },
    Redirect {
        status: u16,
        scheme: Option<String>,
        hostname: Option<String>,
        port: Option<u16>,
        path: Option<Rewrite>,
    },
    Respond {
        status: u16,
        content_type: String,
        body: String,
    },
}

/// All of its parts must match.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    pub path: PathMatch,
    /// Empty: every method. Upper case.
    pub methods: Vec<String>,
    /// Lower-case names.
    pub headers: Vec<(String, ValueMatch)>,
    pub query: Vec<(String, ValueMatch)>,
    pub cookies: Vec<(String, ValueMatch)>,
    pub client_ip: Vec<IpNet>,
}

#[derive(Debug, Clone)]
pub enum PathMatch {
    Exact(String),
    /// By whole segments: `/checkout` matches `/checkout/1`, not `/checkouts`.
    Prefix(String),
    /// Anchored at both ends.
    Regex(regex::Regex),
}

impl PartialEq for PathMatch {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) | (Self::Prefix(a), Self::Prefix(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            (Self::Exact(_) | Self::Prefix(_) | Self::Regex(_), _) => false,
        }
    }
}

#[derive(Debug, Clone)]
pub enum ValueMatch {
    Exact(String),
    Regex(regex::Regex),
    Present,
}

impl PartialEq for ValueMatch {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            (Self::Present, Self::Present) => true,
            (Self::Exact(_) | Self::Regex(_) | Self::Present, _) => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    pub set: Vec<(String, String)>,
    pub add: Vec<(String, String)>,
    pub remove: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// Replaces the matched prefix.
    Prefix(String),
    /// Replaces the whole path.
    Path(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteLimits {
    pub max_body: Option<u64>,
    pub rate: Option<RateLimit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    pub per_second: u32,
    pub per: RatePer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatePer {
    Route,
    ClientIp,
}

// --- telemetry ---------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq)]
pub struct AccessLog {
    pub format: AccessLogFormat,
    pub to: AccessLogTo,
    pub sample: BasisPoints,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLogFormat {
    Json,
    Combined,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTo {
    Stdout,
    Stderr,
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Tracing {
    pub otlp: String,
    pub sample: BasisPoints,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    pub name: String,
    pub to: NotifyTo,
    pub on: Vec<NotifyOn>,
    /// Empty: every severity.
    pub severity: Vec<Severity>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum NotifyTo {
    Slack {
        webhook_url: Secret,
    },
    PagerDuty {
        routing_key: Secret,
        url: String,
    },
    Alertmanager {
        url: String,
    },
    /// CloudEvents JSON.
    Webhook {
        url: String,
        headers: Vec<(String, String)>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotifyOn {
    Started,
    Advanced,
    Paused,
    Resumed,
    RolledBack,
    Completed,
    Inconclusive,
    CertificateExpiring,
    ReloadFailed,
    BudgetLow,
    Frozen,
}

impl Config {
    /// What was understood, in one line: `2 services, 3 routes, 1 rollout`.
    pub fn summary(&self) -> String {
        let rollouts = self.services.values().filter(|s| s.rollout.is_some()).count();
        let counts =
            [(self.services.len(), "service"), (self.routes.len(), "route"), (rollouts, "rollout")];
        let counted = counts.map(|(n, what)| match n {
            1 => format!("1 {what}"),
            n => format!("{n} {what}s"),
        });
        counted.join(", ")
    }
}
