//! Clients that speak HTTP/1.

mod body;
pub(crate) mod carry;
pub(crate) mod connection;
mod downstream;
pub(crate) mod exchange_pool;
mod late_fields;
pub(crate) mod switched;
pub(crate) mod waiting;
