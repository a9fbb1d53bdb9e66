//! The client's side of an exchange: its connection, and the protocol that it speaks.

pub(crate) mod connection;
pub(crate) mod forwarder;
pub(crate) mod headers;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod response;

use crate::exchange::downstream::Downstream;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

/// Says the last of an answer of Serin's own. Whether the client could be told.
async fn say(client: &mut impl Downstream, bytes: &[u8]) -> bool {
    let due = Instant::now() + client.patience();
    let mut written = 0;
    poll_fn(|cx| match client.poll_write_all([bytes, &[]], &mut written, cx) {
        Poll::Pending if !client.deadline().has_come(due, cx) => Poll::Pending,
        Poll::Pending | Poll::Ready(Err(_)) => Poll::Ready(false),
        Poll::Ready(Ok(())) => Poll::Ready(true),
    })
    .await
}

/// Gives back what the thread has kept of its exchanges, and not needed since the last sweep.
pub(crate) fn sweep() {
    http1::exchange_pool::sweep();
    http2::carry::sweep();
}
