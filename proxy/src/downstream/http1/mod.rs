//! Clients that speak HTTP/1.

pub(crate) mod carry;
pub(crate) mod connection;
pub(crate) mod exchange_pool;
pub(crate) mod switched;
pub(crate) mod waiting;
