//! A connection between requests: it waits for the next one, reads its head, and finds the lane for it.

use super::body::Body;
use super::headers;
use super::link::Link;
use super::replay;
use super::worker::Worker;
use crate::lane::Taken;
use crate::wire::head::{self, Field, HeadLimits, Verdict};
use crate::wire::refusal::Refusal;
use bytes::BytesMut;
use serin_config::model::ListenerLimits;
use std::cell::RefCell;
use std::task::{Context, Poll};
use std::time::Instant;

thread_local! {
    /// Where heads are parsed into, one at a time.
    static FIELDS: RefCell<Vec<Field>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Waiting {
    pub(super) link: Box<Link>,
    /// When the first bytes of the next head were there.
    first: Option<Instant>,
    /// So much of the head was looked at, and was not all of it.
    judged: usize,
}

/// What comes next on a connection.
pub(super) enum Next {
    Fast(Taken),
    Full(BytesMut, Body),
    Refused(Refusal),
    End,
}

impl Waiting {
    pub(super) fn new(link: Box<Link>) -> Self {
        let first = (!link.input.is_empty()).then_some(link.rested);
        Self { link, first, judged: 0 }
    }

    /// A connection that is between requests ends when its thread is leaving, and when its listener
    /// has become stricter.
    pub(super) fn poll(&mut self, worker: &Worker, cx: &mut Context<'_>) -> Poll<Next> {
        let Self { link, first, judged } = self;
        let mut now = link.rested;
        loop {
            if let Some(next) = look(link, judged, worker, now) {
                return Poll::Ready(next);
            }
            if link.ended {
                return Poll::Ready(Next::End);
            }
            match link.poll_fill(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(Next::End),
                Poll::Ready(Ok(_)) => {
                    now = Instant::now();
                    first.get_or_insert(now);
                }
                Poll::Pending => {
                    let limits = &link.visit.listener.limits;
                    let due = match first {
                        Some(first) => *first + limits.header_timeout,
                        None if worker.is_leaving() || link.visit.listener.is_outdated() => {
                            return Poll::Ready(Next::End);
                        }
                        None => link.rested + limits.idle_timeout,
                    };
                    if !link.deadline.has_come(due, cx) {
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
fn look(link: &mut Link, judged: &mut usize, worker: &Worker, now: Instant) -> Option<Next> {
    let limits = limits_of(&link.visit.listener.limits);
    let read = link.input.len();
    let fresh = &link.input.bytes()[*judged..];
    let grown = *judged <= limits.max_target && read > limits.max_target;
    let look = grown || read >= limits.max_bytes || link.ended || fresh.contains(&b'\n');
    if fresh.is_empty() || *judged > 0 && !look {
        return None;
    }
    let next = judge(link, &limits, worker, now);
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
fn judge(link: &mut Link, limits: &HeadLimits, worker: &Worker, now: Instant) -> Option<Next> {
    FIELDS.with_borrow_mut(|fields| match head::parse(link.input.bytes(), limits, fields) {
        Verdict::Partial => None,
        Verdict::Refused(refusal) => Some(Next::Refused(refusal)),
        Verdict::Whole(head) => {
            let changed = headers::forget(link.input.bytes(), fields, &link.visit.listener);
            Some(match worker.fast.take(link, &head, fields, now) {
                Some(taken) => Next::Fast(taken),
                None => {
                    let bytes = BytesMut::from(&link.input.bytes()[..head.length]);
                    link.input.advance(head.length);
                    let fields = changed.then_some(fields.as_slice());
                    Next::Full(replay::of(&head, &bytes, fields), Body::of(head.framing))
                }
            })
        }
    })
}
