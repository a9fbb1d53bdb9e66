//! A connection between requests: it waits for the next one, and reads its head.

use crate::downstream::forwarder::Forwarder;
use crate::downstream::headers;
use crate::downstream::http1::carry::AdmittedRequest;
use crate::downstream::http1::connection::ClientConnection;
use crate::ingress::worker::Worker;
use crate::wire::head::{self, Field, HeadLimits, Verdict};
use crate::wire::refusal::Refusal;
use serin_config::model::ListenerLimits;
use std::cell::RefCell;
use std::task::{Context, Poll};
use std::time::Instant;

thread_local! {
    /// Where heads are parsed into, one at a time.
    static FIELDS: RefCell<Vec<Field>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct Waiting {
    pub(crate) client: Box<ClientConnection>,
    /// When the first bytes of the next head were there.
    first: Option<Instant>,
    /// So much of the head was looked at, and was not all of it.
    judged: usize,
}

/// What comes next on a connection.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly always it is a request, and a box would be an allocation for each"
)]
pub(crate) enum Next {
    Request(AdmittedRequest),
    Refused(Refusal),
    End,
}

impl Waiting {
    pub(crate) fn new(client: Box<ClientConnection>) -> Self {
        let first = (!client.input.is_empty()).then_some(client.rested);
        Self { client, first, judged: 0 }
    }

    /// A connection that is between requests ends when its thread is leaving, and when its listener
    /// has become stricter.
    pub(crate) fn poll(&mut self, worker: &Worker<Forwarder>, cx: &mut Context<'_>) -> Poll<Next> {
        let Self { client, first, judged } = self;
        let mut now = client.rested;
        loop {
            if let Some(next) = look(client, judged, worker, now) {
                return Poll::Ready(next);
            }
            if client.ended {
                return Poll::Ready(Next::End);
            }
            match client.poll_fill(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(Next::End),
                Poll::Ready(Ok(_)) => {
                    now = Instant::now();
                    first.get_or_insert(now);
                }
                Poll::Pending => {
                    let limits = &client.info.listener.limits;
                    let due = match first {
                        Some(first) => *first + limits.header_timeout,
                        None if worker.is_leaving() || client.info.listener.is_outdated() => {
                            return Poll::Ready(Next::End);
                        }
                        None => client.rested + limits.idle_timeout,
                    };
                    if !client.deadline.has_come(due, cx) {
                        return Poll::Pending;
                    }
                    return Poll::Ready(match first {
                        Some(_) => Next::Refused(Refusal::HeadTooSlow),
                        None => Next::End,
                    });
                }
            }
        }
    }
}

/// A head is looked at when a line of it is whole or it may have grown too long, so that one sent
/// byte by byte costs no more than its lines; and when nothing follows, so that it does not depend
/// on how its bytes came what is said to it.
fn look(
    client: &mut ClientConnection,
    judged: &mut usize,
    worker: &Worker<Forwarder>,
    now: Instant,
) -> Option<Next> {
    let limits = limits_of(&client.info.listener.limits);
    let read = client.input.len();
    let fresh = &client.input.bytes()[*judged..];
    let grown = *judged <= limits.max_target && read > limits.max_target;
    let look = grown || read >= limits.max_bytes || client.ended || fresh.contains(&b'\n');
    if fresh.is_empty() || *judged > 0 && !look {
        return None;
    }
    let next = judge(client, &limits, worker, now);
    if next.is_none() {
        *judged = read;
    }
    next
}

fn limits_of(limits: &ListenerLimits) -> HeadLimits {
    HeadLimits {
        max_bytes: usize::try_from(limits.max_header_bytes).unwrap_or(usize::MAX),
        max_fields: usize::try_from(limits.max_headers).unwrap_or(usize::MAX),
        max_target: usize::try_from(limits.max_uri_bytes).unwrap_or(usize::MAX),
    }
}

/// What is to be done, once the head is whole or cannot become so.
fn judge(
    client: &mut ClientConnection,
    limits: &HeadLimits,
    worker: &Worker<Forwarder>,
    now: Instant,
) -> Option<Next> {
    FIELDS.with_borrow_mut(|fields| match head::parse(client.input.bytes(), limits, fields) {
        Verdict::Partial => None,
        Verdict::Refused(refusal) => Some(Next::Refused(refusal)),
        Verdict::Whole(head) => {
            headers::forget(client.input.bytes(), fields, &client.info.listener);
            Some(Next::Request(worker.serve.take(client, &head, fields, now)))
        }
    })
}
