//! What is known of one request while it lives.

use crate::config_generation::ConfigGeneration;
use crate::ingress::ClientInfo;
use crate::meter::{About, RequestMeter};
use crate::plane::Entered;
use crate::route::Route;
use crate::service::Service;
use crate::shadow::RequestTap;
use crate::spans::Trace;
use crate::trial::{Side, Ticket};
use crate::tunnel::{Closed, Upgrade};
use crate::upstream::{Endpoint, Lease, RetryPermit, VersionRuntime};
use crate::wire::head::Field;
use http::HeaderValue;
use serin_core::outcome::Failure;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use crate::request::reply::Reply;

pub(crate) struct RequestContext {
    pub(crate) began: Instant,
    /// The one configuration that this request ever sees.
    pub(crate) generation: Option<Arc<ConfigGeneration>>,
    /// While two configurations serve: which of them counts it.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) info: Option<Arc<ClientInfo>>,
    pub(crate) asked: RequestFacts,
    pub(crate) route: Option<Arc<Route>>,
    /// How much of the path the route's match took.
    pub(crate) matched: usize,
    pub(crate) service: Option<Arc<Service>>,
    pub(crate) meter: Option<RequestMeter>,
    pub(crate) set_cookie: Option<HeaderValue>,
    pub(crate) attempt: Option<Attempt>,
    /// Who gets the next attempt.
    pub(crate) next: Option<Arc<VersionRuntime>>,
    /// Where the last attempt failed: to be avoided.
    pub(crate) failed_on: Option<Arc<Endpoint>>,
    /// Counts while a retry is in flight.
    pub(crate) permit: Option<RetryPermit>,
    pub(crate) attempts: u32,
    /// Attempts that met a connection which had died while it was idle.
    pub(crate) stale: u32,
    /// An endpoint has said that it did not look at it.
    pub(crate) refused: bool,
    /// Another version answers in the chosen one's place.
    pub(crate) stand_in: bool,
    /// What the client is told when an attempt has failed for good.
    pub(crate) verdict: Option<Reply>,
    pub(crate) first_byte: Option<Instant>,
    pub(crate) status: u16,
    pub(crate) what: Option<&'static str>,
    /// Only when the request is sampled.
    pub(crate) trace: Option<Box<Trace>>,
    /// Makes its copy, if there is one.
    pub(crate) tap: RequestTap,
    /// Where heads are parsed into, and writes values: memory that is used again.
    pub(crate) fields: Vec<Field>,
    pub(crate) scratch: String,
}

/// The request itself, as far as it is needed after its head was changed.
pub(crate) struct RequestFacts {
    /// With its port when the client named one.
    pub(crate) host: String,
    /// In normal form.
    pub(crate) path: String,
    /// Empty also when there is none: see `has_query`.
    pub(crate) query: String,
    pub(crate) has_query: bool,
    /// As the client sent it.
    pub(crate) target: String,
    pub(crate) client: IpAddr,
    /// In the words of the verdict: of a fixed list.
    pub(crate) method: &'static str,
    pub(crate) idempotent: bool,
    pub(crate) grpc: bool,
    pub(crate) upgrade: Option<Upgrade>,
    /// What it calls the protocol, where it asks for another.
    pub(crate) protocol: String,
    /// Where a client of HTTP/2 asks for a WebSocket: the key that its backend is sent.
    pub(crate) websocket_key: String,
    /// The client reads what stands after a body.
    pub(crate) trailers: bool,
    /// The client waits for leave to send its body, in a version of HTTP that knows that.
    pub(crate) expects: bool,
    pub(crate) request_id: String,
    pub(crate) traceparent: String,
}

/// The attempt under way.
pub(crate) struct Attempt {
    pub(crate) on: Arc<VersionRuntime>,
    pub(crate) lease: Option<Lease>,
    pub(crate) connected: bool,
    /// The head was handed over to be sent: from here on the endpoint may have acted on it.
    pub(crate) sent: bool,
    /// The final head that came.
    pub(crate) status: Option<u16>,
    pub(crate) grpc: Option<u32>,
    /// Who ended its WebSocket.
    pub(crate) closed: Option<Closed>,
    /// What it was is known and counted.
    pub(crate) ended: bool,
}

impl Attempt {
    pub(crate) fn new(on: Arc<VersionRuntime>, lease: Lease) -> Self {
        Self {
            on,
            lease: Some(lease),
            connected: false,
            sent: false,
            status: None,
            grpc: None,
            closed: None,
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
            websocket_key,
            trailers,
            expects,
            request_id,
            traceparent,
        } = self;
        for text in [host, path, query, target, protocol, websocket_key, request_id, traceparent] {
            text.clear();
        }
        (*has_query, *idempotent, *grpc, *upgrade) = (false, false, false, None);
        (*trailers, *expects) = (false, false);
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.has_query.then_some(self.query.as_str())
    }
}

/// What is told of a request when it turns out to be bad.
pub(crate) fn about<'a>(
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
    pub(crate) fn new(entered: Entered, now: Instant) -> Self {
        Self {
            began: now,
            generation: Some(entered.generation),
            ticket: entered.ticket,
            info: None,
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
                websocket_key: String::new(),
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
            refused: false,
            stand_in: false,
            verdict: None,
            first_byte: None,
            status: 0,
            what: None,
            trace: None,
            tap: RequestTap::default(),
            fields: Vec::new(),
            scratch: String::new(),
        }
    }

    /// For another request.
    pub(crate) fn renew(&mut self, entered: Entered, now: Instant) {
        (self.began, self.generation, self.ticket) =
            (now, Some(entered.generation), entered.ticket);
    }

    /// As new, but with the memory it has; and nobody is held on to while no request is in hand.
    pub(crate) fn forget(&mut self) {
        let Self {
            began: _,
            generation,
            ticket,
            info,
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
            refused,
            stand_in,
            verdict,
            first_byte,
            status,
            what,
            trace,
            tap,
            fields: _,
            scratch: _,
        } = self;
        *ticket = None;
        (*generation, *info, *route, *service) = (None, None, None, None);
        (*meter, *set_cookie, *attempt, *next) = (None, None, None, None);
        (*failed_on, *permit, *verdict, *first_byte) = (None, None, None, None);
        (*what, *trace, *tap) = (None, None, RequestTap::default());
        (*matched, *attempts, *stale, *status) = (0, 0, 0, 0);
        (*refused, *stand_in) = (false, false);
        asked.forget();
    }

    /// Whether a configuration serves it that is not in force, and may never be.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| ticket.side() == Side::New)
    }

    pub(crate) fn scheme(&self) -> &'static str {
        self.info.as_ref().map_or("http", |info| info.scheme())
    }
}

/// What a failure is answered with, and called.
pub(crate) fn status_of(failure: Failure) -> (u16, &'static str) {
    match failure {
        Failure::Connect | Failure::Tls(_) | Failure::Reset | Failure::Invalid => {
            (502, failure.as_str())
        }
        Failure::ConnectTimeout | Failure::Timeout => (504, failure.as_str()),
        Failure::RefusedStream | Failure::NoEndpoint | Failure::Exhausted => {
            (503, failure.as_str())
        }
    }
}
