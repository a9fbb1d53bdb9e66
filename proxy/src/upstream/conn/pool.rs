//! Connections of this thread that wait for their next request.
//!
//! No lock and no task: a connection that was lent is put back by whoever had it, and one pass a
//! second closes those that have waited too long. One that has something to read while nobody asked
//! was closed by its endpoint, and is not lent again. An endpoint belongs to one version under one set
//! of TLS settings, so connections that were made under different ones are never mixed. Those of HTTP/2
//! are shared, and kept by [`super::http2`].

use super::purpose::{ByKey, Kept, Purpose};
use super::{Conn, Io, Via, http2};
use crate::upstream::Endpoint;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

/// Connections of one thread that wait, over all endpoints.
const POOL_MAX_IDLE: usize = 1024;

thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool::default());
}

#[derive(Default)]
struct Pool {
    waiting: ByKey<Vec<Waiting>>,
    count: usize,
}

struct Waiting {
    kept: Kept,
    io: Io,
    until: Instant,
}

impl Waiting {
    fn is_usable(&mut self, now: Instant) -> bool {
        now < self.until && !self.kept.is_orphaned() && self.io.is_quiet()
    }
}

/// A waiting connection to this endpoint, or a stream on one that is shared, unless it may be of
/// `http1` and is to be.
pub(crate) fn lend(
    endpoint: &Arc<Endpoint>,
    purpose: Purpose<'_>,
    http1: bool,
    now: Instant,
) -> Option<Conn> {
    let key = purpose.key(endpoint);
    if !(http1 && endpoint.may_choose())
        && endpoint.speaks_http2()
        && let Some(stream) = http2::lend(key)
    {
        return Some(Conn::http2(stream));
    }
    POOL.with_borrow_mut(|pool| {
        let waiting = pool.waiting.get_mut(&key)?;
        while let Some(mut next) = waiting.pop() {
            pool.count -= 1;
            if next.is_usable(now) {
                return Some(Conn::http1(next.io, true));
            }
        }
        None
    })
}

/// Keeps a connection whose last request was sent, and whose last answer was read, to its end.
pub(crate) fn put_back(endpoint: &Arc<Endpoint>, purpose: Purpose<'_>, conn: Conn, until: Instant) {
    let io = match conn.via {
        Via::Http1(io) => io,
        Via::Http2(stream) => return stream.shared().carried(until),
    };
    POOL.with_borrow_mut(|pool| {
        if pool.count >= POOL_MAX_IDLE {
            return;
        }
        pool.count += 1;
        let waiting = Waiting { kept: purpose.kept(endpoint), io, until };
        pool.waiting.entry(purpose.key(endpoint)).or_default().push(waiting);
    });
}

/// Closes what has waited too long, and what was closed from the other side.
pub(crate) fn sweep(now: Instant) {
    http2::sweep(now);
    POOL.with_borrow_mut(|pool| {
        pool.waiting.retain(|_, waiting| {
            waiting.retain_mut(|one| one.is_usable(now));
            !waiting.is_empty()
        });
        pool.count = pool.waiting.values().map(Vec::len).sum();
    });
}
