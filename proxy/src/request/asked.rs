//! What a request asks for, settled once for every protocol: one target, in normal form.

use crate::request::context::RequestContext;
use crate::request::reply::Reply;
use crate::route::{Fields, path};
use crate::wire::{authority, fields};
use http::request::Parts;
use http::{Method, Version, header};

/// What is served, and within which limits. HTTP/1 was held to these before; for HTTP/2 this is the
/// place.
pub(crate) fn within_limits(request: &Parts, context: &RequestContext) -> Result<(), Reply> {
    let is_tunnel = context.asked.upgrade.is_some();
    if request.method == Method::TRACE || request.method == Method::CONNECT && !is_tunnel {
        return Err(Reply::refused(405, "this method is not served"));
    }
    let Some(info) = context.info.as_ref().filter(|_| request.version == Version::HTTP_2) else {
        return Ok(());
    };
    let limits = &info.listener.limits;
    let target = request.uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() as u64 > limits.max_uri_bytes {
        return Err(Reply::refused(414, "the request target is too long"));
    }
    if request.headers.len() > limits.max_headers as usize {
        return Err(Reply::refused(431, "too many headers"));
    }
    if request
        .headers
        .get(header::EXPECT)
        .is_some_and(|e| !e.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(Reply::refused(417, "this expectation cannot be met"));
    }
    let mut lengths = request.headers.get_all(header::CONTENT_LENGTH).iter();
    let (length, second) = (lengths.next(), lengths.next());
    // HTTP/2 needs none to know where a body ends. A backend of HTTP/1 does.
    if second.is_some() || length.is_some_and(|l| fields::content_length(l.as_bytes()).is_none()) {
        return Err(Reply::refused(400, "the Content-Length header is invalid"));
    }
    Ok(())
}

/// The one host that the request names, whichever way.
pub(crate) fn host(request: &Parts) -> Result<&str, Reply> {
    let invalid = || Reply::refused(400, "there must be one valid host");
    let mut named = request.headers.get_all(header::HOST).iter();
    let (host, second) = (named.next(), named.next());
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
    let host = match (authority, host) {
        (Some(authority), None) => authority.as_bytes(),
        (Some(authority), Some(host))
            if authority.as_bytes().eq_ignore_ascii_case(host.as_bytes()) =>
        {
            host.as_bytes()
        }
        (None, Some(host)) => host.as_bytes(),
        (Some(_), Some(_)) | (None, None) => return Err(invalid()),
    };
    if second.is_some() || !authority::is_valid(host) {
        return Err(invalid());
    }
    std::str::from_utf8(host).map_err(|_| invalid())
}

/// A request that is not sound counts where those count whose head could not be read.
pub(crate) fn count_refusal(reply: &Reply, context: &RequestContext) {
    if let Some(info) = context.info.as_ref().filter(|_| reply.status() >= 400) {
        info.listener.counters.refused_heads.add();
    }
}

/// A connection that was opened for one certificate's names serves no others: a client that
/// reuses it for them has to open its own.
pub(crate) fn right_certificate(context: &RequestContext) -> Result<(), Reply> {
    let Some(info) = &context.info else { return Ok(()) };
    let (Some(tls), Some(state)) = (&info.tls, &info.listener.tls) else { return Ok(()) };
    if state.may_serve(tls.server_name.as_deref(), authority::host(&context.asked.host)) {
        return Ok(());
    }
    Err(Reply::refused(421, "this host has a certificate of its own"))
}

/// Splits what the client sent, which stands in `asked.target`, into the path that is matched and
/// forwarded, and the query.
pub(crate) fn split_target(context: &mut RequestContext) -> Result<(), Reply> {
    let asked = &mut context.asked;
    if asked.target == "*" {
        return Err(
            Reply::empty(204).with(header::ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
        );
    }
    let (raw, query) = match asked.target.split_once('?') {
        Some((raw, query)) => (raw, Some(query)),
        None => (asked.target.as_str(), None),
    };
    if query.is_some_and(|query| query.bytes().any(|b| b <= b' ' || b == 0x7f || b == b'#')) {
        return Err(Reply::refused(400, "the query is invalid"));
    }
    let path = path::normalise(raw).map_err(|why| Reply::refused(400, why.to_string()))?;
    asked.path.clear();
    asked.path.push_str(&path);
    asked.has_query = query.is_some();
    asked.query.clear();
    asked.query.push_str(query.unwrap_or_default());
    Ok(())
}

pub(crate) fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}

/// What of its own conventions a request has that its answer follows.
pub(crate) fn note_kind(fields: &dyn Fields, context: &mut RequestContext) {
    context.asked.grpc = is_grpc(fields);
    context.asked.trailers = fields.any("te", &mut |line| {
        let codings = line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.into_iter().any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    });
}

fn is_grpc(fields: &dyn Fields) -> bool {
    fields.first("content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"))
}
