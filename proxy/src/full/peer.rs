//! RequestSummary which connection an attempt goes.

use crate::full::fail::standing;
use crate::request::attempt;
use crate::request::context::{RequestContext, status_of};
use crate::tunnel::Upgrade;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::time::{Duration, Instant};

/// Set apart the connections that may become tunnels: nobody else is ever lent one.
const TUNNELS: u64 = 0x7455_4e4e_454c_5321;

pub(crate) fn next(session: &Session, context: &mut RequestContext) -> Result<Box<HttpPeer>> {
    let standing = standing(session, context);
    if let Err(failure) = attempt::begin(context, standing, Instant::now()) {
        let (status, what) = status_of(failure);
        return Error::e_explain(ErrorType::HTTPStatus(status), what);
    }
    let lease = context.attempt.as_ref().and_then(|attempt| attempt.lease.as_ref());
    match lease.map(|lease| lease.peer()) {
        Some(peer) => Ok(prepared(peer, context)),
        None => Error::e_explain(ErrorType::InternalError, "no endpoint was lent"),
    }
}

fn prepared(mut peer: Box<HttpPeer>, context: &RequestContext) -> Box<HttpPeer> {
    let Some(timeouts) = context.attempt.as_ref().map(|attempt| attempt.on.timeouts) else {
        return peer;
    };
    // Hop-by-hop headers are ours to remove: see `hop`.
    peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
    // pingora knows one read timeout for head and body. The client's stream keeps both times apart
    // and is more precise; this is the net below it.
    peer.options.read_timeout = Some(timeouts.response.max(timeouts.idle));
    if let Some(Upgrade::WebSocket | Upgrade::Other) = context.asked.upgrade {
        peer.group_key ^= TUNNELS;
        peer.options.idle_timeout = Some(Duration::ZERO);
        peer.options.read_timeout = None;
    }
    if let Some(signals) = &context.signals {
        signals.await_response(context.attempts, timeouts.response);
    }
    peer
}
