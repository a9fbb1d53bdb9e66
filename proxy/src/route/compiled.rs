//! A route, ready to use.

use super::edits::Edits;
use super::rate::{ClientRates, RateLimiter};
use super::rewrite::{Redirect, Rewrite};
use crate::service::Service;
use crate::upstream::VersionRuntime;
use serin_config::model;
use serin_core::ids::{RouteName, ServiceName, VersionName};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug)]
pub struct Route {
    pub name: RouteName,
    pub action: Action,
    pub request: Edits,
    pub response: Edits,
    pub rewrite: Option<Rewrite>,
    /// Paths with parameters are as good as others.
    pub forwards_parameters: bool,
    pub max_body: Option<u64>,
    pub rate: Option<RateLimiter>,
    /// Answers carry `x-serin-version`.
    pub expose_version: bool,
}

#[derive(Debug)]
pub enum Action {
    /// `cohort` forces a version, and keeps the request out of the verdict.
    Forward {
        service: Arc<Service>,
        cohort: Option<Arc<VersionRuntime>>,
    },
    Redirect(Redirect),
    Respond(Fixed),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    pub status: u16,
    pub content_type: http::HeaderValue,
    pub body: bytes::Bytes,
}

/// What the check of the configuration normally finds first.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RouteError {
    #[error("route {route} names the unknown service {service}")]
    Service { route: RouteName, service: ServiceName },
    #[error("route {route} names {version}, which service {service} does not list")]
    Version { route: RouteName, service: ServiceName, version: VersionName },
    #[error("{name:?} is not a header name")]
    HeaderName { name: String },
    #[error("the value of header {name} has characters that cannot stand in a header")]
    HeaderValue { name: String },
    #[error("the path {path:?} can match no request: {why}")]
    Path { path: String, why: super::path::Refused },
}

impl Route {
    /// `previous` is the route of this name in the configuration before; its rate goes on.
    pub fn new(
        route: &model::Route,
        services: &BTreeMap<ServiceName, Arc<Service>>,
        clients: &Arc<ClientRates>,
        previous: Option<&Route>,
    ) -> Result<Self, RouteError> {
        let rate = route.limits.rate.as_ref().map(|limit| {
            let previous = previous.and_then(|route| route.rate.as_ref());
            RateLimiter::new(&route.name, limit, clients, previous)
        });
        Ok(Self {
            name: route.name.clone(),
            action: action(route, services)?,
            request: Edits::new(&route.request)?,
            response: Edits::new(&route.response)?,
            rewrite: route.rewrite.as_ref().map(Rewrite::new),
            forwards_parameters: route.path_parameters == model::PathParameters::Forward,
            max_body: route.limits.max_body,
            rate,
            expose_version: route.expose_version,
        })
    }
}

fn action(
    route: &model::Route,
    services: &BTreeMap<ServiceName, Arc<Service>>,
) -> Result<Action, RouteError> {
    match &route.action {
        model::RouteAction::Forward { service, version } => {
            forward(&route.name, service, version.as_ref(), services)
        }
        model::RouteAction::Redirect { status, scheme, hostname, port, path } => {
            Ok(Action::Redirect(Redirect {
                status: *status,
                scheme: scheme.clone(),
                hostname: hostname.clone(),
                port: *port,
                path: path.as_ref().map(Rewrite::new),
            }))
        }
        model::RouteAction::Respond { status, content_type, body } => {
            let name = || RouteError::HeaderValue { name: "content-type".to_owned() };
            Ok(Action::Respond(Fixed {
                status: *status,
                content_type: http::HeaderValue::from_str(content_type).map_err(|_| name())?,
                body: bytes::Bytes::from(body.clone()),
            }))
        }
    }
}

fn forward(
    route: &RouteName,
    name: &ServiceName,
    version: Option<&VersionName>,
    services: &BTreeMap<ServiceName, Arc<Service>>,
) -> Result<Action, RouteError> {
    let unknown = || RouteError::Service { route: route.clone(), service: name.clone() };
    let service = services.get(name).ok_or_else(unknown)?;
    let cohort = version.map(|version| {
        let unlisted = || RouteError::Version {
            route: route.clone(),
            service: name.clone(),
            version: version.clone(),
        };
        service.version(version).cloned().ok_or_else(unlisted)
    });
    Ok(Action::Forward { service: Arc::clone(service), cohort: cohort.transpose()? })
}
