//! One exchange over one connection, and the connections.

mod connection;
mod pool;
mod socket;
mod version;

pub use connection::{Answer, client_tls};
pub use pool::{Pool, PoolOptions};
pub use version::VersionBy;
