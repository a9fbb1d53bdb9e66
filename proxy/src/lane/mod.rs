//! A request's life, in the order in which it happens, one file for each part:
//! `asked` (what it asks for) → `identify` (who asks, under which id) → `route` (which route, within
//! which limits) → `assign` (which version) → `attempt` (which endpoint) → `answer` (what its head
//! says) → `fail` (what a broken attempt was, and whether another is made) → `end` (what is counted
//! and written).
//!
//! These steps are the same for both lanes and know neither: `full` is pingora's `HttpProxy`, which
//! can do everything; `fast` forwards exchanges from bytes to bytes, and leaves little to it.
//! Nothing here decides what `core`, `route`, `service` or `upstream` can decide.

mod answer;
mod asked;
mod assign;
mod attempt;
mod context;
mod copy;
mod end;
mod fail;
mod fast;
mod forwarded;
mod full;
mod hop;
mod identify;
mod reply;
mod route;
mod stream;
mod trace;
mod trailers;

pub(crate) use fast::{Admitted, After, ExchangeFuture, FastLane};
pub(crate) use full::{FullLane, Http2Session};
pub(crate) use stream::Stream;
