//! The data plane: accepts, routes, splits, forwards, measures.

mod accesslog;
mod buffer;
pub mod clock;
pub mod config_generation;
mod downstream;
mod exchange;
mod exhaustion;
mod free_list;
mod heartbeat;
pub mod ingress;
pub mod meter;
pub mod metrics;
mod pieces;
pub mod plane;
mod probing;
mod proxy;
mod request;
pub mod route;
pub mod service;
pub mod session;
pub mod shadow;
mod spans;
mod task_pool;
pub mod thread;
mod trial;
mod tunnel;
pub mod upstream;
mod wheel;
pub mod wire;

pub use ingress::{Inherited, ListenError};
pub use probing::{Probed, probe_endpoints};
pub use proxy::{Options, Proxy, ProxyError, ServedCertificate};
