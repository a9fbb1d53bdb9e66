//! HTTP/2 to endpoints: connections that many requests of a thread share.
//!
//! A [`Stream`] is one request and its answer, as its user sees a connection: it writes a body and
//! reads text and bytes. The library behind it is named in this folder alone.
//!
//! What an endpoint sends and no client takes stays at the endpoint: a stream's window opens again by as
//! much as its user has taken out. How wide it is, [`windows`] says; and what it keeps for a connection meanwhile, [`owed`].

mod handshake;
mod owed;
mod shared;
mod stream;
mod windows;

pub(super) use handshake::shake;
pub(super) use shared::{Making, Shared, Turn, lend, share, sweep, turn};
pub(crate) use stream::{Refused, Stream};

/// Streams of one connection at once, unless the endpoint wants fewer.
const MAX_STREAMS: usize = 100;
/// What a stream may hand over of a body before it has left.
const MAX_UNSENT: usize = 64 * 1024;
