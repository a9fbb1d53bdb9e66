//! The client's side of an exchange: its connection, and the protocol that it speaks.

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod forwarder;
pub(crate) mod headers;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod response;

/// Gives back what the thread has kept of its exchanges, and not needed since the last sweep.
pub(crate) fn sweep() {
    http1::exchange_pool::sweep();
    http2::carry::sweep();
}
