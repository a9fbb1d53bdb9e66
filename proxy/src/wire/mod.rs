//! Heads and bodies on the wire, in the form of HTTP/1: bytes in, meaning out. Pure, and strict: what two readers could take in two
//! ways is refused here, whichever side sent it.

pub mod answer;
pub mod authority;
pub mod chunks;
mod cursor;
pub(crate) mod fields;
pub(crate) mod frames;
pub mod head;
pub mod hpack;
pub(crate) mod http2;
mod huffman;
pub mod names;
pub mod proxy_header;
pub mod refusal;
pub(crate) mod sieve;
pub(crate) mod unwanted;
pub mod view;
