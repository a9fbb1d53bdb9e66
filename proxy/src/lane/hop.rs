//! Headers that belong to one connection only, and headers that only look like ours.
//!
//! What `Connection` names is removed, except what Serin or the message itself needs: a client
//! cannot make us forget who it is. Names with underscores that read like one of those to CGI and
//! its heirs are removed as well.

use super::life::Upgrade;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use pingora_http::{RequestHeader, ResponseHeader};

/// Never removed because a client says so.
const PROTECTED: [&str; 21] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "authorization",
    "cookie",
    "cache-control",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-real-ip",
    "x-request-id",
    "traceparent",
    "tracestate",
    "set-cookie",
    "x-serin-shadow",
    "x-serin-version",
    "expect",
    "origin",
];

/// Hop by hop whether `Connection` names them or not.
const HOP: [&str; 5] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "http2-settings",
];

/// The options that `Connection` lists.
pub(super) fn options(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(header::CONNECTION).into_iter();
    lines.flat_map(|v| v.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

pub(super) fn strip(request: &mut RequestHeader, upgrade: Option<Upgrade>) {
    let trailers = request.version == http::Version::HTTP_2
        && request.headers.get_all(header::TE).iter().any(|te| te.as_bytes() == b"trailers");
    for name in named(&request.headers) {
        request.remove_header(&name);
    }
    for name in HOP {
        request.remove_header(name);
    }
    request.remove_header(&header::CONNECTION);
    request.remove_header(&header::TE);
    request.remove_header(&header::TRAILER);
    if trailers {
        let _ = request.insert_header(header::TE, HeaderValue::from_static("trailers"));
    }
    match upgrade {
        Some(_) => {
            let _ = request.insert_header(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        None => {
            request.remove_header(&header::UPGRADE);
        }
    }
    for name in twins(&request.headers) {
        request.remove_header(&name);
    }
}

/// Of an answer: its framing is left to whoever writes it.
pub(super) fn strip_response(response: &mut ResponseHeader) {
    for name in named(&response.headers) {
        response.remove_header(&name);
    }
    for name in HOP {
        if name != "proxy-authenticate" {
            response.remove_header(name);
        }
    }
    if response.status != http::StatusCode::SWITCHING_PROTOCOLS {
        response.remove_header(&header::UPGRADE);
    }
}

fn named(headers: &HeaderMap) -> Vec<HeaderName> {
    options(headers)
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .filter(|name| *name != header::UPGRADE && !PROTECTED.contains(&name.as_str()))
        .collect()
}

fn twins(headers: &HeaderMap) -> Vec<HeaderName> {
    let underscored = headers.keys().filter(|name| name.as_str().contains('_'));
    underscored
        .filter(|name| {
            let twin = name.as_str().replace('_', "-");
            PROTECTED.contains(&twin.as_str()) || twin.starts_with("x-forwarded-")
        })
        .cloned()
        .collect()
}
