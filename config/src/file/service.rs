//! `services`, without their rollouts.

use super::{AboveZero, Named, Read, Reader, Rollout, Share, Size, record, words};
use crate::discovery::EndpointSource;
use crate::model;
use crate::schema::Defs;
use crate::source::At;
use crate::yaml::{Node, Value};
use serde_json::{Value as Json, json};
use serin_core::slo::{BurnAction, Severity};
use serin_core::weights::BasisPoints;
use std::time::Duration;

record! {
    /// An application behind Serin.
    Service, "a service" {
        /// The version that the service falls back to; only until the journal knows better.
        "stable" required stable: String,
        /// Its running releases, by name.
        "versions" required versions: Named<Version>,
        /// `leastRequest` (the less busy of two picked at random) or `roundRobin`.
        "loadBalancing" optional load_balancing: model::LoadBalancing = "leastRequest",
        /// Asks every endpoint whether it is ready. Without it every endpoint counts as ready.
        "healthCheck" optional health_check: HealthCheck,
        /// Takes endpoints out that fail requests.
        "outliers" optional outliers: model::Outliers,
        /// How long to wait for a backend.
        "timeouts" optional timeouts: model::Timeouts,
        /// What is tried again.
        "retries" optional retries: Retries,
        /// What keeps a user on one version.
        "session" optional session: Session,
        /// What becomes of a version's share when none of its endpoints is ready: `none` answers 503, `stable` gives it to stable.
        "failover" optional failover: model::Failover = "none",
        /// Endpoints that join get a rising share over this time; `0s` switches it off.
        "slowStart" optional slow_start: Duration = "0s",
        /// Requests in flight per endpoint; 0 is no limit.
        "maxInFlight" optional max_in_flight: u64 = "0" where 0..=u64::from(u32::MAX),
        /// An endpoint that answers too late because it is offered too much is given fewer requests at once, until it answers in time.
        "adaptiveConcurrency" optional adaptive_concurrency: bool = "true",
        /// Sends copies of requests to a version that nobody sees.
        "shadow" optional shadow: Shadow,
        /// What was promised, and what happens when it is not kept.
        "slo" optional slo: Slo,
        /// Names of the signals that are pushed for it. Where they are listed, a guard on any other is an error and a push of any other is refused.
        "signals" optional signals: Vec<At<String>> = "[]",
        /// How a new version comes in.
        "rollout" optional rollout: Rollout,
    }
}

record! {
    /// One running release of a service.
    Version, "a version" {
        /// What is deployed; with the version's name it is the candidate's identity. Left out, it is the version's name.
        "release" optional release: String,
        /// `host:port`, `http://host:port` or `https://host:port`; or where endpoints come from.
        "endpoints" required endpoints: Endpoints,
        /// `http1`, `http2` or `auto` (ALPN over TLS, HTTP/1.1 otherwise).
        "protocol" optional protocol: model::UpstreamProtocol = "auto",
        /// Tells the endpoints by the PROXY protocol which client a connection is for: `v1`, `v2` or `off`. Connections are then of one client each.
        "proxyProtocol" optional proxy_protocol: model::UpstreamProxyProtocol = "off",
        /// How the certificates of `https://` endpoints are verified.
        "tls" optional tls: UpstreamTls,
    }
}

/// A list, or a source.
#[derive(Debug, Clone)]
pub(crate) enum Endpoints {
    Listed(Vec<At<String>>),
    From(Box<EndpointSource>),
}

impl Read for Endpoints {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Map(_) => EndpointSource::read(node, reader).map(Box::new).map(Self::From),
            Value::Null | Value::Scalar { .. } | Value::List(_) | Value::Broken => {
                Vec::read(node, reader).map(Self::Listed)
            }
        }
    }

    fn schema(defs: &mut Defs) -> Json {
        json!({ "anyOf": [Vec::<At<String>>::schema(defs), EndpointSource::schema(defs)] })
    }
}

words!(model::UpstreamProxyProtocol, "proxy protocol of a version" {
    "off" => model::UpstreamProxyProtocol::Off,
    "v1" => model::UpstreamProxyProtocol::V1,
    "v2" => model::UpstreamProxyProtocol::V2,
});

words!(model::UpstreamProtocol, "protocol of a version" {
    "http1" => model::UpstreamProtocol::Http1,
    "http2" => model::UpstreamProtocol::Http2,
    "auto" => model::UpstreamProtocol::Auto,
});

