//! Which endpoint gets the next attempt.

use crate::clock;
use crate::request::context::{Attempt, RequestContext};
use crate::request::fail::{self, ReplayState};
use crate::thread::random;
use serin_core::outcome::Failure;
use std::sync::Arc;
use std::time::Instant;

/// Lends an endpoint: `context.attempt` is the attempt under way from here on.
pub(crate) fn begin(
    context: &mut RequestContext,
    standing: ReplayState,
    at: Instant,
) -> Result<(), Failure> {
    let mut failure = Failure::NoEndpoint;
    // A stand-in may follow a version of which nobody is ready, and none follows a stand-in.
    for _ in 0..2 {
        let Some(on) = context.next.clone() else { break };
        match on.pick(random(), context.failed_on.as_deref(), clock::mono(at)) {
            Ok(lease) => {
                context.attempts += 1;
                if let Some(trace) = &mut context.trace {
                    let address = lease.endpoint().address;
                    trace.attempt(on.name.as_str(), address, random(), at);
                    trace.tell(&mut context.asked.traceparent);
                }
                context.attempt = Some(Attempt::new(on, lease));
                return Ok(());
            }
            Err(why) => {
                failure = why.failure();
                if !fail::nobody_ready(context, standing, &on, failure) {
                    break;
                }
            }
        }
    }
    Err(failure)
}

pub(crate) fn connected(context: &mut RequestContext) {
    if let Some(attempt) = &mut context.attempt {
        attempt.connected = true;
    }
    // The endpoint that failed is to be avoided once, not for ever.
    let endpoint = context.attempt.as_ref().and_then(|a| a.lease.as_ref()).map(|l| l.endpoint());
    if let Some(endpoint) = endpoint {
        endpoint.out_of_trouble();
    }
    context.failed_on = endpoint.map(Arc::clone);
}
