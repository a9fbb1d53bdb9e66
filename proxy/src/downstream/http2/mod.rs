//! Clients that speak HTTP/2.

pub(crate) mod account;
pub(crate) mod carry;
pub(crate) mod connection;
mod downstream;
pub(crate) mod farewell;
pub(crate) mod frames;
mod head;
pub(crate) mod known;
pub(crate) mod ledger;
pub(crate) mod stream;
mod switched;
pub(crate) mod transport;
