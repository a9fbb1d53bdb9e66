//! `routes`.

use super::{Named, Read, Reader, Size, record, words};
use crate::model;
use crate::schema::Defs;
use crate::source::At;
use crate::yaml::{Node, Value};
use serde_json::{Value as Json, json};

record! {
    /// Which requests go where: one of `service`, `redirect` and `respond`.
    Route, "a route" {
        /// Names the route in logs and metrics.
        "name" required name: String,
        /// Names of listeners. Left out, the route serves all of them.
        "listeners" optional listeners: Vec<At<String>> = "[]",
        /// Hosts, without port; `*.example.com` stands for one label or more. Left out, every host.
        "hostnames" optional hostnames: Vec<At<String>> = "[]",
        /// A request must match one of them, in all of its parts. Left out, every request.
        "matches" optional matches: Vec<At<Match>> = "[]",
        /// The service that answers.
        "service" optional service: String,
        /// Forces this version: a cohort, left out of the verdict.
        "version" optional version: String,
        /// Sends the client elsewhere.
        "redirect" optional redirect: Redirect,
        /// Answers by itself.
        "respond" optional respond: Respond,
        /// Changes to the request's headers.
        "request" optional request: HeaderEdits,
        /// Changes to the answer's headers.
        "response" optional response: HeaderEdits,
        /// Changes to the path that the service sees.
        "rewrite" optional rewrite: Rewrite,
        /// What becomes of a path with parameters (`/a;x=1`), which some servers cut off: `refuse` answers 400 where the path, with or without them, belongs to a route that matches less than `/`.
        "pathParameters" optional path_parameters: model::PathParameters = "refuse",
        /// What requests of this route may cost.
        "limits" optional limits: RouteLimits,
        /// Answers carry `x-serin-version`.
        "exposeVersion" optional expose_version: bool = "false",
    }
}

record! {
    /// What a request must look like. Every part that is given must match.
    Match, "a match" {
        /// Left out, every path.
        "path" optional path: PathMatch,
        /// Left out, every method.
        "methods" optional methods: Vec<At<String>> = "[]",
        /// By header name.
        "headers" optional headers: Named<ValueRule> = "{}",
        /// By query parameter.
        "query" optional query: Named<ValueRule> = "{}",
        /// By cookie.
        "cookies" optional cookies: Named<ValueRule> = "{}",
        /// Addresses and networks of clients, `10.0.0.0/8`.
        "clientIp" optional client_ip: Vec<At<String>> = "[]",
    }
}

record! {
    /// A path: one of `exact`, `prefix` and `regex`.
    PathMatch, "a path" {
        /// The whole path.
        "exact" optional exact: String,
        /// By whole segments: `/checkout` matches `/checkout/1`, not `/checkouts`.
        "prefix" optional prefix: String,
        /// A regular expression for the whole path.
        "regex" optional regex: String,
    }
}

/// The value of a header, a query parameter or a cookie: itself, `{ regex }` or `{ present: true }`.
#[derive(Debug, Clone)]
pub(crate) enum ValueRule {
    Exact(String),
    Rule(Box<ValuePattern>),
}

record! {
    /// A value that is not given word by word: one of `regex` and `present`.
    ValuePattern, "a value to match" {
        /// A regular expression for the whole value.
        "regex" optional regex: String,
        /// Any value will do.
        "present" optional present: bool,
    }
}

impl Read for ValueRule {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Map(_) => ValuePattern::read(node, reader).map(|p| Self::Rule(Box::new(p))),
            Value::Scalar { .. } | Value::Null | Value::List(_) | Value::Broken => {
                let wanted = "a value, `{ regex: … }` or `{ present: true }`";
                reader.text(node, wanted).map(|text| Self::Exact(text.to_owned()))
            }
        }
    }

    fn schema(defs: &mut Defs) -> Json {
        json!({ "anyOf": [String::schema(defs), ValuePattern::schema(defs)] })
    }
}

record! {
    /// Sends the client elsewhere. What is left out stays as the client asked for it.
    Redirect, "`redirect`" {
        /// 301, 302, 303, 307 or 308.
        "status" optional status: u64 = "302",
        /// `http` or `https`.
        "scheme" optional scheme: String,
        /// Another host.
        "hostname" optional hostname: String,
        /// Another port. Left out with `scheme`, it is that scheme's own.
        "port" optional port: u64 where 1..=65_535,
        /// Replaces the whole path.
        "path" optional path: String,
        /// Replaces the prefix that matched.
        "prefix" optional prefix: String,
    }
}

record! {
    /// An answer that needs no service.
    Respond, "`respond`" {
        /// 200 to 599.
        "status" optional status: u64 = "200" where 200..=599,
        /// The type of `body`.
        "contentType" optional content_type: String = "text/plain; charset=utf-8",
        /// At most 64 KiB.
        "body" optional body: String = "",
    }
}

record! {
    /// Changes to headers, in the order remove, set, add.
    HeaderEdits, "header changes" {
        /// Replaces every header of this name.
        "setHeaders" optional set_headers: Named<String> = "{}",
        /// Adds one more.
        "addHeaders" optional add_headers: Named<String> = "{}",
        /// Takes headers away.
        "removeHeaders" optional remove_headers: Vec<At<String>> = "[]",
    }
}

record! {
    /// Changes to the path: one of `prefix` and `path`.
    Rewrite, "`rewrite`" {
        /// Replaces the prefix that matched; only with `path: { prefix }`.
        "prefix" optional prefix: String,
        /// Replaces the whole path.
        "path" optional path: String,
    }
}

record! {
    /// What requests of a route may cost.
    RouteLimits, "`limits` of a route" {
        /// The largest request body; more is answered 413. Left out, there is no limit.
        "maxBody" optional max_body: Size,
        /// More are answered 429. Left out, there is no limit.
        "requestsPerSecond" optional requests_per_second: u64 where 1..=100_000_000,
        /// Who shares `requestsPerSecond`: the whole `route`, or each `clientIp` has its own.
        "per" optional per: model::RatePer = "route",
    }
}

words!(model::PathParameters, "handling of path parameters" {
    "refuse" => model::PathParameters::Refuse,
    "forward" => model::PathParameters::Forward,
});

words!(model::RatePer, "way to count requests" {
    "route" => model::RatePer::Route,
    "clientIp" => model::RatePer::ClientIp,
});
