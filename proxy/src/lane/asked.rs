//! What a request asks for, settled once for every protocol: one target, in normal form.

use super::life::Life;
use super::reply::Reply;
use crate::route::{Fields, path};
use crate::wire::authority;

/// A connection that was opened for one certificate's names serves no others: a client that
/// reuses it for them has to open its own.
pub(super) fn right_certificate(life: &Life) -> Result<(), Reply> {
    let Some(visit) = &life.visit else { return Ok(()) };
    let (Some(tls), Some(state)) = (&visit.tls, &visit.listener.tls) else { return Ok(()) };
    if state.may_serve(tls.server_name.as_deref(), authority::host(&life.asked.host)) {
        return Ok(());
    }
    Err(Reply::refused(421, "this host has a certificate of its own"))
}

/// Splits what the client sent, which stands in `asked.target`, into the path that is matched and
/// forwarded, and the query.
pub(super) fn split_target(life: &mut Life) -> Result<(), Reply> {
    let asked = &mut life.asked;
    if asked.target == "*" {
        return Err(Reply::empty(204)
            .with(http::header::ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
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

pub(super) fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}

pub(super) fn is_grpc(fields: &dyn Fields) -> bool {
    fields.first("content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"))
}
