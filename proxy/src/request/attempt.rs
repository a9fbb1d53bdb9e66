//! One attempt: which endpoint gets it, and how far it has come.

use crate::upstream::{Endpoint, Lease, RetryPermit, VersionRuntime};
use serin_core::outcome::Ending;
use std::sync::Arc;

/// An attempt under way. Dropping it says nothing about its endpoint.
pub(crate) struct Attempt {
    pub(crate) on: Arc<VersionRuntime>,
    pub(super) lease: Lease,
    /// Of a retry: counts while that is in flight.
    pub(super) permit: Option<RetryPermit>,
    pub(super) connected: bool,
    /// The head was handed over to be sent: from here on the endpoint may have acted on it.
    pub(super) sent: bool,
    /// Of the final head, once that has come.
    pub(super) status: Option<u16>,
}

/// What the head of an answer says of how the request went, and a call of gRPC after its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) grpc: Option<u32>,
}

impl Answer {
    pub(crate) fn ending(self) -> Ending {
        Ending::Answered { status: self.status, grpc: self.grpc }
    }
}

impl Attempt {
    pub(super) fn new(on: Arc<VersionRuntime>, lease: Lease, permit: Option<RetryPermit>) -> Self {
        Self { on, lease, permit, connected: false, sent: false, status: None }
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        self.lease.endpoint()
    }
}
