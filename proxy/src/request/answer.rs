//! What an answer's head says, whichever protocol it came by.

use crate::request::attempt::{Answer, Attempt};
use crate::request::attempts::{Attempts, about};
use crate::request::fail::ReplayState;
use crate::request::trailers;
use crate::route::{Edits, Fields};
use http::{HeaderMap, HeaderValue};
use std::time::Instant;

pub(crate) const VERSION: &str = "x-serin-version";

impl Attempts {
    /// The final head has come, and nothing of it has been sent. Says whether another attempt is made
    /// instead, once this one has ended.
    pub(crate) fn head_came(
        &mut self,
        attempt: &mut Attempt,
        answer: Answer,
        standing: ReplayState,
        now: Instant,
    ) -> bool {
        attempt.status = Some(answer.status);
        let assigned = &mut self.assigned;
        let address = attempt.endpoint().address;
        let about = about(&assigned.request, &assigned.route, Some(address));
        assigned.meter.head(answer.status, about, now);
        let again = self.tries_again_after(attempt, answer, standing);
        if !again {
            self.first_byte = Some(now);
        }
        again
    }
}

/// Takes what stands after an answer's body, and lets pass what may.
pub(crate) struct Following<'a> {
    pub(crate) edits: &'a Edits,
    /// The client reads it.
    pub(crate) reads: bool,
    /// How a call of gRPC went.
    pub(crate) grpc: Option<u32>,
}

impl Following<'_> {
    pub(crate) fn pass(&mut self, came: Option<HeaderMap>) -> Option<HeaderMap> {
        let came = came?;
        self.grpc = grpc_status(&came);
        trailers::passing(came, Some(self.edits)).filter(|_| self.reads)
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
