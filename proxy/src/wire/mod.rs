//! HTTP/1 on the wire: bytes in, meaning out. Pure, and strict: what two readers could take in two
//! ways is refused here, whichever side sent it.

pub mod answer;
pub mod authority;
pub mod chunks;
mod cursor;
pub(crate) mod fields;
pub mod head;
pub mod names;
pub mod refusal;
pub(crate) mod unwanted;
pub mod view;
