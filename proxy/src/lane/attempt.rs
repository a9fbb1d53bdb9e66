//! Which endpoint gets the next attempt.

use super::fail::{self, Standing};
use super::life::{Attempt, Life};
use crate::clock;
use crate::thread::random;
use serin_core::outcome::Failure;
use std::sync::Arc;
use std::time::Instant;

/// Lends an endpoint: `life.attempt` is the attempt under way from here on.
pub(super) fn begin(life: &mut Life, standing: Standing, at: Instant) -> Result<(), Failure> {
    let mut failure = Failure::NoEndpoint;
    // A stand-in may follow a version of which nobody is ready, and none follows a stand-in.
    for _ in 0..2 {
        let Some(on) = life.next.clone() else { break };
        match on.pick(random(), life.failed_on.as_deref(), clock::mono(at)) {
            Ok(lease) => {
                life.attempts += 1;
                if let Some(trace) = &mut life.trace {
                    let address = lease.endpoint().address;
                    trace.attempt(on.name.as_str(), address, random(), at);
                    trace.tell(&mut life.asked.traceparent);
                }
                life.attempt = Some(Attempt::new(on, lease));
                return Ok(());
            }
            Err(why) => {
                failure = why.failure();
                if !fail::nobody_ready(life, standing, &on, failure) {
                    break;
                }
            }
        }
    }
    Err(failure)
}

pub(super) fn connected(life: &mut Life) {
    if let Some(attempt) = &mut life.attempt {
        attempt.connected = true;
    }
    // The endpoint that failed is to be avoided once, not for ever.
    let endpoint = life.attempt.as_ref().and_then(|a| a.lease.as_ref()).map(|l| l.endpoint());
    if let Some(endpoint) = endpoint {
        endpoint.out_of_trouble();
    }
    life.failed_on = endpoint.map(Arc::clone);
}
