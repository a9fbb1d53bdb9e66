//! A request's life, in the order in which it happens. Each phase is a type, which has what is known by then, and
//! the next one consumes it:
//!
//! `arrived` (`identify`: who asks, under which id; `asked`: what it asks for) → `routed` (which route, within which
//! limits) → `assigned` (which version); until here it is [`admit::admit`] that leads, and a request may be declined
//! instead. Then `attempts`, of one `attempt` after the other (which endpoint), `answer` (what its head says), `fail`
//! (what a broken attempt was, and whether another is made), and `finished` (what is counted and written).
//! `scratch` is the memory that requests use one after the other.
//!
//! These steps know no protocol: they read fields through [`crate::route::Fields`], and bytes are none of
//! their business but in `head`, which writes the head that backends get. Nothing here decides what `core`, `route`, `service` or `upstream` can decide.

pub(crate) mod admit;
pub(crate) mod answer;
pub(crate) mod arrived;
mod asked;
mod assigned;
pub(crate) mod attempt;
pub(crate) mod attempts;
mod copy;
pub(crate) mod fail;
pub(crate) mod finished;
mod forwarded;
pub(crate) mod head;
pub(crate) mod hop;
mod identify;
pub(crate) mod loop_mark;
pub(crate) mod reply;
mod routed;
pub(crate) mod scratch;
mod trace;
pub(crate) mod trailers;