record! {
    /// How the certificates of `https://` endpoints are verified.
    UpstreamTls, "`tls` of a version" {
        /// Authorities to trust instead of the system's, PEM.
        "caFile" optional ca_file: String,
        /// The name to ask for and to verify, instead of the endpoint's host.
        "serverName" optional server_name: String,
    }
}

words!(model::LoadBalancing, "load balancing" {
    "roundRobin" => model::LoadBalancing::RoundRobin,
    "leastRequest" => model::LoadBalancing::LeastRequest,
});

words!(model::Failover, "failover" {
    "none" => model::Failover::None,
    "stable" => model::Failover::Stable,
});

record! {
    /// Asks every endpoint whether it is ready: one of `path`, `tcp` and `grpc`.
    HealthCheck, "a health check" {
        /// Ready when `GET` of this path is answered 200 to 399.
        "path" optional path: String,
        /// The `Host` header to send with `path`. Left out, it is the endpoint.
        "host" optional host: String,
        /// Ready when a connection opens.
        "tcp" optional tcp: bool,
        /// Ready when the gRPC health service says `SERVING`.
        "grpc" optional grpc: GrpcCheck,
        /// From one check to the next.
        "interval" optional interval: Duration = "2s" where AboveZero,
        /// A check that takes longer has failed.
        "timeout" optional timeout: Duration = "1s" where AboveZero,
        /// Failed checks in a row that take an endpoint out.
        "unhealthyAfter" optional unhealthy_after: u64 = "2" where 1..=1000,
        /// Good checks in a row that bring it back.
        "healthyAfter" optional healthy_after: u64 = "2" where 1..=1000,
        /// When less than this share of all endpoints of the service is ready, and checks are a reason, checks are overruled: every endpoint is tried. `0%` never overrules them.
        "panicBelow" optional panic_below: Share = "50%",
    }
}

record! {
    /// A check by the gRPC health protocol.
    GrpcCheck, "`grpc` of a health check" {
        /// The service to ask for; empty asks for the server as a whole.
        "service" optional service: String = "",
    }
}

record! {
    /// What is tried again, on another endpoint of the same version.
    Retries, "`retries`" {
        /// Beyond the first; 0 switches retries off.
        "attempts" optional attempts: u64 = "1" where 0..=10,
        /// `connectFailure`, `reset`, `timeout`, or a status like `\"503\"`. All but the first only for idempotent requests.
        "on" optional on: Vec<At<String>> = "[\"connectFailure\", \"reset\"]",
        /// Retries as a share of the requests in flight.
        "budget" optional budget: Share = "20%",
    }
}

