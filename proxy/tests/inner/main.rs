//! The data plane's inner half, from outside: routes, splits, sessions, meters and upstreams,
//! without a listener before them.

// A test that cannot go on shall stop right where it is.
#![allow(clippy::unwrap_used)]

mod assign;
mod brakes;
mod forwarding;
mod health;
mod meter;
mod metrics;
mod names;
mod path;
mod pick;
mod rate;
mod retry;
mod routes;
mod sessions;
mod support;
