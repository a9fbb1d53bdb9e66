//! Everything Serin decides, and nothing it does.
//!
//! `core` holds the words of the product as types, the assignment of a request
//! to a version, the measurement of what came of it, and the judgement of a
//! rollout. It has no clock, no random source and no I/O: time and randomness
//! are arguments, so a day of traffic is judged in milliseconds.

pub mod assign;
pub mod ids;
pub mod judge;
pub mod lag;
pub mod measure;
pub mod metrics;
pub mod outcome;
pub mod plane;
pub mod rollout;
pub mod secret;
pub mod shadow;
pub mod simulate;
pub mod slo;
pub mod split;
pub mod stored;
pub mod time;
pub mod weights;
