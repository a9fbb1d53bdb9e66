//! What a request asks for, settled once for every protocol: one host, one target, in normal form.

use crate::request::arrived::Arrived;
use crate::request::reply::Reply;
use crate::route::{Fields, path};
use crate::wire::authority;
use http::header;

/// Takes note of what is asked for. An error is what the client is told instead.
pub(super) fn settle(request: &mut Arrived, host: Result<&str, Reply>) -> Result<(), Reply> {
    request.scratch.host.push_str(host?);
    right_certificate(request)?;
    split_target(request)
}

/// A request that is not sound counts where those count whose head could not be read.
pub(super) fn count_refusal(reply: &Reply, request: &Arrived) {
    if reply.status() >= 400 {
        request.info.listener.counters.refused_heads.add();
    }
}

/// A connection that was opened for one certificate's names serves no others: a client that
/// reuses it for them has to open its own.
fn right_certificate(request: &Arrived) -> Result<(), Reply> {
    let info = &request.info;
    let (Some(tls), Some(state)) = (&info.tls, &info.listener.tls) else { return Ok(()) };
    if state.may_serve(tls.server_name.as_deref(), authority::host(&request.scratch.host)) {
        return Ok(());
    }
    Err(Reply::refused(421, "this host has a certificate of its own"))
}

/// Splits what the client sent into the path that is matched and forwarded, and the query.
fn split_target(request: &mut Arrived) -> Result<(), Reply> {
    let scratch = &mut *request.scratch;
    if scratch.target == "*" {
        return Err(
            Reply::empty(204).with(header::ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
        );
    }
    let (raw, query) = match scratch.target.split_once('?') {
        Some((raw, query)) => (raw, Some(query)),
        None => (scratch.target.as_str(), None),
    };
    if query.is_some_and(|query| query.bytes().any(|b| b <= b' ' || b == 0x7f || b == b'#')) {
        return Err(Reply::refused(400, "the query is invalid"));
    }
    let path = path::normalise(raw).map_err(|why| Reply::refused(400, why.to_string()))?;
    scratch.path.push_str(&path);
    scratch.query.push_str(query.unwrap_or_default());
    request.has_query = query.is_some();
    Ok(())
}

pub(super) fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}

/// Whether the client reads what stands after a body.
pub(super) fn takes_trailers(fields: &dyn Fields) -> bool {
    fields.any("te", &mut |line| {
        let codings = line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.into_iter().any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    })
}

pub(super) fn is_grpc(fields: &dyn Fields) -> bool {
    fields.first("content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"))
}
