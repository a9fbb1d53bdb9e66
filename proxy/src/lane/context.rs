//! What is known of one request while it lives.

use crate::config_generation::ConfigGeneration;
use crate::ingress::{ClientInfo, Signals};
use crate::meter::{About, RequestMeter};
use crate::plane::Entered;
use crate::route::Route;
use crate::service::Service;
use crate::shadow::RequestTap;
use crate::spans::Trace;
use crate::trial::{Side, Ticket};
use crate::tunnel::{CloseCode, Upgrade};
use crate::upstream::{Endpoint, Lease, RetryPermit, VersionRuntime};
use crate::wire::head::Field;
use http::HeaderValue;
use serin_core::outcome::Failure;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use super::reply::Reply;

pub(crate) struct RequestContext {
    pub(super) began: Instant,
    /// The one configuration that this request ever sees.
    pub(super) generation: Option<Arc<ConfigGeneration>>,
    /// While two configurations serve: which of them counts it.
    pub(super) ticket: Option<Ticket>,
    pub(super) info: Option<Arc<ClientInfo>>,
    /// Only HTTP/1 has them: one stream, one request.
    pub(super) signals: Option<Arc<Signals>>,
    pub(super) asked: RequestFacts,
    pub(super) route: Option<Arc<Route>>,
    /// How much of the path the route's match took.
    pub(super) matched: usize,
    pub(super) service: Option<Arc<Service>>,
    pub(super) meter: Option<RequestMeter>,
    pub(super) set_cookie: Option<HeaderValue>,
    pub(super) attempt: Option<Attempt>,
    /// Who gets the next attempt.
    pub(super) next: Option<Arc<VersionRuntime>>,
    /// Where the last attempt failed: to be avoided.
    pub(super) failed_on: Option<Arc<Endpoint>>,
    /// Counts while a retry is in flight.
    pub(super) permit: Option<RetryPermit>,
    pub(super) attempts: u32,
    /// Attempts that met a connection which had died while it was idle.
    pub(super) stale: u32,
    /// Another version answers in the chosen one's place.
    pub(super) stand_in: bool,
    /// What the client is told when an attempt has failed for good.
    pub(super) verdict: Option<Reply>,
    pub(super) first_byte: Option<Instant>,
    pub(super) status: u16,
    pub(super) what: Option<&'static str>,
    pub(super) body_received: u64,
    /// All of the request's body was read.
    pub(super) body_ended: bool,
    /// The answer was whole before the request was: its connection carries nothing more.
    pub(super) answered_first: bool,
    /// Only when the request is sampled.
    pub(super) trace: Option<Box<Trace>>,
    /// Makes its copy, if there is one.
    pub(super) tap: RequestTap,
    /// Where the fast lane parses heads into, and writes values: memory that is used again.
    pub(super) fields: Vec<Field>,
    pub(super) scratch: String,
}

/// The request itself, as far as it is needed after its head was changed.
pub(super) struct RequestFacts {
    /// With its port when the client named one.
    pub(super) host: String,
    /// In normal form.
    pub(super) path: String,
    /// Empty also when there is none: see `has_query`.
    pub(super) query: String,
    pub(super) has_query: bool,
    /// As the client sent it.
    pub(super) target: String,
    pub(super) client: IpAddr,
    /// In the words of the verdict: of a fixed list.
    pub(super) method: &'static str,
    pub(super) idempotent: bool,
    pub(super) grpc: bool,
    pub(super) upgrade: Option<Upgrade>,
    /// What it calls the protocol, where it asks for another.
    pub(super) protocol: String,
    /// The client reads what stands after a body.
    pub(super) trailers: bool,
    /// The client waits for leave to send its body, in a version of HTTP that knows that.
    pub(super) expects: bool,
    pub(super) request_id: String,
    pub(super) traceparent: String,
}

/// The attempt under way.
pub(super) struct Attempt {
    pub(super) on: Arc<VersionRuntime>,
    pub(super) lease: Option<Lease>,
    pub(super) connected: bool,
    /// The head was handed over to be sent: from here on the endpoint may have acted on it.
    pub(super) sent: bool,
    /// The head has left, and the body follows.
    pub(super) body_began: bool,
    /// The final head that came.
    pub(super) status: Option<u16>,
    /// It came over HTTP/1. Only the full lane asks.
    pub(super) http1: bool,
    pub(super) grpc: Option<u32>,
    pub(super) close_code: Option<CloseCode>,
    /// What it was is known and counted.
    pub(super) ended: bool,
}

