//! Connections to endpoints, and those of this thread that wait for their next request.
//!
//! No lock and no task: a connection that was lent is put back by whoever had it, and one pass a
//! second closes those that have waited too long. One that has something to read while nobody asked
//! was closed by its endpoint, and is not lent again.

use crate::buffer::{Buffer, has_nothing};
use crate::exhaustion::{Descriptors, Lack};
use crate::upstream::{ByEndpoint, Endpoint, failure_of_io, key};
use serin_core::outcome::Failure;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Connections of one thread that wait, over all endpoints.
const MOST: usize = 1024;

thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool::default());
}

/// A connection in use.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) stream: TcpStream,
    /// Read, and not done with.
    pub(super) input: Buffer,
    /// It has carried a request before.
    pub(super) reused: bool,
}

#[derive(Default)]
struct Pool {
    waiting: ByEndpoint<Vec<Waiting>>,
    count: usize,
}

struct Waiting {
    /// Keeps the endpoint's address from being another's.
    _endpoint: Arc<Endpoint>,
    stream: TcpStream,
    until: Instant,
}

impl Waiting {
    fn is_usable(&self, now: Instant) -> bool {
        now < self.until && has_nothing(&self.stream)
    }
}

/// A waiting connection to this endpoint.
pub(super) fn lend(endpoint: &Arc<Endpoint>, now: Instant) -> Option<Upstream> {
    POOL.with_borrow_mut(|pool| {
        let waiting = pool.waiting.get_mut(&key(endpoint))?;
        while let Some(next) = waiting.pop() {
            pool.count -= 1;
            if next.is_usable(now) {
                let input = Buffer::default();
                return Some(Upstream { stream: next.stream, input, reused: true });
            }
        }
        None
    })
}

/// Keeps a connection whose last answer was read to its end.
pub(super) fn put_back(endpoint: &Arc<Endpoint>, upstream: Upstream, until: Instant) {
    POOL.with_borrow_mut(|pool| {
        if pool.count >= MOST {
            return;
        }
        pool.count += 1;
        let waiting = Waiting { _endpoint: Arc::clone(endpoint), stream: upstream.stream, until };
        pool.waiting.entry(key(endpoint)).or_default().push(waiting);
    });
}

/// Closes what has waited too long, and what was closed from the other side.
pub(crate) fn sweep(now: Instant) {
    POOL.with_borrow_mut(|pool| {
        pool.waiting.retain(|_, waiting| {
            waiting.retain(|one| one.is_usable(now));
            !waiting.is_empty()
        });
        pool.count = pool.waiting.values().map(Vec::len).sum();
    });
}

pub(super) async fn connect(to: SocketAddr, patience: Duration) -> Result<Upstream, Failure> {
    let connected = tokio::time::timeout(patience, TcpStream::connect(to)).await;
    let stream =
        connected.map_err(|_| Failure::ConnectTimeout)?.map_err(|error| failure_of_io(&error))?;
    if !Descriptors::of_this_process().may_be_an_endpoints(stream.as_raw_fd()) {
        Lack::Descriptors.tell();
        return Err(Failure::Exhausted);
    }
    // Without it the kernel holds small pieces back; nothing is lost where it cannot be set.
    let _ = stream.set_nodelay(true);
    Ok(Upstream { stream, input: Buffer::default(), reused: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_connected_to_gets_small_pieces_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = connect(address, Duration::from_secs(60)).await.unwrap();
        assert!(upstream.stream.nodelay().unwrap());
    }
}
