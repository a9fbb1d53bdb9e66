//! A request on its way to a version: the attempts that are made for it, one after the other.

use crate::clock;
use crate::meter::{About, RequestMeter};
use crate::request::arrived::Arrived;
use crate::request::assigned::Assigned;
use crate::request::attempt::Attempt;
use crate::request::fail::ReplayState;
use crate::request::reply::Reply;
use crate::route::Route;
use crate::shadow::RequestTap;
use crate::thread::random;
use crate::upstream::{Endpoint, RetryPermit, VersionRuntime};
use crate::wire::head::Field;
use http::HeaderValue;
use serin_core::outcome::Failure;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct Attempts {
    pub(crate) assigned: Assigned,
    /// Who gets the next one.
    pub(super) next: Arc<VersionRuntime>,
    /// Who has made the last one that is over.
    pub(super) by: Option<Arc<VersionRuntime>>,
    /// The endpoint of the last one: where that failed it is to be avoided.
    pub(super) endpoint: Option<Arc<Endpoint>>,
    /// The next one's, if it is a retry.
    pub(super) permit: Option<RetryPermit>,
    pub(super) made: u32,
    /// Those that met a connection which had died while it was idle.
    pub(super) stale: u32,
    /// A connection that had been kept broke before a byte of an answer.
    pub(super) met_stale: bool,
    /// An endpoint has said that it did not look at it.
    pub(super) refused: bool,
    /// Another version answers in the chosen one's place.
    pub(super) stand_in: bool,
    pub(super) first_byte: Option<Instant>,
    /// What the client was told, if it was told something.
    pub(crate) status: Option<u16>,
    pub(crate) what: Option<&'static str>,
    /// Makes the request's copy, if there is one.
    pub(crate) tap: RequestTap,
}

/// What the client gets to see of who answers.
pub(crate) struct Answering<'a> {
    pub(crate) route: &'a Route,
    pub(crate) version: &'a VersionRuntime,
    pub(crate) cookie: Option<HeaderValue>,
}

impl Attempts {
    pub(crate) fn new(assigned: Assigned) -> Self {
        let next = Arc::clone(assigned.meter.version());
        Self {
            assigned,
            next,
            by: None,
            endpoint: None,
            permit: None,
            made: 0,
            stale: 0,
            met_stale: false,
            refused: false,
            stand_in: false,
            first_byte: None,
            status: None,
            what: None,
            tap: RequestTap::default(),
        }
    }

    pub(crate) fn request(&self) -> &Arrived {
        &self.assigned.request
    }

    pub(crate) fn route(&self) -> &Arc<Route> {
        &self.assigned.route
    }

    /// Where heads are parsed into.
    pub(crate) fn fields(&mut self) -> &mut Vec<Field> {
        &mut self.assigned.request.scratch.fields
    }

    /// When the next one begins. The first follows the request's head at once.
    pub(crate) fn begins(&self) -> Instant {
        if self.made == 0 { self.request().began } else { Instant::now() }
    }

    /// Lends the next one an endpoint. An error says why there is none.
    pub(crate) fn begin(&mut self, standing: ReplayState, at: Instant) -> Result<Attempt, Failure> {
        let mut failure = Failure::NoEndpoint;
        // A stand-in may follow a version of which nobody is ready, and none follows a stand-in.
        for _ in 0..2 {
            let on = Arc::clone(&self.next);
            match on.pick(random(), self.endpoint.as_deref(), clock::mono(at)) {
                Ok(lease) => {
                    self.made += 1;
                    let request = &mut self.assigned.request;
                    if let Some(trace) = &mut request.trace {
                        let address = lease.endpoint().address;
                        trace.attempt(on.name.as_str(), address, random(), at);
                        trace.tell(&mut request.scratch.traceparent);
                    }
                    return Ok(Attempt::new(on, lease, self.permit.take()));
                }
                Err(why) => {
                    failure = why.failure();
                    if !self.nobody_ready(standing, &on, failure) {
                        break;
                    }
                }
            }
        }
        Err(failure)
    }

    /// There is a connection, and the head is about to leave on it.
    pub(crate) fn connected(&mut self, attempt: &mut Attempt) {
        (attempt.connected, attempt.sent) = (true, true);
        // The endpoint that failed is to be avoided once, not for ever.
        attempt.endpoint().out_of_trouble();
        self.endpoint = Some(Arc::clone(attempt.endpoint()));
    }

    /// The client is told so.
    pub(crate) fn told(&mut self, reply: &Reply) {
        self.status = Some(reply.status());
        self.what = self.what.or(reply.what());
    }

    /// That of a candidate which a rollback may take the request from while it is waited for.
    pub(crate) fn withdrawable(&self) -> Option<&RequestMeter> {
        let meter = &self.assigned.meter;
        let may = meter.is_candidate() && self.request().idempotent && !self.stand_in;
        may.then_some(meter)
    }

    pub(crate) fn answering<'a>(&'a mut self, attempt: &'a Attempt) -> Answering<'a> {
        // A version that answers in another's place does not get the user.
        let cookie = self.assigned.set_cookie.take().filter(|_| !self.stand_in);
        Answering { route: &self.assigned.route, version: &attempt.on, cookie }
    }
}

/// What is told of a request when it turns out to be bad.
pub(super) fn about<'a>(
    request: &'a Arrived,
    route: &'a Route,
    endpoint: Option<SocketAddr>,
) -> About<'a> {
    About {
        request_id: &request.scratch.request_id,
        client: request.client,
        route: Some(&route.name),
        method: request.method,
        endpoint,
    }
}
