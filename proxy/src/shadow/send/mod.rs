//! One request to one version, over connections that carry nothing else.
//!
//! An endpoint is drawn among those that are ready; what comes of the request says nothing about the
//! endpoint's health, because requests of clients must not suffer from what their copies met.

mod exchange;

use super::compare::Rules;
use super::counts::Dropped;
use super::memory::Memory;
use super::response_pair::Answer;
use crate::clock;
use crate::shadow::copy::Copy;
use crate::shadow::head::{is_safe, method_of};
use crate::thread::random;
use crate::upstream::conn::{self, Purpose};
use crate::upstream::{Endpoint, VersionRuntime};
use crate::wire::head::Field;
use bytes::Bytes;
use exchange::{Got, exchange};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection that was idle for longer is closed rather than used.
const IDLE: Duration = Duration::from_secs(30);

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

/// The caller limits its time, and lends what the fields of answers are noted in. What is rare has its
/// place on the heap, so that a copy's task stays small.
pub(super) async fn send(
    outgoing: &Outgoing<'_>,
    to: &VersionRuntime,
    fields: &mut Vec<Field>,
    now: Instant,
) -> Result<Answer, Dropped> {
    let endpoint = drawn(to, now).ok_or(Dropped::Refused)?;
    if let Some(conn) = conn::lend(&endpoint, Purpose::Own, false, now) {
        match exchange(outgoing, conn, fields, now).await {
            Ok(got) => return Ok(kept(got, &endpoint)),
            // It was being closed while it was taken: that says nothing about the shadow.
            Err(broken) if broken.unanswered && is_safe(outgoing.method()) => {}
            Err(_) => return Err(Dropped::Reset),
        }
    }
    Box::pin(anew(outgoing, to, &endpoint, fields)).await
}

/// Over a new connection.
async fn anew(
    outgoing: &Outgoing<'_>,
    to: &VersionRuntime,
    endpoint: &Arc<Endpoint>,
    fields: &mut Vec<Field>,
) -> Result<Answer, Dropped> {
    let connected = conn::connect(endpoint, Purpose::Own, false, to.timeouts.connect).await;
    let conn = connected.map_err(|_| Dropped::Refused)?;
    let now = Instant::now();
    if !outgoing.is_allowed() {
        conn::put_back(endpoint, Purpose::Own, conn, now + IDLE);
        return Err(Dropped::Withdrawn);
    }
    match exchange(outgoing, conn, fields, now).await {
        Ok(got) => Ok(kept(got, endpoint)),
        Err(_) => Err(Dropped::Reset),
    }
}

fn kept(got: Got, endpoint: &Arc<Endpoint>) -> Answer {
    if let Some(conn) = got.conn {
        conn::put_back(endpoint, Purpose::Own, conn, got.at + IDLE);
    }
    got.answer
}

fn drawn(to: &VersionRuntime, now: Instant) -> Option<Arc<Endpoint>> {
    let now = clock::mono(now);
    let members = to.group().members();
    let ready = || members.iter().filter(|endpoint| endpoint.is_ready(now));
    let count = ready().count();
    let at = (random() as usize).checked_rem(count)?;
    ready().nth(at).map(Arc::clone)
}