record! {
    /// What keeps a user on one version, on both sides of the split.
    Session, "`session`" {
        /// `cookie`, `header`, `clientIp` or `none`.
        "by" required by: SessionKind,
        /// The cookie's or header's name. A cookie's default is `serin_` and the service's name.
        "name" optional name: String,
        /// How long a cookie lasts.
        "ttl" optional ttl: Duration = "1h" where AboveZero,
        /// The key that signs cookies. Without it a key is made and kept in the state folder.
        "keyFile" optional key_file: String,
        /// Instead of `keyFile`: the first signs, and cookies that one of the others has signed stay valid. To change a key, put the new one first and take the old one away after `ttl`.
        "keyFiles" optional key_files: Vec<At<String>>,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionKind {
    None,
    Cookie,
    Header,
    ClientIp,
}

words!(SessionKind, "kind of session" {
    "cookie" => SessionKind::Cookie,
    "header" => SessionKind::Header,
    "clientIp" => SessionKind::ClientIp,
    "none" => SessionKind::None,
});

record! {
    /// Sends copies of requests to a version that nobody sees.
    Shadow, "`shadow`" {
        /// The version that receives copies.
        "to" required to: String,
        /// The share of requests that is copied.
        "percent" optional percent: BasisPoints = "100%",
        /// Methods that are copied. Anything beyond GET, HEAD and OPTIONS needs `allowUnsafe: true`.
        "methods" optional methods: Vec<At<String>> = "[\"GET\", \"HEAD\"]",
        /// Only requests of these routes are copied. Left out, those of every route to the service.
        "routes" optional routes: Vec<At<String>>,
        /// Copy methods that may write. The shadow version must not share a database with stable.
        "allowUnsafe" optional allow_unsafe: bool = "false",
        /// Requests with a larger body are not copied.
        "maxBody" optional max_body: Size = "256KiB",
        /// Copies that take longer are given up.
        "timeout" optional timeout: Duration = "5s" where AboveZero,
        /// Copies in flight; more are dropped and counted.
        "maxInFlight" optional max_in_flight: u64 = "256" where 1..=100_000,
        /// What copies do not carry.
        "redact" optional redact: Redact,
        /// How answers are compared. Without it they are not.
        "compare" optional compare: Compare,
    }
}

record! {
    /// What copies do not carry.
    Redact, "`redact`" {
        /// Headers that are left out beside those whose names say that they are secret, which always are. `[]` alone sends everything.
        "headers" optional headers: Vec<At<String>> = "[\"authorization\", \"cookie\", \"proxy-authorization\"]",
        /// JSON paths in request bodies, `$.card.number`.
        "json" optional json: Vec<At<String>> = "[]",
    }
}

record! {
    /// How the shadow's answers are compared with stable's.
    Compare, "`compare`" {
        /// Compare statuses.
        "status" optional status: bool = "true",
        /// Compare these headers.
        "headers" optional headers: Vec<At<String>> = "[]",
        /// `json` compares values, `bytes` compares bytes, `none` does not compare bodies.
        "body" optional body: model::CompareBody = "none",
        /// JSON paths that may differ, `$.generatedAt`.
        "ignore" optional ignore: Vec<At<String>> = "[]",
        /// Ask stable twice for some safe requests, and leave out what differs by itself.
        "noise" optional noise: bool = "false",
    }
}

words!(model::CompareBody, "comparison of bodies" {
    "none" => model::CompareBody::None,
    "bytes" => model::CompareBody::Bytes,
    "json" => model::CompareBody::Json,
});

record! {
    /// What was promised, and what happens when it is not kept.
    Slo, "`slo`" {
        /// The time over which the error budget is counted.
        "window" optional window: Duration = "30d" where AboveZero,
        /// The share of requests that are good.
        "availability" optional availability: Availability,
        /// The share of requests that are fast.
        "latency" optional latency: LatencyObjective,
        /// How fast the budget may burn. Left out, they are `fast`, `slow` and `drip`; `[]` switches them off.
        "burnRates" optional burn_rates: Vec<At<BurnRate>>,
        /// What the budget that is left permits.
        "budgetPolicy" optional budget_policy: BudgetPolicy,
    }
}

record! {
    /// The share of requests that are good.
    Availability, "`availability`" {
        /// Above 0% and below 100%.
        "objective" optional objective: Share = "99.9%",
        /// Statuses that are bad, `5xx`, `\"503\"` or `grpc:12`. Aborted and truncated answers always are; 501, 505, `grpc:4` and `grpc:12`, which a client can choose, only when named.
        "bad" optional bad: Vec<At<String>> = "[\"5xx\"]",
    }
}

record! {
    /// The share of requests that are fast.
    LatencyObjective, "`latency` of an `slo`" {
        /// Above 0% and below 100%.
        "objective" required objective: Share,
        /// How fast, to the head of the answer.
        "under" required under: Duration where AboveZero,
    }
}

record! {
    /// A pace at which the error budget may not burn. Both windows must exceed it.
    BurnRate, "a burn rate" {
        /// Names the rule in logs, metrics and messages.
        "name" required name: String,
        /// How many times as fast as the budget allows.
        "above" required above: f64,
        /// The long window and the short one, `[1h, 5m]`.
        "windows" required windows: Vec<At<Duration>>,
        /// `rollback`, `pause` or `notify`.
        "action" optional action: BurnAction = "notify",
        /// `P1`, `P2` or `P3`.
        "severity" optional severity: Severity = "P3",
    }
}

words!(BurnAction, "action" {
    "rollback" => BurnAction::Rollback,
    "pause" => BurnAction::Pause,
    "notify" => BurnAction::Notify,
});

words!(Severity, "severity" {
    "P1" => Severity::P1,
    "P2" => Severity::P2,
    "P3" => Severity::P3,
});

record! {
    /// What the budget that is left permits.
    BudgetPolicy, "`budgetPolicy`" {
        /// Below this share no rollout starts or advances without a person.
        "freezeBelow" optional freeze_below: Share = "10%",
        /// Below this share every step waits for a confirmation.
        "confirmBelow" optional confirm_below: Share = "50%",
    }
}
