//! What an answer's head says, whichever protocol it came by.

use crate::request::context::{RequestContext, about};
use crate::request::fail::{self, ReplayState};
use crate::route::Fields;
use http::{HeaderMap, HeaderValue};
use std::time::Instant;

pub(crate) const VERSION: &str = "x-serin-version";

/// The final head has come, and nothing of it has been sent. Says whether another attempt is made
/// instead.
pub(crate) fn head_came(
    context: &mut RequestContext,
    status: u16,
    grpc: Option<u32>,
    standing: ReplayState,
    now: Instant,
) -> bool {
    let Some(attempt) = &mut context.attempt else { return false };
    attempt.status = Some(status);
    attempt.grpc = grpc;
    if let Some(meter) = &mut context.meter {
        let about = about(&context.asked, context.route.as_ref(), Some(&*attempt));
        meter.head(status, about, now);
    }
    if fail::try_again_after_answer(context, standing, now) {
        return true;
    }
    context.first_byte = Some(now);
    false
}

/// What stands after an answer's body, where a gRPC call says how it went.
pub(crate) fn trailers_came(trailers: &dyn Fields, context: &mut RequestContext) {
    if let (Some(status), Some(attempt)) = (grpc_status(trailers), &mut context.attempt) {
        attempt.grpc = Some(status);
    }
}

/// What a gRPC call ends with whose answer broke off in the middle, and not with a reset, which a client
/// takes for its own doing. `reset` is the code of HTTP/2 with which the endpoint has reset the stream.
pub(crate) fn broken_off(reset: Option<u32>) -> HeaderMap {
    let status = match reset {
        // Cancelled, out of something, not secure enough: as gRPC has them over HTTP/2.
        Some(0x8) => "1",
        Some(0xb) => "8",
        Some(0xc) => "7",
        // Not looked at; or all of its connection is gone.
        Some(0x7) | None => "14",
        Some(_) => "13",
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let why = HeaderValue::from_static("the backend broke off its answer");
    trailers.insert("grpc-message", why);
    trailers
}

pub(crate) fn grpc_status(fields: &dyn Fields) -> Option<u32> {
    std::str::from_utf8(fields.first("grpc-status")?).ok()?.parse().ok()
}
