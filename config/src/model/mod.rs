//! What the program runs on: everything resolved, defaults filled in, nothing optional that
//! the program would have to ask about again.
//!
//! `file/` holds the other set of types, what a file says; `check/` turns those into these.
//! Everything here compares with `==`, so that a reload can tell what has changed.

mod admin;
mod endpoint;
mod json_path;
mod listener;
mod route;
mod service;
mod telemetry;

pub use crate::discovery::{DiscoverBy, Discovery};
pub use admin::{Admin, AdminAddress, Role, Secret, Token};
pub use endpoint::{Endpoint, EndpointHost, Endpoints};
pub use json_path::{JsonPath, JsonStep};
pub use listener::{
    Certificate, ClientAuth, Listener, ListenerLimits, ProxyProtocol, Tls, TlsVersion, Underscores,
};
pub use route::{
    HeaderEdits, Match, PathMatch, PathParameters, RateLimit, RatePer, Rewrite, Route, RouteAction,
    RouteLimits, ValueMatch,
};
pub use service::{
    Compare, CompareBody, Failover, HealthCheck, HealthKind, LoadBalancing, Outliers, Retries,
    RetryOn, Service, SessionBy, Shadow, Timeouts, UpstreamProtocol, UpstreamProxyProtocol,
    UpstreamTls, Version,
};
pub use telemetry::{
    AccessLog, AccessLogFormat, AccessLogTo, Notification, NotifyOn, NotifyTo, Tracing,
};

use serin_core::ids::ServiceName;
use serin_core::judge::foresee;
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// A hash of everything the files say, as hex.
    pub hash: String,
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

    /// What is sent to shadows, a line for each: nobody is to find out later.
    pub fn copies(&self) -> Vec<String> {
        let line = |(name, service): (&ServiceName, &Service)| {
            let shadow = service.shadow.as_ref()?;
            let (methods, to) = (shadow.methods.join(", "), &shadow.to);
            let without = match shadow.redact_headers.as_slice() {
                [] => "with every header, Authorization and cookies too".to_owned(),
                names => {
                    let names = names.join(", ");
                    format!("without {names} and whatever else is named like a secret")
                }
            };
            Some(format!("copies of {methods} for {name} go to {to}, {without}"))
        };
        self.services.iter().filter_map(line).collect()
    }

    /// On what, and from how much traffic on, the steps of each rollout are taken as their holds end.
    pub fn evidence(&self) -> Vec<String> {
        let line = |(name, service): (&ServiceName, &Service)| {
            let plan = service.rollout.as_ref()?;
            let seen = foresee(plan, &service.objectives);
            let from = |rate: f64| format!("from {} requests/s on", about(rate));
            let ways = [("proof", seen.by_proof), ("bounded harm", seen.by_bounded_harm)];
            let ways = ways
                .into_iter()
                .filter_map(|(way, rate)| Some(format!("on {way} {}", from(rate?))));
            let ways = ways.collect::<Vec<_>>().join(", ");
            match ways.as_str() {
                "" => Some(format!(
                    "{name}: no step is taken as its hold ends, however much traffic there is"
                )),
                ways => Some(format!(
                    "{name}: steps are taken as their holds end {ways}; with less they wait"
                )),
            }
        };
        self.services.iter().filter_map(line).collect()
    }
}

/// Two digits.
fn about(rate: f64) -> String {
    let places = (1.0 - rate.log10().floor()).clamp(0.0, 5.0) as usize;
    let round = 10_f64.powf((rate.log10().floor() - 1.0).max(0.0));
    let text = format!("{:.places$}", (rate / round).ceil() * round);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}
