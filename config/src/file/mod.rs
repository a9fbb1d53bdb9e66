//! What a file says: strings, optionals, and where each of them stands, with the default and the
//! bounds of each key. Nothing is resolved here; `check/` does that.

mod bounds;
mod listener;
mod read;
mod rollout;
mod route;
mod scalar;
mod service;
mod settings;
mod telemetry;

pub(crate) use bounds::{AboveZero, OfARequest, said, within};
pub(crate) use listener::*;
pub(crate) use read::{Named, Read, Reader, Word, declared, one_of, record, words};
pub(crate) use rollout::*;
pub(crate) use route::*;
pub(crate) use scalar::*;
pub(crate) use service::*;
pub(crate) use settings::{Setting, settings};
pub(crate) use telemetry::*;

use crate::source::At;

record! {
    /// One configuration file. In a folder every `*.yaml` is read, and all of them together are the configuration.
    File, "a configuration file" {
        /// The version of this format.
        "version" required version: u64,
        /// Where clients connect.
        "listeners" optional listeners: Vec<At<Listener>>,
        /// The admin API, the page and the metrics.
        "admin" optional admin: Admin,
        /// Where what must survive a restart is kept.
        "state" optional state: State,
        /// The applications behind Serin, by name.
        "services" optional services: Named<Service>,
        /// Which requests go where. Precedence does not depend on their order.
        "routes" optional routes: Vec<At<Route>>,
        /// One line per request.
        "accessLog" optional access_log: AccessLog,
        /// Spans for a tracing backend.
        "tracing" optional tracing: Tracing,
        /// Who is told what.
        "notifications" optional notifications: Vec<At<Notification>>,
        /// Has no effect any more, and is warned of: every request takes the same way.
        "lanes" optional lanes: Lanes,
    }
}

/// Of older configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lanes {
    Both,
    Full,
}

words!(Lanes, "choice of lanes" {
    "both" => Lanes::Both,
    "full" => Lanes::Full,
});
