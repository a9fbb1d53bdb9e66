//! What a request must look like, and what becomes of it.

use ipnet::IpNet;
use serin_core::ids::{RouteName, ServiceName, VersionName};

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
    pub path_parameters: PathParameters,
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

/// What becomes of a path whose segments carry parameters, `/a;x=1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathParameters {
    Refuse,
    Forward,
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
