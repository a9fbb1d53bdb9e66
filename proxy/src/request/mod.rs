//! A request's life, in the order in which it happens, one file for each part:
//! `asked` (what it asks for) → `identify` (who asks, under which id) → `route` (which route, within
//! which limits) → `assign` (which version) → `attempt` (which endpoint) → `answer` (what its head
//! says) → `fail` (what a broken attempt was, and whether another is made) → `end` (what is counted
//! and written).
//!
//! These steps know no protocol: they read fields through [`crate::route::Fields`], and bytes are none of
//! their business but in `head`, which writes the head that backends get. Nothing here decides what `core`, `route`, `service` or `upstream` can decide.

pub(crate) mod answer;
pub(crate) mod asked;
pub(crate) mod assign;
pub(crate) mod attempt;
pub(crate) mod context;
pub(crate) mod contexts;
pub(crate) mod copy;
pub(crate) mod end;
pub(crate) mod fail;
pub(crate) mod forwarded;
pub(crate) mod head;
pub(crate) mod hop;
pub(crate) mod identify;
pub(crate) mod reply;
pub(crate) mod route;
pub(crate) mod trace;
pub(crate) mod trailers;
