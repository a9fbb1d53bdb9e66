//! Clients that speak HTTP/1.

pub(crate) mod body;
pub(crate) mod carry;
pub(crate) mod connection;
pub(crate) mod exchange_pool;
pub(crate) mod replay;
pub(crate) mod switched;
pub(crate) mod waiting;
