//! From what the files say to what the program runs on: everything resolved, every default
//! filled in, and every fault of every section reported, because no check stops at the first.

mod admin;
mod endpoints;
mod foresight;
mod guards;
mod headers;
mod hosts;
mod listeners;
mod matches;
mod overlap;
mod redirects;
mod rollout;
mod routes;
mod secrets;
mod services;
mod session;
mod shadow;
mod slo;
mod telemetry;
mod tls;
mod windows;

pub(crate) use endpoints::{endpoint_address, endpoint_name};
pub(crate) use secrets::{kind, plain};

use crate::file;
use crate::load::Options;
use crate::model::Config;
use crate::report::{Draft, Report, shown};
use crate::source::{At, Place, Source};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;

/// What every check needs: where to complain, and what the places mean.
#[derive(Debug)]
pub(crate) struct Check<'a> {
    pub(crate) report: &'a mut Report,
    pub(crate) sources: &'a [Source],
    pub(crate) options: &'a Options,
    /// What has been read beside the configuration itself, and its content.
    pub(crate) read: Vec<(PathBuf, Vec<u8>)>,
    /// Where files are named that are not looked at.
    unread: Vec<Place>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(report: &'a mut Report, sources: &'a [Source], options: &'a Options) -> Self {
        Self { report, sources, options, read: Vec::new(), unread: Vec::new() }
    }
}

impl Check<'_> {
    pub(crate) fn error(&mut self, at: Place, message: impl Into<String>) -> &mut Draft {
        self.report.error(at, message)
    }

    pub(crate) fn warning(&mut self, at: Place, message: impl Into<String>) -> &mut Draft {
        self.report.warning(at, message)
    }

    /// A path as the file in which it stands means it.
    pub(crate) fn resolve(&self, path: &At<String>) -> PathBuf {
        self.sources[usize::from(path.at.file)].resolve(&path.value)
    }

    /// Refuses a name that has been given before.
    fn unique(&mut self, seen: &mut HashMap<String, Place>, name: &At<String>, what: &str) -> bool {
        if let Some(first) = seen.get(&name.value) {
            let message = format!("two {what}s are named {}", shown(&name.value));
            self.report
                .error(name.at, message)
                .label("the second")
                .also(*first, "the first")
                .hint(format!("give each {what} a name of its own"));
            return false;
        }
        seen.insert(name.value.clone(), name.at);
        true
    }

    /// Refuses a name that says nothing, or has been given before.
    fn named(&mut self, seen: &mut HashMap<String, Place>, name: &At<String>, what: &str) {
        if name.value.trim().is_empty() {
            self.error(name.at, format!("a {what} with an empty name"))
                .hint("decisions, messages and metrics call it by its name");
            return;
        }
        self.unique(seen, name, what);
    }
}

/// What was written, or all defaults.
fn given<T: Clone + Default>(found: Option<&At<T>>) -> Cow<'_, T> {
    found.map_or_else(Cow::default, |found| Cow::Borrowed(&found.value))
}

/// A whole number whose bounds, as declared, fit.
fn whole(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The parts of all files together.
#[derive(Debug, Default)]
struct Parts {
    listeners: Vec<At<file::Listener>>,
    admin: Option<At<file::Admin>>,
    state: Option<At<file::State>>,
    services: Vec<(At<String>, file::Service)>,
    routes: Vec<At<file::Route>>,
    access_log: Option<At<file::AccessLog>>,
    tracing: Option<At<file::Tracing>>,
    notifications: Vec<At<file::Notification>>,
    lanes: Option<At<file::Lanes>>,
}

/// The model, complete only when nothing was reported as an error.
pub(crate) fn config(files: Vec<file::File>, check: &mut Check<'_>) -> Config {
    let parts = merged(files, check);
    if let Some(lanes) = &parts.lanes {
        check
            .warning(lanes.at, "`lanes` has no effect: every request takes the same way")
            .hint("remove it; a later version knows no such key");
    }
    let listeners = listeners::check(&parts.listeners, check);
    let services = services::check(&parts.services, &listeners, check);
    let routes = routes::check(&parts.routes, &parts.services, &parts.listeners, check);
    shadow::routes_lead_here(&parts.services, &routes, check);
    foresight::unreached(&parts.services, &parts.routes, check);
    hosts::covered(&parts.listeners, &parts.routes, check);
    let admin = admin::check(parts.admin.as_ref(), &parts.listeners, check);
    rollout::approvers(&parts.services, &admin, check);
    Config {
        listeners,
        admin,
        state_dir: state_dir(parts.state.as_ref(), check),
        services,
        routes,
        access_log: telemetry::access_log(parts.access_log.as_ref(), check),
        tracing: telemetry::tracing(parts.tracing.as_ref(), check),
        notifications: telemetry::notifications(&parts.notifications, check),
        hash: String::new(),
    }
}

fn merged(files: Vec<file::File>, check: &mut Check<'_>) -> Parts {
    let mut parts = Parts::default();
    for file in files {
        version(&file, check);
        parts.listeners.extend(file.listeners.map(|l| l.value).unwrap_or_default());
        parts.routes.extend(file.routes.map(|r| r.value).unwrap_or_default());
        parts.notifications.extend(file.notifications.map(|n| n.value).unwrap_or_default());
        parts.services.extend(file.services.map(|s| s.value.0).unwrap_or_default());
        once(&mut parts.admin, file.admin, "admin", check);
        once(&mut parts.state, file.state, "state", check);
        once(&mut parts.access_log, file.access_log, "accessLog", check);
        once(&mut parts.tracing, file.tracing, "tracing", check);
        once(&mut parts.lanes, file.lanes, "lanes", check);
    }
    parts
}

fn version(file: &file::File, check: &mut Check<'_>) {
    if let Some(version) = file.version.as_ref().filter(|version| version.value != 1) {
        check
            .error(version.at, format!("version {} of the format is unknown", version.value))
            .hint("this program reads `version: 1`");
    }
}

/// Sections that are about the whole program stand in one file only.
fn once<T>(first: &mut Option<At<T>>, found: Option<At<T>>, key: &str, check: &mut Check<'_>) {
    let Some(found) = found else { return };
    match first {
        None => *first = Some(found),
        Some(first) => {
            check
                .error(found.at, format!("`{key}` is defined in two files"))
                .label("the second")
                .also(first.at, "the first")
                .hint("keep one of them");
        }
    }
}

fn state_dir(state: Option<&At<file::State>>, check: &mut Check<'_>) -> PathBuf {
    match state.and_then(|state| state.dir.as_ref()) {
        Some(dir) => check.resolve(dir),
        None => PathBuf::from("serin-state"),
    }
}
