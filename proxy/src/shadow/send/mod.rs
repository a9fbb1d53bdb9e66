//! One request to one version, over connections that carry nothing else.
//!
//! HTTP/1.1 unless the version speaks HTTP/2 alone. An endpoint is drawn among those that are ready;
//! what comes of the request says nothing about the endpoint's health, because requests of clients
//! must not suffer from what their copies met.

mod http1;
mod http2;
mod pool;

pub(super) use pool::Depot;

use super::compare::Rules;
use super::counts::Dropped;
use super::memory::Memory;
use super::pair::Answer;
use crate::clock;
use crate::shadow::copy::{Copy, is_safe, method_of};
use crate::thread::random;
use crate::upstream::{Endpoint, VersionRuntime};
use bytes::Bytes;
use pool::{Place, Wire};
use serin_config::model::UpstreamProtocol;
use std::sync::Arc;
use std::time::Instant;

/// What is sent, and what is wanted of the answer.
pub(super) struct Outgoing<'a> {
    /// `None` when stable is asked a second time: no reload forbids that.
    pub(super) copy: Option<&'a Copy>,
    pub(super) head: &'a [u8],
    pub(super) body: &'a [Bytes],
    pub(super) framed: bool,
    pub(super) rules: Option<&'a Rules>,
    /// Of an answer's body.
    pub(super) most: u64,
    pub(super) memory: &'a Arc<Memory>,
}

impl Outgoing<'_> {
    fn method(&self) -> &str {
        method_of(self.head)
    }

    fn is_allowed(&self) -> bool {
        self.copy.is_none_or(Copy::is_allowed)
    }

    fn length(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }
}

/// The caller limits its time.
pub(super) async fn send(
    outgoing: &Outgoing<'_>,
    to: &VersionRuntime,
    depot: &Depot,
) -> Result<Answer, Dropped> {
    let endpoint = drawn(to).ok_or(Dropped::Refused)?;
    let place = Place::new(to, &endpoint);
    if to.protocol == UpstreamProtocol::Http2 {
        return http2::exchange(outgoing, to, &endpoint, &place, depot).await;
    }
    if let Some(mut wire) = depot.idle(&place) {
        match http1::exchange(outgoing, &mut wire).await {
            Ok(answer) => return Ok(kept(answer, wire, &place, depot)),
            // It was being closed while it was taken: that says nothing about the shadow.
            Err(broken) if broken.unanswered && is_safe(outgoing.method()) => {}
            Err(_) => return Err(Dropped::Reset),
        }
    }
    let mut wire = Wire::open(to, &endpoint, depot).await.ok_or(Dropped::Refused)?;
    if !outgoing.is_allowed() {
        depot.keep(&place, wire);
        return Err(Dropped::Withdrawn);
    }
    match http1::exchange(outgoing, &mut wire).await {
        Ok(answer) => Ok(kept(answer, wire, &place, depot)),
        Err(_) => Err(Dropped::Reset),
    }
}

fn kept(got: http1::Got, wire: Wire, place: &Place, depot: &Depot) -> Answer {
    if got.reusable {
        depot.keep(place, wire);
    }
    got.answer
}

fn drawn(to: &VersionRuntime) -> Option<Arc<Endpoint>> {
    let now = clock::mono(Instant::now());
    let members = to.group().members();
    let ready = || members.iter().filter(|endpoint| endpoint.is_ready(now));
    let count = ready().count();
    let at = (random() as usize).checked_rem(count)?;
    ready().nth(at).map(Arc::clone)
}
