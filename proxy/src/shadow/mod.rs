//! Copies of live traffic to a version that nobody sees.
//!
//! A request's way ends here only as a by-product. On the serving thread a `RequestTap` decides whether
//! the request is copied, takes over its head and shares its body's bytes, and hands the copy to a
//! queue. A thread of its own (`mirror_worker`) does all the rest: it sends the copies over connections of
//! its own (`send`), waits for both answers (`pair`), compares them (`compare`), and keeps what
//! differs (`board`). See `docs/decisions/0015-copies-leave-from-a-thread-of-their-own.md`.
//!
//! Nothing here waits on a serving thread, and nothing here can fail a request: what has no room,
//! in slots, in bytes or in the queue, is dropped and counted.

mod board;
mod compare;
mod copy;
mod counts;
mod head;
mod memory;
mod mirror;
mod mirror_worker;
mod noise;
mod request_tap;
mod response_pair;
mod sampled;
mod send;
mod settle;

pub use compare::redact;
pub(crate) use mirror::Mirror;
pub(crate) use mirror_worker::Shadows;
pub(crate) use request_tap::{Head, RequestTap};
