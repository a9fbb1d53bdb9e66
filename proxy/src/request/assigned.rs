//! Which version the request gets.

use crate::clock;
use crate::meter::RequestMeter;
use crate::request::arrived::Arrived;
use crate::request::forwarded;
use crate::request::routed::{Destination, Routed};
use crate::route::{Fields, Route};
use crate::service::{self, Service, Who};
use crate::thread::{ThreadId, random};
use http::HeaderValue;
use std::sync::Arc;

/// A request that a version has got, and that counts from here on.
pub(crate) struct Assigned {
    pub(crate) request: Arrived,
    pub(crate) route: Arc<Route>,
    pub(crate) service: Arc<Service>,
    pub(crate) meter: RequestMeter,
    /// What makes its user stay there.
    pub(super) set_cookie: Option<HeaderValue>,
}

/// A service's choice.
pub(super) struct Chosen {
    service: Arc<Service>,
    assigned: service::Assigned,
}

impl Destination<'_> {
    pub(super) fn choose(&self, request: &Arrived, fields: &dyn Fields) -> Chosen {
        let (thread, service) = (ThreadId::current(), self.service);
        let mut assigned = match self.cohort {
            Some(version) => service.force(thread, version),
            None => {
                let who = Who {
                    headers: fields,
                    client_ip: request.client,
                    secure: forwarded::is_secure(fields, &request.info),
                    wall: &clock::wall,
                };
                service.assign(thread, &who, random())
            }
        };
        if request.is_on_trial() {
            assigned.leave_out();
        }
        Chosen { service: Arc::clone(service), assigned }
    }
}

impl Assigned {
    pub(super) fn new(routed: Routed, chosen: Chosen) -> Self {
        let Routed { request, route, matched: _ } = routed;
        let Chosen { service, mut assigned } = chosen;
        let set_cookie = assigned.set_cookie.take();
        let meter = RequestMeter::start(assigned, request.client, request.began);
        Self { request, route, service, meter, set_cookie }
    }
}
