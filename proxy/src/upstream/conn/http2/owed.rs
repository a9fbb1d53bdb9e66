//! What the answers of a connection are still to bring.
//!
//! An endpoint may have made an answer whole before its client takes a byte of it, and what it could not
//! send yet it keeps for the connection: Node.js refuses requests, and ends connections, of which it keeps
//! ten megabytes. So a connection whose answers are to bring much gets no other request, and others take
//! another, whether those answers are slow or fast.

/// Of a connection, in bytes, before it gets no other request.
pub(super) const MAX: u64 = 1 << 20;
/// An answer that is to bring less does not count, unless its client takes nothing of it.
const LEAST: u64 = MAX / 16;
/// What an answer is thought to bring of which a client takes nothing, and which does not say how long it is.
const UNKNOWN: u64 = MAX / 4;

/// What an answer counts for, of which so much is `left` if it says so.
pub(super) fn by(left: Option<u64>, stalled: bool) -> u64 {
    match (left, stalled) {
        (None, true) => UNKNOWN,
        (Some(left), true) => left.max(LEAST),
        (Some(left @ LEAST..), false) => left,
        (Some(_) | None, false) => 0,
    }
}