impl Attempt {
    pub(super) fn new(on: Arc<VersionRuntime>, lease: Lease) -> Self {
        Self {
            on,
            lease: Some(lease),
            connected: false,
            sent: false,
            body_began: false,
            status: None,
            http1: false,
            grpc: None,
            close_code: None,
            ended: false,
        }
    }
}

impl RequestFacts {
    fn forget(&mut self) {
        let Self {
            host,
            path,
            query,
            has_query,
            target,
            client: _,
            method: _,
            idempotent,
            grpc,
            upgrade,
            protocol,
            trailers,
            expects,
            request_id,
            traceparent,
        } = self;
        for text in [host, path, query, target, protocol, request_id, traceparent] {
            text.clear();
        }
        (*has_query, *idempotent, *grpc, *upgrade) = (false, false, false, None);
        (*trailers, *expects) = (false, false);
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.has_query.then_some(self.query.as_str())
    }
}

/// What is told of a request when it turns out to be bad.
pub(super) fn about<'a>(
    asked: &'a RequestFacts,
    route: Option<&'a Arc<Route>>,
    attempt: Option<&Attempt>,
) -> About<'a> {
    let lease = attempt.and_then(|attempt| attempt.lease.as_ref());
    About {
        request_id: &asked.request_id,
        client: asked.client,
        route: route.map(|route| &route.name),
        method: asked.method,
        endpoint: lease.map(|lease| lease.endpoint().address),
    }
}

impl RequestContext {
    pub(super) fn new(entered: Entered, now: Instant) -> Self {
        Self {
            began: now,
            generation: Some(entered.generation),
            ticket: entered.ticket,
            info: None,
            signals: None,
            asked: RequestFacts {
                host: String::new(),
                path: String::new(),
                query: String::new(),
                has_query: false,
                target: String::new(),
                client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                method: "",
                idempotent: false,
                grpc: false,
                upgrade: None,
                protocol: String::new(),
                trailers: false,
                expects: false,
                request_id: String::new(),
                traceparent: String::new(),
            },
            route: None,
            matched: 0,
            service: None,
            meter: None,
            set_cookie: None,
            attempt: None,
            next: None,
            failed_on: None,
            permit: None,
            attempts: 0,
            stale: 0,
            stand_in: false,
            verdict: None,
            first_byte: None,
            status: 0,
            what: None,
            body_received: 0,
            body_ended: false,
            answered_first: false,
            trace: None,
            tap: RequestTap::default(),
            fields: Vec::new(),
            scratch: String::new(),
        }
    }

    /// For another request.
    pub(super) fn renew(&mut self, entered: Entered, now: Instant) {
        (self.began, self.generation, self.ticket) =
            (now, Some(entered.generation), entered.ticket);
    }

    /// As new, but with the memory it has; and nobody is held on to while no request is in hand.
    pub(super) fn forget(&mut self) {
        let Self {
            began: _,
            generation,
            ticket,
            info,
            signals,
            asked,
            route,
            matched,
            service,
            meter,
            set_cookie,
            attempt,
            next,
            failed_on,
            permit,
            attempts,
            stale,
            stand_in,
            verdict,
            first_byte,
            status,
            what,
            body_received,
            body_ended,
            answered_first,
            trace,
            tap,
            fields: _,
            scratch: _,
        } = self;
        *ticket = None;
        (*generation, *info, *signals, *route, *service) = (None, None, None, None, None);
        (*meter, *set_cookie, *attempt, *next) = (None, None, None, None);
        (*failed_on, *permit, *verdict, *first_byte) = (None, None, None, None);
        (*what, *trace, *tap) = (None, None, RequestTap::default());
        (*matched, *attempts, *stale, *stand_in, *status, *body_received) = (0, 0, 0, false, 0, 0);
        (*body_ended, *answered_first) = (false, false);
        asked.forget();
    }

    /// Whether a configuration serves it that is not in force, and may never be.
    pub(super) fn is_on_trial(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| ticket.side() == Side::New)
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.info.as_ref().map_or("http", |info| info.scheme())
    }
}

/// What a failure is answered with, and called.
pub(super) fn status_of(failure: Failure) -> (u16, &'static str) {
    match failure {
        Failure::Connect | Failure::Tls(_) | Failure::Reset | Failure::Invalid => {
            (502, failure.as_str())
        }
        Failure::ConnectTimeout | Failure::Timeout => (504, failure.as_str()),
        Failure::NoEndpoint | Failure::Exhausted => (503, failure.as_str()),
    }
}
