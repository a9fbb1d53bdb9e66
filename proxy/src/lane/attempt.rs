//! Which endpoint gets this attempt, and over which connection.

use super::fail;
use super::life::{Attempt, Life, Upgrade, status_of};
use crate::clock;
use crate::thread::random;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;
use serin_core::outcome::Failure;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Set apart the connections that may become tunnels: nobody else is ever lent one.
const TUNNELS: u64 = 0x7455_4e4e_454c_5321;

pub(super) fn next_peer(session: &mut Session, life: &mut Life) -> Result<Box<HttpPeer>> {
    let mut failure = Failure::NoEndpoint;
    // A stand-in may follow a version of which nobody is ready, and none follows a stand-in.
    for _ in 0..2 {
        let Some(on) = life.next.clone() else { break };
        let now = clock::mono(Instant::now());
        match on.pick(random(), life.failed_on.as_deref(), now) {
            Ok(lease) => {
                let peer = lease.peer();
                life.attempts += 1;
                life.attempt = Some(Attempt::new(on, lease));
                return Ok(prepared(peer, life));
            }
            Err(why) => {
                failure = why.failure();
                if !fail::nobody_ready(session, life, &on, failure) {
                    break;
                }
            }
        }
    }
    let (status, what) = status_of(failure);
    Error::e_explain(ErrorType::HTTPStatus(status), what)
}

fn prepared(mut peer: Box<HttpPeer>, life: &Life) -> Box<HttpPeer> {
    let Some(timeouts) = life.attempt.as_ref().map(|attempt| attempt.on.timeouts) else {
        return peer;
    };
    // Hop-by-hop headers are ours to remove: see `hop`.
    peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
    // pingora knows one read timeout for head and body. The client's stream keeps both times apart
    // and is more precise; this is the net below it.
    peer.options.read_timeout = Some(timeouts.response.max(timeouts.idle));
    if let Some(Upgrade::WebSocket | Upgrade::Other) = life.asked.upgrade {
        peer.group_key ^= TUNNELS;
        peer.options.idle_timeout = Some(Duration::ZERO);
        peer.options.read_timeout = None;
    }
    if let Some(signals) = &life.signals {
        signals.await_response(life.attempts, timeouts.response);
    }
    peer
}

pub(super) fn connected(life: &mut Life, _reused: bool) {
    if let Some(attempt) = &mut life.attempt {
        attempt.connected = true;
    }
    // The endpoint that failed is to be avoided once, not for ever.
    let endpoint = life.attempt.as_ref().and_then(|a| a.lease.as_ref()).map(|l| l.endpoint());
    life.failed_on = endpoint.map(Arc::clone);
}
