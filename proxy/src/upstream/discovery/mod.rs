//! Where the endpoints of a version are. A source is asked beside the requests, again and again, and says
//! whole sets.
//!
//! [`watch`] is all that a keeper knows of sources: it hands over each set, or why there is none. What
//! could not be found out changes nothing, and neither does a set of nobody: a file that is being written
//! and a name server that has lost its zone look like that. How often a source is asked, and what an
//! answer of it means, its own file says.

mod dns;
mod file;
mod fixed;
mod lookup;
pub(super) mod name;
mod srv;

pub(super) use file::Lists;
pub use name::{Resolver, system};

use serin_config::endpoint_list::ENDPOINTS_MAX;
use serin_config::model::{DiscoverBy, Discovery, Endpoint, EndpointHost, Endpoints};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One endpoint of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What it is called: in metrics, by its health check, and by its certificate.
    pub(super) endpoint: Endpoint,
    pub(super) ip: IpAddr,
    /// Its share beside others of its priority.
    pub(super) weight: u32,
    /// Those of a higher number are for when none of a lower one is ready.
    pub(super) priority: u32,
}

impl Found {
    fn new(endpoint: Endpoint, ip: IpAddr) -> Self {
        Self { endpoint, ip, weight: 1, priority: 0 }
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.endpoint.port)
    }
}

/// All that a source has, or why that could not be found out.
pub(super) type Answer = Result<Vec<Found>, String>;

/// What is followed. A list of endpoints is as many sources: one name that cannot be resolved keeps no
/// other back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Endpoint(Endpoint),
    Discovery(Discovery),
}

pub(super) fn sources(endpoints: &Endpoints) -> Vec<Source> {
    match endpoints {
        Endpoints::Listed(listed) => listed.iter().cloned().map(Source::Endpoint).collect(),
        Endpoints::Found(discovery) => vec![Source::Discovery(discovery.clone())],
    }
}

impl Source {
    /// Whether it may say something else later.
    pub(super) fn changes(&self) -> bool {
        match self {
            Self::Endpoint(endpoint) => match endpoint.host {
                EndpointHost::Ip(_) => false,
                EndpointHost::Name(_) => true,
            },
            Self::Discovery(_) => true,
        }
    }

    /// Whether DNS is asked, by us or by the system.
    pub(super) fn asks_names(&self) -> bool {
        match self {
            Self::Endpoint(_) => self.changes(),
            Self::Discovery(Discovery { by, .. }) => match by {
                DiscoverBy::File { .. } => false,
                DiscoverBy::Dns { .. } | DiscoverBy::Srv { .. } => true,
            },
        }
    }

    /// What need not be waited for.
    pub(super) fn at_once(&self) -> Option<Answer> {
        match self {
            Self::Endpoint(endpoint) => fixed::set(endpoint).map(Ok),
            Self::Discovery(Discovery { by: DiscoverBy::File { path }, tls }) => {
                Some(file::set(path, *tls))
            }
            Self::Discovery(_) => None,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Endpoint(endpoint) => endpoint.fmt(f),
            Self::Discovery(discovery) => discovery.fmt(f),
        }
    }
}

/// What sources are asked with.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) resolver: Resolver,
    /// How often the system is asked for a name again.
    pub(super) resolve_every: Duration,
    pub(super) lists: Lists,
}

/// Follows a source for as long as what it says is taken.
pub(super) async fn watch(source: Source, tools: Tools, take: impl Fn(Answer) -> bool + Send) {
    let take = |answer: Answer| take(answer.and_then(somebody));
    match source {
        Source::Endpoint(endpoint) => match &endpoint.host {
            EndpointHost::Ip(_) => {}
            EndpointHost::Name(name) => name::watch(name, &endpoint, &tools, take).await,
        },
        Source::Discovery(Discovery { by, tls }) => match by {
            DiscoverBy::File { path } => file::watch(path, tls, &tools.lists, take).await,
            DiscoverBy::Dns { name, port, servers } => {
                dns::watch(Endpoint { host: EndpointHost::Name(name), port, tls }, servers, take)
                    .await;
            }
            DiscoverBy::Srv { name, servers } => srv::watch(name, tls, servers, take).await,
        },
    }
}

fn somebody(mut set: Vec<Found>) -> Answer {
    set.truncate(ENDPOINTS_MAX);
    if set.is_empty() { Err("it has no endpoint".to_owned()) } else { Ok(set) }
}
